"""Rows of PostgreSQL's binary COPY format, packed by numpy: no Python per row.

Source: PostgreSQL manual, COPY, "Binary Format". A row is an int16 count of fields, then per field
an int32 length (-1: null) and its bytes; all big-endian. Reads and writes memory only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the extension area
TRAILER = b"\xff\xff"

Bytes = NDArray[np.uint8]


def windows(buffer: Bytes, width: int) -> NDArray[np.void]:
    """`buffer` seen as items of `width` bytes that begin at every byte, each overlapping the next.

    Assigning to `windows(...)[offsets]` places an item of `width` bytes at each offset, in order.
    """
    return np.ndarray((buffer.size - width + 1,), dtype=f"V{width}", buffer=buffer, strides=(1,))


class Rows:
    """A block of rows of one table, each laid out in equal room, then closed up.

    Fields of fixed length come first and are set by name (`block["id"] = …`). What varies in length
    follows: `append` puts a piece right behind what each row has so far.

    Args:
        capacity: rows that the block can hold.
        fixed: dtype by name of the fields of fixed length, in order.
        fields: fields of a row, those of varying length counted.
        tail_bytes_max: what the pieces of one row can add up to, padding included.
    """

    def __init__(
        self, capacity: int, fixed: Mapping[str, str], fields: int, tail_bytes_max: int
    ) -> None:
        layout = [("fields", ">i2")]
        for name, kind in fixed.items():
            layout += [(f"length of {name}", ">i4"), (name, kind)]
        record = np.dtype(layout)
        self._fixed_bytes = record.itemsize
        self._width = record.itemsize + tail_bytes_max
        self._flat: Bytes = np.zeros(capacity * self._width, dtype=np.uint8)
        self._out: Bytes = np.zeros(capacity * self._width + self._width, dtype=np.uint8)
        self._rows = self._flat.view(f"V{self._width}")
        self._origins = np.arange(capacity, dtype=np.int64) * self._width
        self._lengths: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        self._count = 0
        self._record = np.ndarray(
            (capacity,), dtype=record, buffer=self._flat, strides=(self._width,)
        )
        self._record["fields"] = fields
        for name, kind in fixed.items():
            self._record[f"length of {name}"] = np.dtype(kind).itemsize

    def begin(self, count: int) -> NDArray[np.void]:
        """Start over with `count` rows; returns their fixed fields, to be set by the caller."""
        self._count = count
        self._lengths[:count] = self._fixed_bytes
        return self._record[:count]

    def append(self, pieces: NDArray[np.void], lengths: NDArray[np.int64] | int) -> None:
        """Put `pieces[i]`, of which the first `lengths[i]` bytes count, behind row i."""
        count = self._count
        target = windows(self._flat, pieces.dtype.itemsize)
        target[self._origins[:count] + self._lengths[:count]] = pieces
        self._lengths[:count] += lengths

    def close(self) -> bytes:
        """The rows without the gaps between them."""
        count = self._count
        ends = np.cumsum(self._lengths[:count])
        # Each row is written at its full width; the next one covers what was too much of it.
        windows(self._out, self._width)[ends - self._lengths[:count]] = self._rows[:count]
        return self._out[: int(ends[-1]) if count else 0].tobytes()


def int32_pieces(values: NDArray[np.int64]) -> NDArray[np.void]:
    """`values` as big-endian int32 items: lengths of fields."""
    return values.astype(">i4").view("V4")
