"""Columns of texts that match a regular expression of the simple kind.

Pure. A pattern becomes a row of **slots**, each one of a few texts; a slot that a repetition or an
alternative may leave out has a gate. Slots side by side without gates are joined.
"""

from __future__ import annotations

# The parser that `re` itself uses; there is no other public way to its tree.
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, hashed
from phasegate.seeding.column import JSON_VALUE, Column, check_enough, file_of, other_places
from phasegate.seeding.fields import Field, Piece, led_by, literal, packed
from phasegate.seeding.rows import Rows

# `*`, `+` and `{n,}` stop after so many.
REPEATS_MAX = 8
# Texts that slots side by side are joined to, at most.
OPTIONS_MAX = 4096
# What a unique text is counted by: more than any table has rows.
_COUNTED_MAX = 1 << 60

_PRINTABLE = [chr(code) for code in range(32, 127)]
_LOWER = string.ascii_lowercase + string.digits
_POSIX = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": " ",
    "[:xdigit:]": "0-9a-f",
}
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": _LOWER,
    "CATEGORY_SPACE": " ",
}

Gate = tuple[int, int, bool]
"""A choice by number, and what it must be: exactly that, or above it."""


@dataclass
class Slot:
    """One of a few texts, where all its gates are open."""

    options: list[str]
    gates: tuple[Gate, ...] = ()


@dataclass
class Parsed:
    """A pattern: its slots, and the numbers that are drawn for its gates."""

    slots: list[Slot] = field(default_factory=list)
    choices: list[tuple[int, int]] = field(default_factory=list)
    """The least and the most of each number."""

    def joined(self) -> list[Slot]:
        """Slots side by side as one, where they stand in every text and are few together."""
        found: list[Slot] = []
        for slot in self.slots:
            last = found[-1] if found else None
            if last is not None and last.gates == slot.gates:
                count = len(last.options) * len(slot.options)
                if count <= OPTIONS_MAX:
                    last.options = [a + b for a, b in product(last.options, slot.options)]
                    continue
            found.append(Slot(list(slot.options), slot.gates))
        return found

    @property
    def characters_max(self) -> int:
        """Of the longest text, or more where alternatives differ in length."""
        return sum(max(map(len, slot.options)) for slot in self.slots)


