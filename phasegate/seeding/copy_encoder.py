"""Rows of PostgreSQL's binary COPY format, packed by numpy: no Python per row.

Source: PostgreSQL manual, COPY, "Binary Format". A row is an int16 count of fields, then per field
an int32 length (-1: null) and its bytes; all big-endian. Reads and writes memory only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.seeding.fields import Piece

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the extension area
TRAILER = b"\xff\xff"

_PIECE = "the only piece"

Bytes = NDArray[np.uint8]


def windows(buffer: Bytes, width: int) -> NDArray[np.void]:
    """`buffer` seen as items of `width` bytes that begin at every byte, each overlapping the next.

    Assigning to `windows(...)[offsets]` places an item of `width` bytes at each offset, in order.
    """
    return np.ndarray((buffer.size - width + 1,), dtype=f"V{width}", buffer=buffer, strides=(1,))


class CopyRows:
    """A block of rows of one table, put together where they will lie.

    A row is a **head**, the fields of fixed length, and behind it pieces that vary in length. Heads
    are set by name (`heads["id"] = …`).

    Args:
        capacity: rows that the block can hold.
        fixed: dtype by name of the fields of fixed length, in order.
        fields: fields of a row, those of varying length counted.
        only_piece_bytes: width of the pieces where a row has one only: it is then placed together
            with the head.
    """

    def __init__(
        self,
        capacity: int,
        fixed: Mapping[str, np.dtype[Any] | str],
        fields: int,
        only_piece_bytes: int = 0,
    ) -> None:
        layout: list[tuple[str, np.dtype[Any] | str]] = [("fields", ">i2")]
        for name, kind in fixed.items():
            layout += [(f"length of {name}", ">i4"), (name, kind)]
        self._head_bytes = np.dtype(layout).itemsize
        if only_piece_bytes:
            layout.append((_PIECE, f"V{only_piece_bytes}"))
        self._heads: NDArray[np.void] = np.zeros(capacity, dtype=layout)
        self._heads["fields"] = fields
        for name, kind in fixed.items():
            self._heads[f"length of {name}"] = np.dtype(kind).itemsize
        self._count = 0

    def begin(self, count: int) -> NDArray[np.void]:
        """Start over with `count` rows; returns their heads, to be set by the caller."""
        self._count = count
        return self._heads[:count]

    def close(self, *pieces: Piece) -> memoryview:
        """The rows, each with its pieces in order, in memory of their own.

        Pieces are placed at their full width, kind after kind: the next one covers the padding of
        the one before, and heads, placed last of all, the padding behind the row before theirs.
        """
        ends = np.full(self._count, self._head_bytes, dtype=np.int64)
        for _, lengths in pieces:
            ends += lengths
        np.cumsum(ends, out=ends)
        size = int(ends[-1]) if ends.size else 0
        starts = np.zeros(self._count, dtype=np.int64)
        starts[1:] = ends[:-1]
        heads = self._heads[: self._count]
        width = heads.dtype.itemsize
        out = np.empty(size + width, dtype=np.uint8)
        if width > self._head_bytes:
            [(heads[_PIECE], _)] = pieces
        else:
            _place(out, starts + width, pieces, width)
        windows(out, width)[starts] = heads.view(f"V{width}")
        return out[:size].data


def _place(
    out: Bytes, places: NDArray[np.int64], pieces: Iterable[Piece], padding_max: int
) -> None:
    """Put `pieces` one behind the other from `places` on, which are moved.

    Padding must not reach beyond the next head, `padding_max` bytes: a wider piece is placed in
    parts.
    """
    for items, lengths in pieces:
        for begin in range(0, items.dtype.itemsize, padding_max):
            part = _part(items, begin, padding_max)
            into = places + np.minimum(lengths, begin) if begin else places
            windows(out, part.dtype.itemsize)[into] = part
        places += lengths


def _part(items: NDArray[np.void], begin: int, most: int) -> NDArray[np.void]:
    """Bytes `begin`..`begin + most` of each item, or as many as there are."""
    width = items.dtype.itemsize
    if width <= most:
        return items
    raw = items.view(np.uint8).reshape(-1, width)
    part = np.ascontiguousarray(raw[:, begin : begin + most])
    return part.view(f"V{part.shape[1]}").reshape(-1)
