"""Columns of nothing but chance: bytes, bits, vectors, addresses; and what any type can be.

Pure. Sources of the binary forms: `bytearecv`, `bit_recv`, `network_recv`, `macaddr_recv` of
PostgreSQL; `vector_recv` and `halfvec_recv` of pgvector.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import hashed
from phasegate.project.population_columns import ColumnFile, RangeFile
from phasegate.seeding.column import Column, file_of
from phasegate.seeding.columns_numbers import COORDINATES
from phasegate.seeding.fields import LENGTH_BYTES, Field
from phasegate.seeding.pg_types import FLOATS, INTEGERS, JSONS, MOMENTS, PgType
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import Year

BYTES, BITS, COMPONENTS = 16, 8, 3
"""How many there are where neither the type nor the declaration says."""
_VECTORS = {"vector": ">f4", "halfvec": ">f2"}
_HARDWARE = {"macaddr": 6, "macaddr8": 8}
_FAMILY = {4: 2, 6: 3}  # PGSQL_AF_INET, PGSQL_AF_INET6


def _random_bytes(column: Column, rows: Rows, count: int, more: str = "") -> NDArray[np.uint8]:
    """`count` bytes for each row."""
    words = -(-count // 8)
    first = column.hashes(rows, more)
    made = np.empty((rows.size, words), dtype=np.uint64)
    for word in range(words):
        made[:, word] = first if word == 0 else hashed(word, first)
    return made.view(np.uint8).reshape(rows.size, words * 8)[:, :count]


@dataclass
class Random(Column):
    """`random`: so many random bytes, bits, or components of a vector of length 1."""

    def __post_init__(self) -> None:
        """Of one length where there are as many in each row."""
        pg, given = self.place.pg, file_of(self).random
        if pg.name not in ("bytea", "bit", "varbit", *_VECTORS):
            self.place.refuse(f"a column of type {pg.name} takes no `random` with a size")
        sizes = (given, given) if isinstance(given, int) else given or (BYTES, BYTES)
        if pg.size and (sizes[1] > pg.size or (pg.name != "varbit" and sizes[0] != pg.size)):
            self.place.refuse(
                f"`random` gives {sizes[0]} to {sizes[1]}, the column takes {pg.size}"
            )
        if pg.name in _VECTORS and sizes[0] != sizes[1]:
            self.place.refuse("`random` must be one number for a vector")
        self._low, self._most = sizes

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        if self.place.pg.name in _VECTORS:
            return Field(self._vectors(rows))
        span = np.uint64(self._most - self._low + 1)
        chance = self.hashes(rows, " size") >> np.uint64(32)
        sizes = ((chance * span) >> np.uint64(32)).view(np.int64) + self._low
        if self.place.pg.name == "bytea":
            return _led(_random_bytes(self, rows, self._most), sizes)
        # As many bytes as bits take, those behind the last bit zero.
        bits = np.unpackbits(_random_bytes(self, rows, -(-self._most // 8)), axis=1)
        bits[np.arange(bits.shape[1]) >= sizes[:, None]] = 0
        head = sizes.astype(">i4").view(np.uint8).reshape(-1, 4)
        return _led(np.concatenate((head, np.packbits(bits, axis=1)), axis=1), 4 - (-sizes // 8))

    def _vectors(self, rows: Rows) -> NDArray[np.void]:
        kind = _VECTORS[self.place.pg.name]
        made = np.zeros(
            rows.size, dtype=[("size", ">i2"), ("unused", ">i2"), ("at", kind, (self._most,))]
        )
        made["size"] = self._most
        raw = np.ascontiguousarray(_random_bytes(self, rows, 2 * self._most)).view(np.uint16)
        values = raw.astype(np.float32) / (1 << 15) - 1
        lengths = np.sqrt((values**2).sum(axis=1))
        made["at"] = values / np.maximum(lengths, 1e-6)[:, None]
        return made.view(f"V{made.dtype.itemsize}")


def _led(raw: NDArray[np.uint8], sizes: NDArray[np.int64]) -> Field:
    """The first `sizes` bytes of each row, with room for their length in front."""
    room = np.zeros((raw.shape[0], LENGTH_BYTES), dtype=np.uint8)
    items = np.ascontiguousarray(np.concatenate((room, raw), axis=1))
    return Field(pieces=((items.view(f"V{items.shape[1]}").reshape(-1), sizes + LENGTH_BYTES),))


@dataclass
class Address(Column):
    """`address`: one in a network; or a hardware address that begins as given."""

    def __post_init__(self) -> None:
        """Of one length."""
        pg, given = self.place.pg, file_of(self).address
        try:
            if pg.name in _HARDWARE:
                self._head = b""
                self._given = bytes.fromhex(given.replace(":", ""))
                self._fixed_bits, self._bytes = 8 * len(self._given), _HARDWARE[pg.name]
            elif pg.name in ("inet", "cidr"):
                network = ipaddress.ip_network(given)
                self._given, self._fixed_bits = network.network_address.packed, network.prefixlen
                self._bytes = len(self._given)
                is_cidr = int(pg.name == "cidr")
                self._head = bytes(
                    [_FAMILY[network.version], 8 * self._bytes, is_cidr, self._bytes]
                )
            else:
                self.place.refuse(f"a column of type {pg.name} takes no address")
        except ValueError as error:
            self.place.refuse(f"`address`: {error}")
        self.dtype = np.dtype(f"V{len(self._head) + self._bytes}")

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        drawn = _random_bytes(self, rows, self._bytes)
        given = np.frombuffer(self._given.ljust(self._bytes, b"\0"), dtype=np.uint8)
        mask = np.packbits(np.arange(8 * self._bytes) < self._fixed_bits)
        address = (drawn & ~mask) | (given & mask)
        head = np.tile(np.frombuffer(self._head, dtype=np.uint8), (rows.size, 1))
        raw = np.ascontiguousarray(np.concatenate((head, address), axis=1))
        return Field(raw.view(f"V{raw.shape[1]}").reshape(-1))


_TEXTS = {
    "tsvector": "{word} {word} {word}",
    "tsquery": "{word} & {word}",
    "xml": "<a>{word}</a>",
    "hstore": '"{word}"=>"{word}"',
}
_PATTERNS = {
    "ltree": r"[a-z]{3}(\.[a-z]{3}){0,2}",
    "lquery": r"[a-z]{3}(\.[a-z]{3}){0,2}",
    "jsonpath": r"\$\.[a-z]{5}",
    "pg_lsn": "[0-9A-F]{1,4}/[0-9A-F]{1,8}",
    "citext": "[a-z]{8}",
}
_DAY_S = 86_400
_ANY_MAX = 1_000_000


def any_of(pg: PgType, year: Year) -> ColumnFile | str | None:
    """What the word `random` means for a column of type `pg`; None where only values are taken."""
    name = pg.name
    simple: dict[str, ColumnFile | str] = {
        "uuid": "uuid4",
        "bool": ColumnFile(share=0.5),
        "bytea": ColumnFile(random=BYTES),
        "bit": ColumnFile(random=pg.size or 1),
        "varbit": ColumnFile(random=(1, pg.size or BITS)),
        "inet": ColumnFile(address="10.0.0.0/8"),
        "cidr": ColumnFile(address="10.0.0.0/8"),
        "macaddr": ColumnFile(address="02"),
        "macaddr8": ColumnFile(address="02"),
        "money": ColumnFile(uniform=(0, _ANY_MAX)),
        "time": ColumnFile(uniform=(0, _DAY_S)),
        "timetz": ColumnFile(uniform=(0, _DAY_S)),
        "interval": ColumnFile(uniform=(0, 30 * _DAY_S)),
    }
    if name in simple:
        return simple[name]
    if name in INTEGERS or name in FLOATS or name == "numeric":
        return ColumnFile(uniform=(0, _most_of(pg)))
    if name in MOMENTS:
        return ColumnFile(between=(f"{year.start:%Y-%m-%d}", f"{year.end:%Y-%m-%d}"))
    if name in JSONS:
        return ColumnFile(json={"value": {"uniform": [0, 100]}})
    return _any_other(pg)


def _any_other(pg: PgType) -> ColumnFile | None:
    name = pg.name
    if name == "enum":
        return ColumnFile(choice=pg.labels)
    if name in _VECTORS:
        return ColumnFile(random=pg.size or COMPONENTS)
    if name in COORDINATES:
        return ColumnFile(uniform=(0, 100))
    if name in _TEXTS:
        return ColumnFile(text=_TEXTS[name])
    if name in _PATTERNS:
        return ColumnFile(pattern=_PATTERNS[name])
    if pg.is_text:
        return ColumnFile(pattern=f"[a-z]{{{min(8, pg.characters_max or 8)}}}")
    if pg.subtype:
        return ColumnFile(range=RangeFile(low=(0, 100), size=(1, 10)))
    return ColumnFile(array="random", length=(0, 3)) if pg.element is not None else None


def _most_of(pg: PgType) -> float:
    if pg.name == "int2":
        return 30_000
    most = 10.0 ** (pg.precision - pg.scale) - 10.0**-pg.scale if pg.precision else _ANY_MAX
    return min(_ANY_MAX, max(most, 10.0 ** -max(pg.scale, 0)))
