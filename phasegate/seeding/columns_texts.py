"""Columns that are put together: texts of words, templates of json, arrays, functions of a project.

Pure, but for the project's own functions, which are to be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, hashed
from phasegate.project.declared import IN_TEXT
from phasegate.project.population import VocabularyFile
from phasegate.project.population_columns import ColumnFile, as_column, drawn_in
from phasegate.seeding.column import JSON_VALUE, Column, file_of
from phasegate.seeding.columns_keys import locale_of
from phasegate.seeding.columns_numbers import Sibling
from phasegate.seeding.entity import Indices
from phasegate.seeding.fields import (
    Field,
    Piece,
    Words,
    led_by,
    literal,
    packed,
    whole_fields,
)
from phasegate.seeding.pg_types import JSONS, decimal_text, moments, numbers
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import POSTGRES_EPOCH
from phasegate.seeding.vocabulary import WORD_BITS, WORDS, words_of

_PARTS = re.compile(r"\{(\w+(?::0\d+)?)\}")
_WORDS_PER_HASH = 6
# Types from this number on are the database's own (FirstNormalObjectId): it differs between two.
_OWN_OIDS = 16_384


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


@dataclass
class Text(Column):
    """`text`: words of vocabularies and numbers of the row, with what stands between them."""

    def __post_init__(self) -> None:
        """Literals go with the words before or behind them: fewer pieces."""
        pg = self.place.pg
        if not pg.is_text and pg is not JSON_VALUE:
            self.place.refuse(f"a column of type {pg.name} takes no text")
        split = _PARTS.split(file_of(self).text or "")
        literals = split[::2]
        parts = [name.partition(":0") for name in split[1::2]]
        names = [name for name, _, _ in parts]
        self._digits = [int(digits or 0) for _, _, digits in parts]
        if pg is JSON_VALUE:
            literals = [_escaped(part) for part in literals]
            literals[0] = '"' + literals[0]
            literals[-1] += '"'
        self._literals, self._names = literals, names
        self._words: list[Words | None] | None = None

    @property
    def words(self) -> list[Words | None]:
        """Made when first needed: a process that makes no texts does without."""
        if self._words is None:
            self._words = self._made()
            self._check_length()
        return self._words

    def check(self) -> None:
        """See `Column`."""
        _ = self.words

    def _made(self) -> list[Words | None]:
        made: list[Words | None] = []
        for place, name in enumerate(self._names):
            before = self._literals[place]
            behind = self._literals[-1] if place == len(self._names) - 1 else ""
            if name in IN_TEXT:
                made.append(None)
                continue
            texts = [f"{before}{word}{behind}" for word in self._vocabulary(name)]
            made.append(whole_fields(texts) if place == 0 else packed(texts))
        return made

    def _vocabulary(self, name: str) -> list[str]:
        file = self.place.population.declared.file
        vocabulary = file.vocabularies.get(name) or VocabularyFile(faker=(name,))
        key = f"vocabularies.{name}" if name in file.vocabularies else self.place.key
        words = [word for locale in file.locales for word in words_of(vocabulary, locale, key)]
        if file_of(self).cut and self.place.pg.characters_max:
            words = [word[: self._room].rstrip() for word in words]
        return [_escaped(word) for word in words] if self.place.pg is JSON_VALUE else words

    @property
    def _room(self) -> int:
        """Characters that each word may have at most, where words are cut."""
        count = sum(name not in IN_TEXT for name in self._names)
        left = self.place.pg.characters_max - self._characters_without_words()
        if left < count:
            self.place.refuse("leaves no room for words: use a shorter text")
        return left // max(1, count)

    def _characters_without_words(self) -> int:
        """Of what stands between the words, and of numbers."""
        expected = len(str(self.place.population.numbers_expected(self.place.table)))
        numbers = [
            max(digits, expected)
            for name, digits in zip(self._names, self._digits, strict=True)
            if name in IN_TEXT
        ]
        return sum(map(len, self._literals)) + sum(numbers)

    def _check_length(self) -> None:
        most = self.place.pg.characters_max
        if not most:
            return
        longest = self._characters_without_words()
        for name in self._names:
            longest += 0 if name in IN_TEXT else max(map(len, self._vocabulary(name)))
        if longest > most:
            self.place.refuse(
                f"a text may have {longest} characters, and the column takes {most}: draw from "
                "`words` of your own, use a shorter text, or say `cut = true`"
            )

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        words = self.words
        if not words:
            text = self._literals[0].encode()
            return Field(pieces=(led_by(0, rows.size), *_literal(text, rows.size)))
        locale = locale_of(rows)
        chance = self.hashes(rows) if any(words) else np.zeros(0, dtype=np.uint64)
        pieces: list[Piece] = []
        drawn = 0
        for place, of_place in enumerate(words):
            if of_place is None:
                pieces += self._number(rows, place, is_first=place == 0)
                continue
            if drawn and drawn % _WORDS_PER_HASH == 0:
                chance = hashed(drawn, chance)
            pieces.append(of_place.take(_chosen(chance, drawn % _WORDS_PER_HASH, locale)))
            drawn += 1
        return Field(pieces=tuple(pieces), complete=len(words) == 1 and words[0] is not None)

    def _number(self, rows: Rows, place: int, *, is_first: bool) -> list[Piece]:
        values = rows.number if self._names[place] == "number" else rows.ordinal
        pieces = [led_by(0, rows.size)] if is_first else []
        pieces += _literal(self._literals[place].encode(), rows.size)
        pieces.append(decimal_text(values + 1, digits=self._digits[place]))
        if place == len(self._names) - 1:
            pieces += _literal(self._literals[-1].encode(), rows.size)
        return pieces


def _literal(text: bytes, count: int) -> list[Piece]:
    return [literal(text, count)] if text else []


def _chosen(chance: U64, word: int, locale: Indices) -> Indices:
    """Place in the vocabulary of the `word`-th word that `chance` draws (0 to 5)."""
    places = chance >> np.uint64(word * WORD_BITS)
    places &= np.uint64(WORDS - 1)
    return places.view(np.intp) + locale * WORDS


ColumnOf = Callable[[str, ColumnFile | str], Column]
"""A column inside this one, by its path: of a template, or an element."""


@dataclass
class Json(Column):
    """`json`: a template, whose drawn values stand among its text."""

    inside: ColumnOf

    def __post_init__(self) -> None:
        """The text between the drawn values, and these."""
        if self.place.pg.name not in JSONS:
            self.place.refuse(f"a column of type {self.place.pg.name} takes no json")
        self._texts = [b"\1" if self.place.pg.name == "jsonb" else b""]
        self._drawn: list[Column] = []
        self._add(file_of(self).json or {}, "")

    def _add(self, value: Any, path: str) -> None:
        column = as_column(value) if isinstance(value, dict) else None
        if column is not None:
            self._drawn.append(self.inside(path, column))
            self._texts.append(b"")
        elif isinstance(value, list) and any(True for _ in drawn_in(value)):
            for number, inner in enumerate(value):
                self._texts[-1] += b"," if number else b"["
                self._add(inner, f"{path}.{number}")
            self._texts[-1] += b"]"
        elif isinstance(value, dict):
            for number, (name, inner) in enumerate(value.items()):
                opened = "{" if number == 0 else ","
                self._texts[-1] += f"{opened}{json.dumps(name)}:".encode()
                self._add(inner, f"{path}.{name}")
            self._texts[-1] += b"}" if value else b"{}"
        else:
            self._texts[-1] += json.dumps(value, default=str).encode()

    def check(self) -> None:
        """See `Column`."""
        for column in self._drawn:
            column.check()

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        pieces = [led_by(0, rows.size)]
        for text, column in zip(self._texts, [*self._drawn, None], strict=True):
            pieces += _literal(text, rows.size)
            if column is not None:
                pieces += column.of(rows).body()
        return Field(pieces=tuple(pieces))


@dataclass
class Array(Column):
    """`array`: some elements, drawn one by one."""

    inside: ColumnOf

    def __post_init__(self) -> None:
        """As many columns as there may be elements."""
        file, element = file_of(self), self.place.pg.element
        if element is None or file.array is None:
            self.place.refuse(f"a column of type {self.place.pg.name} is no array")
        inner = file.array
        self._low, self._most = file.length
        self._elements = [self.inside(f"[{place}]", inner) for place in range(self._most)]
        # Dimensions, whether there is a null, the element's type; then length and first index.
        self._heads = _array_heads(element.oid, self._most)
        self._neutral = None
        if element.oid >= _OWN_OIDS:
            self._neutral = _array_heads(0, self._most)

    def check(self) -> None:
        """See `Column`."""
        for element in self._elements:
            element.check()

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        span = np.uint64(self._most - self._low + 1)
        sizes = (((self.hashes(rows) >> np.uint64(32)) * span) >> np.uint64(32)).view(np.int64)
        sizes += self._low
        fields = [element.of(rows) for element in self._elements]
        made = _elements((one.as_pieces() for one in fields), sizes)
        neutral: tuple[Piece, ...] = ()
        if self._neutral is not None:
            summed = _elements((one.as_summed() for one in fields), sizes)
            neutral = (self._neutral.take(sizes), *summed)
        return Field(pieces=(self._heads.take(sizes), *made), neutral=neutral)


def _array_heads(oid: int, most: int) -> Words:
    """Heads of arrays of 0 to `most` elements of the type `oid`."""
    whose = oid.to_bytes(4, "big")
    heads = [bytes(8) + whose]
    for size in range(1, most + 1):
        dimension = size.to_bytes(4, "big") + (1).to_bytes(4, "big")
        heads.append((1).to_bytes(4, "big") + bytes(4) + whose + dimension)
    return whole_fields(heads)


def _elements(fields: Iterable[tuple[Piece, ...]], sizes: NDArray[np.int64]) -> list[Piece]:
    """The pieces of each element, empty in rows that have fewer."""
    return [
        (items, lengths * (sizes > place))
        for place, pieces in enumerate(fields)
        for items, lengths in pieces
    ]


@dataclass
class Function(Column):
    """`function`: of the project's `seed/columns.py`, on the rows of a block."""

    call: Callable[[Rows, Sibling], Any]
    sibling: Sibling

    def __post_init__(self) -> None:
        """Whatever it returns may hold nulls."""
        self.nullable = True

    @property
    def fills_by_itself(self) -> bool:
        """See `Column`."""
        return True

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        found = self.call(rows, self.sibling)
        values, null = np.ma.getdata(found), np.ma.getmask(found)
        nulls: NDArray[np.bool_] | None = np.asarray(null) if np.ndim(null) else None
        if len(values) != rows.size:
            self.place.refuse(f"the function returned {len(values)} values for {rows.size} rows")
        try:
            made = self._field(values)
        except ValueError as error:
            self.place.refuse(f"the function's values: {error}")
        return Field(made.data, made.pieces, nulls)

    def _field(self, values: Any) -> Field:
        pg = self.place.pg
        if pg.is_text or pg.name == "enum" or pg.name in JSONS:
            led = b"\1" if pg.name == "jsonb" else b""
            texts = whole_fields([led + str(value).encode() for value in values])
            return Field(pieces=((texts.padded.copy(), texts.lengths),))
        if pg.name == "bool":
            return Field(np.asarray(values, dtype=np.bool_).astype("u1"))
        if np.issubdtype(values.dtype, np.datetime64):
            epoch = np.datetime64(POSTGRES_EPOCH.replace(tzinfo=None), "us")
            us = (values.astype("datetime64[us]") - epoch).astype(np.int64)
            return Field(moments(pg, us))
        return numbers(pg, values, file_of(self).decimals)
