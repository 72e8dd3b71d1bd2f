"""Texts by a column's name: Faker's words, tried against what the column takes.

Pure, but for the words of the vocabulary. A text that does not fit is not taken: a pattern is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from phasegate.adopt.limits import LENGTH_MAX, Limits
from phasegate.model.errors import ConfigurationError
from phasegate.project.population import VocabularyFile
from phasegate.seeding.vocabulary import words_of

LOCALE = "en_US"
_STEPS = (1, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Odd, so that each takes every word of a vocabulary once, in an order of its own."""
ID_DIGITS = 7
"""Of a row's number in its table, in the largest load: what a unique text must have room for."""

# The name of a column in small letters and `_`, and texts for it; the first that fits is taken.
# {id} makes a text unique, and stands where no word can touch it.
TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"e_?mail", ("{user_name}.{id}@example.com", "{id}@example.com")),
    (r"(^|_)(user|display|screen|nick|login|handle)_?(name)?$|^login", ("{user_name}", )),
    (r"(first|given|fore)_?name", ("{first_name}",)),
    (r"(last|family|sur)_?name", ("{last_name}",)),
    (r"full_?name|person|contact_?name|author|customer_?name", ("{first_name} {last_name}",)),
    (r"phone|mobile|fax|tel$", ("{basic_phone_number}", "{phone_number}")),
    (r"user_?agent|browser", ("{user_agent}", "Mozilla/5.0 ({word})")),
    (r"avatar|image|photo|picture|logo|thumb|cover|icon_?url|banner",
     ("https://example.com/{word}/{id}.jpg", "/{word}/{id}.jpg")),
    (r"url|website|homepage|link|uri|href", ("https://{domain_name}/{word}/{id}", "https://{domain_name}")),
    (r"domain|host", ("{domain_name}",)),
    (r"company|organi[sz]ation|employer|vendor|brand", ("{company}",)),
    (r"job|position|occupation", ("{job}",)),
    (r"country_?(code|iso)|iso_?code", ("{country_code}",)),
    (r"country", ("{country}", "{country_code}")),
    (r"city|town|place|location", ("{city}",)),
    (r"state|province|region", ("{state}", "{state_abbr}")),
    (r"post_?(al)?_?code|zip", ("{postcode}",)),
    (r"address|street", ("{street_address}",)),
    (r"colou?r", ("{hex_color}", "{color_name}")),
    (r"currency", ("{currency_code}",)),
    (r"language|locale", ("{language_code}",)),
    (r"time_?zone|(^|_)tz$", ("{timezone}",)),
    (r"ip(_|$)|ip_?address", ("{ipv4}",)),
    (r"mime|content_?type|media_?type", ("{mime_type}",)),
    (r"file|path$|storage_?key", ("{word}/{id}.{file_extension}", "{file_name}")),
    (r"slug|handle|permalink", ("{slug}-{id}", "{word}-{id}")),
    ((r"description|content|body|text|message|comment|bio|notes?$|summary|about|review|answer|"
      r"question|reason|excerpt|details|instructions"),
     ("{sentence} {sentence}", "{sentence}")),
    (r"title|subject|headline|caption|label|heading", ("{catch_phrase}", "{word} {word}")),
    (r"tag|categor|genre|topic|keyword|skill|language|role|permission", ("{word}",)),
    (r"name", ("{catch_phrase}", "{word} {word}", "{word}")),
)  # fmt: skip
GENERAL = (
    "{word} {word}", "{sentence}", "{sentence} {sentence}", "{word}", "{slug}", "{domain_word}",
)  # fmt: skip
PEOPLE = re.compile(
    r"user|profile|account|customer|member|person|people|employee|author|student|staff|contact"
)
SECRETS = re.compile(r"token|hash|secret|password|salt|digest|checksum|signature|(^|_)key$|nonce")
# Values that people mostly mean by a name, where nothing says which there are.
CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"status|state$",
     ("active", "pending", "done", "archived", "failed", "draft", "closed", "new")),
    (r"(^|_)(type|kind)$", ("standard", "extra", "special", "other", "basic", "custom")),
    (r"role", ("member", "admin", "viewer", "owner", "editor")),
    (r"priority|severity|level|importance", ("medium", "low", "high", "urgent")),
    (r"gender|sex", ("female", "male", "other")),
    (r"visibility|privacy|access", ("private", "public", "shared")),
    (r"plan|tier", ("free", "pro", "team", "enterprise")),
    (r"provider|source|channel|platform", ("web", "ios", "android", "email", "api")),
    (r"action|event", ("viewed", "created", "updated", "deleted", "shared", "opened", "closed")),
    (r"theme", ("light", "dark", "system")),
    (r"frequency|interval|period|billing", ("monthly", "yearly", "weekly", "daily")),
    (r"language|locale", ("en", "de", "fr", "es", "ja")),
    (r"currency", ("USD", "EUR", "GBP")),
    (r"unit", ("piece", "kg", "hour")),
)  # fmt: skip
_NAME = re.compile(r"\{(\w+)\}")
_HARD = re.compile(r"\(\?|\\[bBAZmMyY1-9]|\[\[|\*\?|\+\?|\\p")


