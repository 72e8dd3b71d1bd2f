"""PostgreSQL's binary forms: values written in TOML, and numbers and moments drawn by numpy.

Pure. Sources: the `*_recv` functions of PostgreSQL's src/backend/utils/adt.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from phasegate.seeding.fields import LENGTH_BYTES, Field, Piece
from phasegate.seeding.timeline import POSTGRES_EPOCH

DAY_US = 86_400_000_000
TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name", "char", "xml"})
INTEGERS = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "oid": ">u4"}
FLOATS = {"float4": ">f4", "float8": ">f8"}
MOMENTS = frozenset({"timestamptz", "timestamp", "date"})
JSONS = frozenset({"json", "jsonb"})
NUMBERS = frozenset({*INTEGERS, *FLOATS, "numeric"})
# Times of day and lengths of time, which are given in seconds.
INTERVAL = np.dtype([("us", ">i8"), ("days", ">i4"), ("months", ">i4")])
TIME_WITH_ZONE = np.dtype([("us", ">i8"), ("zone", ">i4")])
SECOND_US = 1_000_000
# Fixed lengths in bytes that are their own limit: `name` with its end, and one character.
_NAME_MAX, _CHAR_MAX = 63, 1

# numeric: groups of four decimal digits, of which four stand before the point.
_GROUP, _WHOLE_GROUPS = 10_000, 4
NUMERIC_MAX = float(_GROUP**_WHOLE_GROUPS) / 10
_UUID_TEXT_BYTES = 36


class PgType(msgspec.Struct, frozen=True):
    """Type of a column, domains taken off.

    Attributes:
        name: as `pg_type.typname`; `enum` for every enum.
        oid: of the type.
        not_null: whether the column takes no null.
        length_max: characters that it takes; 0 where it says nothing.
        scale: decimals of a numeric; -1 where it says nothing.
        precision: digits of a numeric; 0 where it says nothing.
        labels: of an enum.
        element: of an array.
        required: whether it has neither a default nor a way to be null.
        generated: whether the server fills it.
        declared: as the server writes the type, with its domain and length.
        send: the function that writes its binary form; empty where it has none.
        size: bits of a bit string, components of a vector; 0 where it says nothing.
        subtype: of a range or multirange.
        is_multirange: whether it is one.
        forms: binary forms that the server wrote, by literal.
    """

    name: str
    oid: int = 0
    not_null: bool = False
    length_max: int = 0
    scale: int = -1
    precision: int = 0
    labels: tuple[str, ...] = ()
    element: PgType | None = None
    required: bool = False
    generated: bool = False
    declared: str = ""
    send: str = ""
    size: int = 0
    subtype: str = ""
    is_multirange: bool = False
    forms: dict[str, bytes] = msgspec.field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        """Whether its binary form is the text itself."""
        return self.name in TEXTS

    @property
    def characters_max(self) -> int:
        """Characters that a text may have; 0 for any number."""
        return {"name": _NAME_MAX, "char": _CHAR_MAX}.get(self.name, self.length_max)


Literal = str | int | float | bool


def is_written_by_server(kind: PgType) -> bool:
    """Whether literals of that type are read by the server, before the load."""
    return not (kind.name == "enum" or kind.is_text or kind.name in _WRITERS)


def binary(kind: PgType, value: Literal) -> bytes:
    """`value` in the binary form of `kind`.

    Raises:
        ValueError: it is no value of that type, or the type is none that can be written.
    """
    if kind.name == "enum":
        if value not in kind.labels:
            raise ValueError(f"{value!r} is none of the labels {', '.join(kind.labels)}")
        return str(value).encode()
    if kind.is_text:
        text = str(value)
        if kind.characters_max and len(text) > kind.characters_max:
            raise ValueError(f"{value!r} is longer than {kind.characters_max} characters")
        return text.encode()
    write = _WRITERS.get(kind.name)
    if write is None:
        form = kind.forms.get(str(value).lower() if isinstance(value, bool) else str(value))
        if form is None:
            raise ValueError(f"a column of type {kind.name} takes no {value!r} here")
        return form
    try:
        return write(value)
    except (ValueError, TypeError, OverflowError, struct.error, InvalidOperation) as error:
        raise ValueError(f"{value!r} is no {kind.name}") from error


def _moment(value: Literal) -> int:
    moment = dt.datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - POSTGRES_EPOCH) // dt.timedelta(microseconds=1)


def _inet(value: Literal) -> bytes:
    read = ipaddress.ip_interface(str(value))
    family = 2 if read.version == 4 else 3  # PGSQL_AF_INET, PGSQL_AF_INET6
    packed = read.ip.packed
    return bytes([family, read.network.prefixlen, 0, len(packed)]) + packed


def _numeric(value: Literal) -> bytes:
    number = Decimal(str(value))
    decimals = max(0, -int(number.as_tuple().exponent))
    field = numeric(np.array([int(number.scaleb(decimals))], dtype=np.int64), decimals)
    return field.tobytes()


def _integer(code: str) -> Callable[[Literal], bytes]:
    def write(value: Literal) -> bytes:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError(value)
        return struct.pack(code, int(value))

    return write


_WRITERS: dict[str, Callable[[Literal], bytes]] = {
    "int2": _integer(">h"),
    "int4": _integer(">i"),
    "int8": _integer(">q"),
    "float4": lambda value: struct.pack(">f", float(value)),
    "float8": lambda value: struct.pack(">d", float(value)),
    "bool": lambda value: {True: b"\1", False: b"\0"}[bool(value)],
    "uuid": lambda value: uuid.UUID(str(value)).bytes,
    "date": lambda value: struct.pack(">i", _moment(value) // DAY_US),
    "timestamptz": lambda value: struct.pack(">q", _moment(value)),
    "timestamp": lambda value: struct.pack(">q", _moment(value)),
    "numeric": _numeric,
    "json": lambda value: json.dumps(value).encode(),
    "jsonb": lambda value: b"\1" + json.dumps(value).encode(),
    "bytea": lambda value: str(value).encode(),
    "inet": _inet,
}


def numeric(scaled: NDArray[np.int64], decimals: int) -> NDArray[np.void]:
    """Values of type numeric: `scaled` / 10^decimals, of one length: the server strips zeros."""
    after = -(-decimals // 4)
    groups = _WHOLE_GROUPS + after
    layout = [("head", ">i2", (4,)), ("digits", ">i2", (groups,))]
    made = np.zeros(scaled.size, dtype=layout)
    made["head"] = (groups, _WHOLE_GROUPS - 1, 0, decimals)
    made["head"][:, 2] = np.where(scaled < 0, 0x4000, 0)
    left = np.abs(scaled)
    whole, part = np.divmod(left, 10**decimals)
    part = part * 10 ** (4 * after - decimals)
    for place in range(groups - 1, _WHOLE_GROUPS - 1, -1):
        made["digits"][:, place] = part % _GROUP
        part = part // _GROUP
    for place in range(_WHOLE_GROUPS - 1, -1, -1):
        made["digits"][:, place] = whole % _GROUP
        whole = whole // _GROUP
    return made.view(f"V{made.dtype.itemsize}")


def numbers(kind: PgType, values: NDArray[Any], decimals: int) -> Field:
    """Numbers as fields of `kind`; where it has no places behind the point they are rounded down.

    Raises:
        ValueError: `kind` is no number.
    """
    if kind.name in INTEGERS:
        return Field(np.floor(values).astype(INTEGERS[kind.name]))
    if kind.name in FLOATS:
        return Field(values.astype(FLOATS[kind.name]))
    if kind.name == "numeric":
        places = decimals if kind.scale < 0 else min(decimals, kind.scale)
        scaled = np.rint(values.astype(np.float64) * 10**places).astype(np.int64)
        return Field(numeric(scaled, places))
    if kind.name == "money":
        return Field(np.rint(values.astype(np.float64) * 100).astype(">i8"))
    if kind.name in ("time", "timetz", "interval"):
        return Field(_seconds(kind.name, values))
    raise ValueError(f"a column of type {kind.name} takes no number")


def _seconds(name: str, values: NDArray[Any]) -> NDArray[Any]:
    us = np.rint(values.astype(np.float64) * SECOND_US).astype(np.int64)
    if name == "interval":
        made = np.zeros(us.size, dtype=INTERVAL)
        made["us"] = us
        return made
    # A day has no moment after its last.
    us = np.clip(us, 0, DAY_US - 1)
    if name == "time":
        return us.astype(">i8")
    zoned = np.zeros(us.size, dtype=TIME_WITH_ZONE)
    zoned["us"] = us
    return zoned


def stored(kind: PgType, values: NDArray[Any], decimals: int) -> NDArray[Any]:
    """`values` as `numbers` stores them: whole, or with so many decimals."""
    if kind.name in INTEGERS:
        return np.asarray(np.floor(values))
    if kind.name in ("numeric", "money"):
        most = 2 if kind.name == "money" else kind.scale
        places = decimals if most < 0 else min(decimals, most)
        return np.asarray(np.rint(values * 10.0**places) / 10.0**places)
    return values


def moments(kind: PgType, us: NDArray[np.int64]) -> NDArray[Any]:
    """Moments in µs since 2000 as values of `kind`.

    Raises:
        ValueError: `kind` is no moment.
    """
    if kind.name == "date":
        return (us // DAY_US).astype(">i4")
    if kind.name in MOMENTS:
        return us.astype(">i8")
    raise ValueError(f"a column of type {kind.name} takes no moment")


_HEX = np.array([f"{byte:02x}".encode() for byte in range(256)], dtype="V2")


def uuid_text(values: NDArray[np.void]) -> Piece:
    """UUIDs as text of 36 characters, as a first piece."""
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 16)
    pairs = _HEX[raw].view("V2").reshape(-1, 16)
    out = np.full((raw.shape[0], LENGTH_BYTES + _UUID_TEXT_BYTES), ord("-"), dtype=np.uint8)
    place = LENGTH_BYTES
    for begin, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 16)):
        part = np.ascontiguousarray(pairs[:, begin:end]).view(np.uint8)
        part = part.reshape(raw.shape[0], -1)
        out[:, place : place + part.shape[1]] = part
        place += part.shape[1] + 1
    items = out.view(f"V{out.shape[1]}").reshape(-1)
    return items, np.full(items.size, out.shape[1], dtype=np.int64)


_GROUP_TEXTS = np.array([f"{number:04d}".encode() for number in range(_GROUP)], dtype="V4")
# So many digits are written four at a time.
_DIGITS_MAX = 16
_POWERS = 10 ** np.arange(_DIGITS_MAX + 1, dtype=np.int64)


def decimal_text(values: NDArray[Any], decimals: int = 0, *, digits: int = 0) -> Piece:
    """Numbers as text, each as long as it is, with zeros in front where it has fewer `digits`."""
    if decimals:
        texts = np.char.mod(f"%.{decimals}f", values).astype("S")
    else:
        whole = np.floor(values).astype(np.int64)
        if digits <= _DIGITS_MAX and whole.size and 0 <= whole.min() <= whole.max() < _POWERS[-1]:
            return _whole_text(whole, digits)
        texts = whole.astype("S")
    if digits:
        texts = np.char.zfill(texts, digits)
    lengths = np.char.str_len(texts).astype(np.int64)
    return texts.view(f"V{texts.dtype.itemsize}"), lengths


def _whole_text(values: NDArray[np.int64], digits: int) -> Piece:
    """As `decimal_text`, for 0 to 10^16 - 1: a tenth of the time that numpy's own texts take."""
    lengths = np.searchsorted(_POWERS[1:], values, side="right") + 1
    lengths = np.maximum(lengths, digits)
    groups = -(-int(lengths.max()) // 4)
    # Moved to the left, so that what lies behind the last digit is padding.
    left = values * _POWERS.take(4 * groups - lengths)
    texts = np.empty((values.size, groups), dtype="V4")
    for group in range(groups - 1, -1, -1):
        texts[:, group] = _GROUP_TEXTS.take(left % _GROUP)
        left //= _GROUP
    return texts.view(f"V{4 * groups}").reshape(-1), lengths
