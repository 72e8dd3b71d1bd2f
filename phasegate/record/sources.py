"""Where a value of a request comes from: the user, an earlier answer, a clock, or nowhere. Pure.

`Sources` knows the answers of one visit and finds in them what later requests send. Everything here
is a rule about one value; `record.visit` puts them together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phasegate.record.personal import EMAIL, Person, is_secret_name, looks_secret
from phasegate.record.template import UUID, JsonPath, Place, Request, Scalar

# The clock of a browser counts milliseconds; a request that an answer set off may seem to begin
# in the same one, or in the one before.
CLOCK_S = 0.005

# Of one answer: more are a file rather than rows, and cost time.
LEAVES_MAX = 20_000
TEXT_LENGTH_MAX = 400

# A date this far from the recording's own is a fact of the data, not a period that was asked for.
DATE_DAYS_MAX = 800

# Others are data themselves, or would end the text of Python that they stand in.
_KEY = re.compile(r"[\w $.:/-]{1,60}")

_ID_NAME = re.compile(r"(^|_)(id|ids|uuid|pk|key|ref|guid)$|(?<=[a-z])(Id|Ids|ID|Uuid|Key)$|^_id$")
_SLUG_NAME = re.compile(
    r"slug|handle|user_?name|code$|^key$|sku|symbol|^tag$|permalink|^ref$|^path$|cursor",
    re.IGNORECASE,
)
_UNGUESSABLE = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S{12,}")
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?", re.IGNORECASE
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Behind such a word of a route stands what opens something, rather than the key of a row.
_OPENS = re.compile(
    r"reset|invit|verif|confirm|activat|magic|unsubscribe|token|share|signed|session", re.IGNORECASE
)
_TIME_NAME = re.compile(
    r"(time|date|_at|At|since|until|from|to|before|after|start|end|ts|now|expires?)$|^(from|to|ts)$"
)


@dataclass(frozen=True)
class Link:
    """Where a value was found: in the answer of request `request`, at `path`."""

    request: int
    path: JsonPath

    @property
    def general(self) -> JsonPath:
        """The path with `*` for each place in a list."""
        return tuple("*" if isinstance(step, int) else step for step in self.path)

    @property
    def key(self) -> str:
        """What it is called there."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")


@dataclass(frozen=True)
class Date:
    """A moment, or a day, relative to when the request was sent."""

    seconds: float
    """From then to the value: negative where it lies before."""
    form: str
    """`moment`, `day`, `s` or `ms`."""


class Sources:
    """The answers of one visit, by the values in them."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._found: dict[str, list[Link]] = defaultdict(list)
        self._ends_s: list[float] = []
        self._sent = [{_text(place.value) for place in request.places()} for request in requests]
        wanted = set().union(*self._sent)
        for number, request in enumerate(requests):
            self._ends_s.append(request.exchange.ended_s)
            for path, value in leaves(request.exchange.answer):
                if (text := _text(value)) in wanted:
                    self._keep(text, Link(number, path))

    def _keep(self, text: str, link: Link) -> None:
        """Of equal values at one general path of an answer the first and the last will do."""
        found = self._found[text]
        if len(found) > 1 and all(
            (other.request, other.general) == (link.request, link.general) for other in found[-2:]
        ):
            found[-1] = link
        else:
            found.append(link)

    def links(self, number: int, place: Place) -> list[Link]:
        """Places in earlier answers that request `number` may have the value from; best first."""
        begins_s = self._requests[number].exchange.started_s + CLOCK_S
        fit = [
            (self._score(number, place, link), link.request, link)
            for link in self._found.get(_text(place.value), ())
            if link.request < number
            and self._ends_s[link.request] <= begins_s
            and _may_be(place, link.key, edits=self._requests[number].method in ("PATCH", "PUT"))
        ]
        fit.sort(key=lambda each: (-each[0], -each[1], len(each[2].path)))
        return [link for _, _, link in fit]

    def _score(self, number: int, place: Place, link: Link) -> int:
        """How well the names go together."""
        request, source = self._requests[number], self._requests[link.request]
        about = place.key if place.where == "path" else request.resource
        score = 0
        if link.key == (place.column or place.key):
            score += 2
        if _stem(link.key, source.resource) == _stem(place.column or place.key, about):
            score += 3
        if _text(place.value) in self._sent[link.request]:
            score -= 6  # it only gives back what it was asked with
        elif source.method == "POST" and source.writes:
            score += 6  # what was created here is meant, wherever it is listed later
        return score


def leaves(value: Any) -> Iterator[tuple[JsonPath, Scalar]]:
    """Each value of a decoded answer that could be sent again, with its path."""
    waiting: list[tuple[JsonPath, Any]] = [((), value)]
    seen = 0
    while waiting and seen < LEAVES_MAX:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(
                ((*path, name), inner) for name, inner in value.items() if _KEY.fullmatch(name)
            )
        elif isinstance(value, list):
            waiting.extend(((*path, number), inner) for number, inner in enumerate(value))
        elif path and value is not None and not isinstance(value, bool):
            seen += 1
            if not isinstance(value, str) or 0 < len(value) <= TEXT_LENGTH_MAX:
                yield path, value


def singular(word: str) -> str:
    """`notes` → `note`, by the rules that hold for most words."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|x|ch|sh)es$", word):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def is_id_name(name: str) -> bool:
    """Whether what is called so is the key of a row."""
    return bool(_ID_NAME.search(name))