@dataclass(frozen=True)
class Wanted:
    """What a column of texts takes.

    Attributes:
        length_max: of the type; 0 for any.
        limits: of its checks.
        unique: whether no value may come twice in the table.
        width: bytes of a value in the source, on average; None where it is not known.
        varied: whether the source has more different ones than a vocabulary has words.
    """

    length_max: int = 0
    limits: Limits = field(default_factory=Limits)
    unique: bool = False
    width: int | None = None
    varied: bool = False

    @property
    def fewest(self) -> int:
        """Characters that it has at least."""
        return self.limits.length[0]

    @property
    def most(self) -> int:
        """Characters that it has at most."""
        return min(self.limits.length[1], self.length_max or LENGTH_MAX)


def snake(name: str) -> str:
    """`createdAt`, `Created At` → `created_at`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def text_for(name: str, of: str, wanted: Wanted) -> dict[str, Any] | None:
    """How a text column of that name is drawn; None where nothing is found that fits it."""
    for template in _templates(snake(name), snake(of), wanted):
        declared = _fitted(template, wanted)
        if declared is not None:
            return declared
    return _by_pattern(wanted)


def choices_for(name: str, count: int = 0) -> tuple[str, ...]:
    """Values that a name suggests, `count` of them where above 0; empty where it does not."""
    plain = snake(name)
    for pattern, values in CHOICES:
        if re.search(pattern, plain):
            if count > len(values):
                return (*values, *(f"{plain} {number}" for number in range(len(values), count)))
            return values[:count] if count else values[:3]
    return tuple(f"{plain} {number}" for number in range(1, count + 1)) if count else ()


def _templates(plain: str, of: str, wanted: Wanted) -> Iterator[str]:
    named = [text for pattern, texts in TEXTS if re.search(pattern, plain) for text in texts]
    if plain in ("name", "title"):
        # What a country's name is, the name of the table tells.
        told = [texts for pattern, texts in TEXTS[:-1] if re.search(pattern, of)]
        named = [text for texts in told for text in texts if "sentence" not in text] + named
    if PEOPLE.search(of) and plain in ("name", "display_name", "fullname"):
        named.insert(0, "{first_name} {last_name}")
    texts = [*named, *GENERAL]
    if wanted.varied:
        texts = [one for text in texts for one in (*_longer(text), text)]
    if wanted.width is not None and not re.search(r"mail|url|slug|color|code|phone", plain):
        texts = sorted(texts, key=lambda text: _distance(text, wanted))
        longest = max(1, round(wanted.width / 38))
        if longest > 2:
            texts.insert(0, " ".join(["{sentence}"] * min(longest, 12)))
    for text in texts:
        if wanted.unique and "{id}" not in text:
            yield f"{text} {{id}}"
            yield f"{text}-{{id}}"
        else:
            yield text
    if wanted.unique:
        yield "{id}"


def _longer(text: str) -> Iterator[str]:
    """With a word more, where it is of one."""
    if len(_NAME.findall(text)) == 1 and text.endswith("}"):
        yield f"{text} {{last_name}}"
        yield f"{text} {{word}}"


def _distance(text: str, wanted: Wanted) -> bool:
    """Whether a text is far from as long as those of the source: by more than a third."""
    lengths = [len(sample.encode()) for sample in _samples(text)]
    mean = sum(lengths) / len(lengths)
    width = (wanted.width or 1) - 1  # a length byte is counted
    return not 2 / 3 <= mean / max(width, 1) <= 3 / 2


def _words(provider: str) -> tuple[str, ...]:
    if provider in ("id", "number"):
        return ("1", "27", "9" * ID_DIGITS)
    try:
        return words_of(VocabularyFile(faker=(provider,)), LOCALE, provider)
    except ConfigurationError:
        return ()


@lru_cache(maxsize=256)
def _samples(template: str) -> list[str]:
    """Texts of a template: the shortest, the longest, and one at least with each of its words."""
    parts = _NAME.split(template)
    words = [_words(name) for name in parts[1::2]]
    if not all(words):
        return []
    rows = [[min(of, key=len) for of in words], [max(of, key=len) for of in words]]
    rows += [
        [of[(place * step) % len(of)] for step, of in zip(_STEPS, words, strict=False)]
        for place in range(max(map(len, words), default=0))
    ]
    return [
        "".join(
            literal + (row[place] if place < len(row) else "")
            for place, literal in enumerate(parts[::2])
        )
        for row in rows
    ]


def _fitted(template: str, wanted: Wanted) -> dict[str, Any] | None:
    found = _way(template, replace(wanted, width=None, varied=False))
    return None if found is None else {"text": template, **({"cut": True} if found else {})}


# A thousand tables have many columns of the same kind, and each template a thousand samples.
@lru_cache(maxsize=4096)
def _way(template: str, wanted: Wanted) -> bool | None:
    """Whether texts of a template must be cut to fit; None where they do not fit then either."""
    samples = _samples(template)
    if not samples:
        return None
    longest = max(map(len, samples))
    if longest > wanted.most:
        literals = sum(map(len, _NAME.split(template)[::2]))
        words = [name for name in _NAME.findall(template) if name not in ("id", "number")]
        fixed = literals + (20 if "{id}" in template else 0)
        room = wanted.most - fixed - 2 * len(words)
        # Only the type's own length is cut to, and a word that has lost its end says little.
        if wanted.most != wanted.length_max or room < 0 or not words or wanted.limits.patterns:
            return None
        samples = [sample[: wanted.most] for sample in samples]
    return longest > wanted.most if all(fits(sample, wanted) for sample in samples) else None


def fits(text: str, wanted: Wanted) -> bool:
    """Whether the column takes `text`."""
    limits = wanted.limits
    if not wanted.fewest <= len(text.strip()) <= len(text) <= wanted.most:
        return False
    if limits.case and text != getattr(text, limits.case)():
        return False
    if text in {str(value) for value in limits.excluded}:
        return False
    if limits.low is not None or limits.high is not None:
        return False
    return all(_matches(pattern, flag, text) for pattern, flag in limits.patterns)


def _matches(pattern: str, flag: str, text: str) -> bool:
    try:
        found = re.search(pattern, text, re.IGNORECASE if flag == "i" else 0) is not None
    except re.error:
        return False
    return found != (flag == "!")


def _by_pattern(wanted: Wanted) -> dict[str, Any] | None:
    limits = wanted.limits
    patterns = [pattern for pattern, flag in limits.patterns if flag != "!"]
    if len(patterns) > 1 or limits.low is not None or limits.high is not None:
        return None
    if patterns:
        pattern = patterns[0].removeprefix("^").removesuffix("$")
        if _HARD.search(pattern):
            return None
        pattern = _bounded(pattern, wanted)
    else:
        pattern = _free(wanted)
    declared: dict[str, Any] = {"pattern": pattern}
    return {**declared, "unique": True} if wanted.unique else declared


def _bounded(pattern: str, wanted: Wanted) -> str:
    """With an end to what has none: a text no longer than the column takes."""
    most = min(wanted.most, 24)
    opened = len(re.findall(r"(?<!\\)[+*]|\{\d+,\}", pattern))
    each = max(1, most // max(1, opened) - 2)
    fewest = 6 if wanted.unique and opened == 1 and each > 6 else 1
    pattern = re.sub(r"(?<!\\)\+", f"{{{min(fewest, each)},{each}}}", pattern)
    pattern = re.sub(r"(?<!\\)\*", f"{{0,{each}}}", pattern)
    return re.sub(
        r"\{(\d+),\}", lambda found: f"{{{found[1]},{max(int(found[1]), each)}}}", pattern
    )


def _free(wanted: Wanted) -> str:
    letters = {"lower": "[a-z]", "upper": "[A-Z]"}.get(wanted.limits.case, "[a-z]")
    if wanted.unique:
        letters = letters.replace("]", "0-9]")
    least = max(wanted.fewest, 12 if wanted.unique else 3)
    fewest = min(least, wanted.most)
    most = min(wanted.most, fewest + 8)
    return f"{letters}{{{fewest}}}" if fewest == most else f"{letters}{{{fewest},{most}}}"