def parse(pattern: str, *, widest: bool = False) -> Parsed:
    """The slots of `pattern`; `widest`: every repetition as often as it may be.

    Raises:
        ValueError: it is no regular expression, or has what is not understood.
    """
    for name, characters in _POSIX.items():
        pattern = pattern.replace(name, characters)
    try:
        tree = parser.parse(pattern)
    except (parser.error, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    made = Parsed()
    _add(made, tree, (), widest)
    return made


def _add(made: Parsed, tree: Any, gates: tuple[Gate, ...], widest: bool) -> None:
    for code, argument in tree:
        if code is op.LITERAL:
            made.slots.append(Slot([chr(argument)], gates))
        elif code in (op.ANY, op.IN, op.NOT_LITERAL):
            made.slots.append(Slot(_characters(code, argument), gates))
        elif code in (op.MAX_REPEAT, op.MIN_REPEAT):
            _repeat(made, argument, gates, widest)
        elif code is op.SUBPATTERN:
            _add(made, argument[3], gates, widest)
        elif code is op.BRANCH:
            place = len(made.choices)
            made.choices.append((0, len(argument[1]) - 1))
            for number, branch in enumerate(argument[1]):
                _add(made, branch, (*gates, (place, number, True)), widest)
        elif code is not op.AT:  # the beginning and the end are where they are
            raise ValueError(f"`pattern` takes no {str(code).lower()}")


def _repeat(made: Parsed, argument: Any, gates: tuple[Gate, ...], widest: bool) -> None:
    low, high, inner = argument
    most = max(low, REPEATS_MAX) if high is op.MAXREPEAT else high
    if widest:
        low = most
    place = len(made.choices)
    if low < most:
        made.choices.append((low, most))
    for number in range(most):
        _add(made, inner, gates if number < low else (*gates, (place, number, False)), widest)


def _characters(code: Any, argument: Any) -> list[str]:
    if code is op.ANY:
        return list(_LOWER)
    if code is op.NOT_LITERAL:
        return [one for one in _PRINTABLE if ord(one) != argument]
    found: list[str] = []
    negated = False
    for kind, value in argument:
        if kind is op.NEGATE:
            negated = True
        elif kind is op.LITERAL:
            found.append(chr(value))
        elif kind is op.RANGE:
            found += [chr(one) for one in range(value[0], value[1] + 1)]
        elif str(value) in _CATEGORIES:
            found += _CATEGORIES[str(value)]
        else:
            raise ValueError(f"`pattern` takes no {str(value).lower()}")
    if negated:
        found = [one for one in _LOWER if one not in found] or [
            one for one in _PRINTABLE if one not in found
        ]
    if not found:
        raise ValueError("`pattern` has a class without characters")
    return list(dict.fromkeys(found))


@dataclass
class Pattern(Column):
    """`pattern`: a text by a regular expression; unique ones count through its texts."""

    def __post_init__(self) -> None:
        """Slots as words."""
        pg, file = self.place.pg, file_of(self)
        if not pg.is_text and pg is not JSON_VALUE:
            self.place.refuse(f"a column of type {pg.name} takes no text")
        try:
            parsed = parse(file.pattern or "", widest=bool(file.unique))
        except ValueError as error:
            self.place.refuse(str(error))
        most = pg.characters_max
        if most and parsed.characters_max > most:
            self.place.refuse(
                f"a text may have {parsed.characters_max} characters, and the column takes {most}"
            )
        self._choices = parsed.choices
        self._slots = parsed.joined()
        self._words = [packed(self._quoted(slot.options)) for slot in self._slots]
        self._counted = self._counting() if file.unique else 0

    def _quoted(self, options: list[str]) -> list[str]:
        if self.place.pg is not JSON_VALUE:
            return options
        return [one.replace("\\", "\\\\").replace('"', '\\"') for one in options]

    def _counting(self) -> int:
        """Texts that unique ones are counted through: by the last slots that each text has."""
        count = 1
        for slot in reversed(self._slots):
            if not slot.gates and count * len(slot.options) <= _COUNTED_MAX:
                count *= len(slot.options)
        check_enough(self, count)
        return count

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        numbers = [low + _part(chance, high - low + 1) for chance, (low, high) in self._gates(rows)]
        quote = [literal(b'"', rows.size)] if self.place.pg is JSON_VALUE else []
        pieces: list[Piece] = [led_by(0, rows.size), *quote]
        places = self._places(rows)
        for slot, words, of_slot in zip(self._slots, self._words, places, strict=True):
            items, lengths = words.take(of_slot)
            for place, wanted, exactly in slot.gates:
                drawn = numbers[place]
                lengths = lengths * ((drawn == wanted) if exactly else (drawn > wanted))
            pieces.append((items, lengths))
        return Field(pieces=(*pieces, *quote))

    def _gates(self, rows: Rows) -> Iterator[tuple[U64, tuple[int, int]]]:
        for place, ends in enumerate(self._choices):
            yield self.hashes(rows, f" gate {place}"), ends

    def _places(self, rows: Rows) -> list[NDArray[np.intp]]:
        """Which of its texts each slot has."""
        if not self._slots:
            return []
        chance, made = self.hashes(rows), []
        for number, slot in enumerate(self._slots):
            if number:
                chance = hashed(number, chance)
            made.append(_part(chance, len(slot.options)).astype(np.intp))
        if self._counted:
            left = other_places(self, rows, self._counted)
            count = 1
            for number in range(len(self._slots) - 1, -1, -1):
                options = len(self._slots[number].options)
                if not self._slots[number].gates and count * options <= _COUNTED_MAX:
                    made[number] = (left % options).astype(np.intp)
                    left, count = left // options, count * options
        return made


def _part(chance: U64, count: int) -> NDArray[np.int64]:
    """One of `count` for each hash, by its upper 32 bits."""
    return (((chance >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)).view(np.int64)