def own(place: Place, person: Person) -> str:
    """What of the user it is: `id`, `email` or `claim`; empty where it is nothing of theirs."""
    text = _text(place.value)
    if text in person.ids and (UUID.fullmatch(text) or _names_a_key(place)):
        return "id"
    if text.lower() in person.emails:
        return "email"
    return "claim" if text in person.claims else ""


def is_secret(place: Place, secrets: frozenset[str]) -> bool:
    """Whether it may not be written, wherever it came from."""
    if not isinstance(place.value, str | int) or isinstance(place.value, bool):
        return False
    text = str(place.value)
    if looks_secret(text) or text in secrets:
        return True
    if place.where == "path" and _OPENS.search(place.key):
        return True
    return bool(text) and is_secret_name(place.key) and not place.is_page


def is_email(place: Place) -> bool:
    """Whether it is somebody's e-mail address."""
    return isinstance(place.value, str) and bool(EMAIL.search(place.value))


def date_of(place: Place, sent_s: float) -> Date | None:
    """The value as a date; None where it is none, or none near the recording."""
    value = place.value
    if isinstance(value, str) and (_MOMENT.fullmatch(value) or _DAY.fullmatch(value)):
        try:
            moment = datetime.fromisoformat(value.upper().replace(" ", "T"))
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        form = "day" if _DAY.fullmatch(value) else "moment"
        seconds = moment.timestamp() - sent_s
    else:
        text = _text(value)
        if not re.fullmatch(r"\d{10}|\d{13}", text) or not _TIME_NAME.search(
            place.column or place.key
        ):
            return None
        form = "ms" if len(text) == 13 else "s"
        seconds = int(text) / (1000 if form == "ms" else 1) - sent_s
    return Date(seconds, form) if abs(seconds) <= DATE_DAYS_MAX * 86400 else None


def _may_be(place: Place, source_key: str, *, edits: bool) -> bool:
    """Whether equal values are the same thing, and not by chance.

    Args:
        place: in the request.
        source_key: what the value was called in the answer.
        edits: whether the request may send back a row that was read.
    """
    value, key = place.value, place.column or place.key
    if isinstance(value, bool) or value is None:
        return False
    text = _text(value)
    if UUID.fullmatch(text) or _UNGUESSABLE.fullmatch(text) or _MOMENT.fullmatch(text):
        return True
    if isinstance(value, int) or text.isdigit():
        return _names_a_key(place) and (is_id_name(source_key) or source_key == key)
    if place.where == "path":
        return bool(_SLUG_NAME.search(source_key))
    if _SLUG_NAME.search(key) or is_id_name(key):
        return source_key == key or is_id_name(source_key) or bool(_SLUG_NAME.search(source_key))
    return edits and place.where == "json" and source_key == key and len(text) >= 8


def _names_a_key(place: Place) -> bool:
    """Whether a number there is the key of a row."""
    return place.where == "path" or is_id_name(place.column or place.key)


def _stem(key: str, about: str) -> str:
    """What a key is the key of: `note_id`, and `id` of `notes`, are both `note`."""
    plain = re.sub(r"(_?ids?|_?uuid|Ids?|ID)$", "", key)
    return singular((plain or about).lower())


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else str(value)
