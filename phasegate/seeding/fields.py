"""A column of a block of rows, as fields of COPY: of one length each, or pieces of any length.

Pure. The first piece of a field keeps four bytes free in front, where the field's length goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH_BYTES = 4

Piece = tuple[NDArray[np.void], NDArray[np.int64]]
"""Padded items, one a row, and how many bytes of each count."""


@dataclass(frozen=True)
class Words:
    """Texts in UTF-8, to be taken by number: one void item each, filled up with zeros."""

    padded: NDArray[np.void]
    lengths: NDArray[np.int64]

    @property
    def bytes_max(self) -> int:
        """Length of the longest text."""
        return int(self.padded.dtype.itemsize)

    def texts(self) -> tuple[str, ...]:
        """The texts themselves."""
        pairs = zip(self.padded, self.lengths, strict=True)
        return tuple(bytes(item)[:length].decode() for item, length in pairs)

    def take(self, places: NDArray[np.intp]) -> Piece:
        """A piece: the text of each place."""
        return self.padded.take(places), self.lengths.take(places)


def packed(texts: Sequence[str] | Sequence[bytes]) -> Words:
    """`texts` as one array of equal items."""
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    width = max(1, max(map(len, encoded), default=1))
    raw = b"".join(text.ljust(width, b"\0") for text in encoded)
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    return Words(np.frombuffer(raw, dtype=f"V{width}"), lengths)


def whole_fields(texts: Iterable[str | bytes]) -> Words:
    """`texts` as fields of COPY: the length of each in front of it."""
    encoded = (text.encode() if isinstance(text, str) else text for text in texts)
    return packed([len(one).to_bytes(LENGTH_BYTES, "big") + one for one in encoded])


@dataclass(frozen=True)
class Field:
    """The values of a column for some rows.

    Attributes:
        data: big-endian values of one length; None where lengths vary.
        pieces: what else makes up the field; the first of them begins with the length.
        null: where the value is null; None where it never is.
        complete: whether the length is there already.
        neutral: the pieces as sums count them, where the others hold numbers that a database gives
            to its own types; empty where they do not.
    """

    data: NDArray[Any] | None = None
    pieces: tuple[Piece, ...] = ()
    null: NDArray[np.bool_] | None = None
    complete: bool = False
    neutral: tuple[Piece, ...] = ()

    def as_summed(self) -> tuple[Piece, ...]:
        """As `as_pieces`, the same in every database."""
        if not self.neutral:
            return self.as_pieces()
        return Field(None, self.neutral, self.null, self.complete).as_pieces()

    def as_pieces(self) -> tuple[Piece, ...]:
        """The field as pieces, its length in place, -1 where it is null."""
        if self.data is not None:
            return (_nullable(self.data, self.null),)
        if self.complete and self.null is None:
            return self.pieces
        lengths = sum((lengths for _, lengths in self.pieces), start=np.int64(-LENGTH_BYTES))
        (first, first_lengths), *others = self.pieces
        if self.null is None:
            return ((with_length(first, lengths), first_lengths), *others)
        there = ~self.null
        first = with_length(first, np.where(self.null, -1, lengths))
        return (
            (first, np.where(self.null, LENGTH_BYTES, first_lengths)),
            *((items, some * there) for items, some in others),
        )

    def body(self) -> tuple[Piece, ...]:
        """The value's pieces without a length in front: as a part of another field."""
        if self.data is not None:
            width = self.data.dtype.itemsize
            raw = np.ascontiguousarray(self.data).view(f"V{width}")
            return ((raw, np.full(raw.size, width, dtype=np.int64)),)
        (first, lengths), *others = self.pieces
        raw = first.view(np.uint8).reshape(first.size, -1)[:, LENGTH_BYTES:]
        if raw.shape[1] == 0:
            return tuple(others)
        body = np.ascontiguousarray(raw).view(f"V{raw.shape[1]}").reshape(-1)
        return ((body, lengths - LENGTH_BYTES), *others)


def with_length(items: NDArray[np.void], lengths: Any) -> NDArray[np.void]:
    """`items` with a length in their first four bytes; they are overwritten."""
    rest = items.dtype.itemsize - LENGTH_BYTES
    items.view([("length", ">i4"), ("rest", f"V{rest}")])["length"] = lengths
    return items


def led_by(lengths: int, count: int) -> Piece:
    """A first piece of nothing but room for the length, and `lengths` zeros behind it."""
    items = np.zeros(count, dtype=f"V{LENGTH_BYTES + lengths}")
    return items, np.full(count, LENGTH_BYTES + lengths, dtype=np.int64)


def literal(text: bytes, count: int) -> Piece:
    """The same bytes in every row."""
    items = np.frombuffer(text, dtype=f"V{len(text)}").repeat(count)
    return items, np.full(count, len(text), dtype=np.int64)


def _nullable(data: NDArray[Any], null: NDArray[np.bool_] | None) -> Piece:
    """Values of one length, each with its length in front; a null has no more than that."""
    width = data.dtype.itemsize
    field = np.empty(data.size, dtype=[("length", ">i4"), ("value", data.dtype)])
    field["value"] = data
    there = np.ones(data.size, dtype=np.int64) if null is None else (~null).astype(np.int64)
    field["length"] = there * (width + 1) - 1  # -1 where there is none
    return field.view(f"V{field.dtype.itemsize}"), there * width + LENGTH_BYTES


def either(null: NDArray[np.bool_] | None, more: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where one of both says null."""
    return more if null is None else null | more
