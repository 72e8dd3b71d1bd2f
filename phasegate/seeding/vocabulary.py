"""Words to draw from: names, titles and colours by Faker, made once per locale and process.

Reads Faker's own word lists; writes nothing. Faker makes some 70,000 sentences a second, a load
needs millions, so each text of the data set is one or two of these words joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as distribution_version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasegate.model.errors import UsageError

if (
    TYPE_CHECKING
):  # importing Faker takes longer than the processes that need no words take to start
    from faker import Faker

# Words of each kind and locale: two of them make a million different titles. A power of two, so
# that ten hashed bits choose one.
WORD_BITS = 10
WORDS = 1 << WORD_BITS
# Faker's generator starts here for each kind of word: the vocabulary is a constant of its version.
FAKER_SEED = 20_250_101
# Longer words are left out: a title is a line, not a paragraph.
WORD_BYTES_MAX = 64


@dataclass(frozen=True)
class Words:
    """Texts of one kind in UTF-8. `padded` has one void item per text, filled up with zeros."""

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


@dataclass(frozen=True)
class Vocabulary:
    """Every kind of word; last names and endings begin with what joins them to the word before.

    Entry `locale_number * WORDS + n`, n in 0..WORDS-1, but for `locales`.
    """

    faker_version: str
    locales: Words
    first_names: Words
    last_names: Words
    task_beginnings: Words
    task_endings: Words
    project_names: Words
    colors: Words


def packed(texts: Sequence[str]) -> Words:
    """`texts` as one array of equal items."""
    encoded = [text.encode() for text in texts]
    width = max(1, max(map(len, encoded)))
    raw = b"".join(text.ljust(width, b"\0") for text in encoded)
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    return Words(np.frombuffer(raw, dtype=f"V{width}"), lengths)


def faker_version() -> str:
    """The installed Faker's."""
    return distribution_version("faker")


def _draw(locale: str, make: Callable[[Faker], str], join: str) -> list[str]:
    from faker import Faker

    faker = Faker(locale)
    faker.seed_instance(FAKER_SEED)
    texts: list[str] = []
    while len(texts) < WORDS:
        text = join + " ".join(make(faker).split())
        if 0 < len(text.encode()) <= WORD_BYTES_MAX:
            texts.append(text)
    return texts


def _phrase(faker: Faker) -> str:
    # Some locales know no business language; a short sentence of theirs does as well.
    try:
        text: str = faker.bs()
    except AttributeError:
        text = faker.sentence(nb_words=4).rstrip(".")
    return text[:1].upper() + text[1:]


def _project(faker: Faker) -> str:
    try:
        text: str = faker.catch_phrase()
    except AttributeError:
        text = faker.sentence(nb_words=3).rstrip(".")
    return text


@lru_cache(maxsize=4)
def vocabulary(locales: tuple[str, ...]) -> Vocabulary:
    """The words of `locales`, the same for every seed and size.

    Raises:
        UsageError: Faker does not know a locale, or there are none or more than 64.
    """
    from faker.config import AVAILABLE_LOCALES

    unknown = [name for name in locales if name not in AVAILABLE_LOCALES]
    if unknown or not 0 < len(locales) <= WORD_BYTES_MAX:
        raise UsageError(
            f"Faker {faker_version()} knows no locale {', '.join(unknown) or 'of that number'}",
            untouched="Nothing was changed",
            then="Name some as en_US,de_DE,ja_JP",
        )

    def kind(make: Callable[[Faker], str], join: str = "") -> Words:
        return packed([text for locale in locales for text in _draw(locale, make, join)])

    return Vocabulary(
        faker_version=faker_version(),
        locales=packed(locales),
        first_names=kind(lambda faker: faker.first_name()),
        last_names=kind(lambda faker: faker.last_name(), " "),
        task_beginnings=kind(_phrase),
        task_endings=kind(lambda faker: faker.last_name(), " – "),
        project_names=kind(_project),
        colors=kind(lambda faker: faker.hex_color()),
    )
