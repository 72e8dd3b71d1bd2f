"""Text fields of rows: words of the vocabulary, in the locale of each user.

Pure: of (seed, users, [population], vocabulary).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, Stream, hashed, stream_key
from phasegate.seeding.copy_encoder import Piece
from phasegate.seeding.users import Users
from phasegate.seeding.vocabulary import WORD_BITS, WORDS, Vocabulary, Words, vocabulary

FIELD_LENGTH_BYTES = 4
_WORD_MASK = np.uint64(WORDS - 1)


def whole_fields(texts: Iterable[str]) -> Words:
    """`texts` as fields of COPY: the length of each in front of it."""
    fields = [
        len(one).to_bytes(FIELD_LENGTH_BYTES, "big") + one
        for one in (text.encode() for text in texts)
    ]
    width = max(map(len, fields))
    raw = b"".join(field.ljust(width, b"\0") for field in fields)
    lengths = np.array([len(field) for field in fields], dtype=np.int64)
    return Words(np.frombuffer(raw, dtype=f"V{width}"), lengths)


class Texts:
    """The texts of one data set."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._locales = users.year.population.locales

    @cached_property
    def words(self) -> Vocabulary:
        """Made when first needed: a process that makes log rows alone does without."""
        return vocabulary(self._locales)

    def locale(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Number of each user's locale."""
        if len(self._locales) == 1:
            return np.zeros(indices.size, dtype=np.intp)
        key = stream_key(self._users.seed, Stream.USER, 3)
        chance = hashed(key, indices.view(np.uint64)) >> np.uint64(32)
        return (chance % np.uint64(len(self._locales))).view(np.intp)

    def chosen(self, locale: NDArray[np.intp], chance: U64, word: int) -> NDArray[np.intp]:
        """Place in the vocabulary of the `word`-th word that `chance` draws (0 to 5)."""
        places = chance >> np.uint64(word * WORD_BITS)
        places &= _WORD_MASK
        drawn = places.view(np.intp)
        return drawn if len(self._locales) == 1 else drawn + locale * WORDS

    def pair(
        self, first: Words, second: Words, chance: U64, locale: NDArray[np.intp]
    ) -> tuple[Piece, Piece]:
        """Text fields of two words each. `first` must be whole fields: their lengths are mended."""
        one, two = self.chosen(locale, chance, 0), self.chosen(locale, chance, 1)
        lengths_one, lengths_two = first.lengths.take(one), second.lengths.take(two)
        begun = first.padded.take(one)
        rest = f"V{first.bytes_max - FIELD_LENGTH_BYTES}"
        fields = begun.view([("length", ">i4"), ("rest", rest)])
        fields["length"] = lengths_one + (lengths_two - FIELD_LENGTH_BYTES)
        return (begun, lengths_one), (second.padded.take(two), lengths_two)
