"""Words to draw from: Faker's, made once per provider, locale and process, or a project's own.

Reads Faker's own word lists; writes nothing. Faker makes some 70,000 sentences a second, a load
needs millions, so each text of the data set is a few of these words joined.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version as distribution_version
from typing import Any

from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.project.declared import DOCUMENTED, FILE
from phasegate.project.population import VocabularyFile

# Words of each kind and locale: two of them make a million different titles. A power of two, so
# that ten hashed bits choose one.
WORD_BITS = 10
WORDS = 1 << WORD_BITS
# Faker's generator starts here for each kind of word: the vocabulary is a constant of its version.
FAKER_SEED = 20_250_101
# Longer words are left out: a title is a line, not a paragraph.
WORD_BYTES_MAX = 64
# A provider that gives nothing of that length in so many tries never does.
TRIES_MAX = 20 * WORDS


def faker_version() -> str:
    """The installed Faker's."""
    return distribution_version("faker")


def check_locales(locales: tuple[str, ...]) -> None:
    """Whether Faker knows them.

    Raises:
        UsageError: there is one that it does not know, or none.
    """
    from faker.config import AVAILABLE_LOCALES

    unknown = [name for name in locales if name not in AVAILABLE_LOCALES]
    if unknown or not locales:
        raise UsageError(
            f"Faker {faker_version()} knows no locale {', '.join(unknown) or 'of that number'}",
            untouched="Nothing was changed",
            then="Name some as en_US,de_DE,ja_JP",
        )


def words_of(vocabulary: VocabularyFile, locale: str, key: str) -> tuple[str, ...]:
    """1,024 words of `vocabulary` in `locale`: the same for every seed and size.

    Args:
        vocabulary: as declared.
        locale: Faker's.
        key: where it is declared, for the error.

    Raises:
        ConfigurationError: no provider of that name gives words.
    """
    words = _own_words(vocabulary) if vocabulary.words else _of_faker(vocabulary, locale)
    if words:
        return words
    raise ConfigurationError(
        f"{FILE}: {key}: Faker {faker_version()} has no words for {locale} from "
        f"{', '.join(vocabulary.faker)}",
        untouched="Nothing was changed",
        then=DOCUMENTED,
    )


# Many columns draw from one vocabulary, which takes Faker some 20 ms.
@lru_cache(maxsize=256)
def _of_faker(vocabulary: VocabularyFile, locale: str) -> tuple[str, ...]:
    """Empty where no provider has words."""
    # Its import takes longer than the processes that need no words take to start.
    from faker import Faker

    faker = Faker(locale)
    faker.seed_instance(FAKER_SEED)
    for provider in vocabulary.faker:
        make = getattr(faker, provider, None) if provider.isidentifier() else None
        if make is not None and (words := _drawn(make, vocabulary)):
            return words
    return ()


def _own_words(vocabulary: VocabularyFile) -> tuple[str, ...]:
    """Repeated, so that ten bits choose among them."""
    words = [_finished(word, vocabulary) for word in vocabulary.words]
    return tuple(words[place % len(words)] for place in range(max(WORDS, len(words))))[:WORDS]


def _drawn(make: Any, vocabulary: VocabularyFile) -> tuple[str, ...]:
    texts: list[str] = []
    for _ in range(TRIES_MAX):
        try:
            said = make()
        except (AttributeError, TypeError):  # another locale's, or it takes arguments
            return ()
        text = _finished(" ".join(str(said).split()), vocabulary)
        if 0 < len(text.encode()) <= WORD_BYTES_MAX:
            texts.append(text)
        if len(texts) == WORDS:
            return tuple(texts)
    return ()


def _finished(text: str, vocabulary: VocabularyFile) -> str:
    if vocabulary.strip:
        text = text.rstrip(vocabulary.strip)
    return text[:1].upper() + text[1:] if vocabulary.capitalize else text
