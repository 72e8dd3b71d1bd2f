"""Reading a query parameter from left to right: names, quoted texts, lists.

Text in; what was read out, or the error PGRST100 that names the place. Nesting is bounded, because
this is the one input that could otherwise exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from phasegate.api import errors

T = TypeVar("T")

NESTING_MAX = 40
"""Levels of embeds or of and/or. Deeper is no query that a person wrote."""

_FIELD_NAME = "field name (* or [a..z0..9_$])"


class Scanner:
    """A text and a place in it.

    Args:
        what: the parameter's part of the error message, as `select parameter`.
        text: what is read.
    """

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text
        self.position = 0
        self.depth = 0

    def fail(self, expecting: str) -> errors.ApiError:
        """The error for what stands here."""
        here = self.text[self.position : self.position + 1]
        unexpected = f'"{here}"' if here else "end of input"
        return errors.unparsable(
            self.what, self.text, self.position, unexpected=unexpected, expecting=expecting
        )

    def at(self, literal: str) -> bool:
        """Whether `literal` comes next."""
        return self.text.startswith(literal, self.position)

    def take(self, literal: str) -> bool:
        """Step over `literal` if it comes next."""
        if self.at(literal):
            self.position += len(literal)
            return True
        return False

    def need(self, literal: str, expecting: str | None = None) -> None:
        """Step over `literal`, which must come next."""
        if not self.take(literal):
            raise self.fail(expecting or f'"{literal}"')

    def blanks(self) -> None:
        """Step over blanks and tabs."""
        while self.position < len(self.text) and self.text[self.position] in " \t":
            self.position += 1

    def end(self, expecting: str = "end of input") -> None:
        """Nothing may follow."""
        if self.position < len(self.text):
            raise self.fail(expecting)

    def while_(self, belongs: Callable[[str], bool]) -> str:
        """The longest run of characters that belong."""
        start = self.position
        while self.position < len(self.text) and belongs(self.text[self.position]):
            self.position += 1
        return self.text[start : self.position]

    def inside(self, parse: Callable[[], T]) -> T:
        """`( … )` around what `parse` reads."""
        self.need("(")
        self.depth += 1
        if self.depth > NESTING_MAX:
            raise self.fail(f"at most {NESTING_MAX} levels of nesting")
        parsed = parse()
        self.depth -= 1
        self.need(")", '")" or ","')
        return parsed

    def separated(self, parse: Callable[[], T]) -> tuple[T, ...]:
        """One or more, with commas between."""
        found = [parse()]
        self.blanks()
        while self.take(","):
            self.blanks()
            found.append(parse())
            self.blanks()
        return tuple(found)


def is_identifier(character: str) -> bool:
    """Whether an unquoted name may hold `character`."""
    return character.isalpha() or character.isdigit() or character in "_ $"


def quoted(scanner: Scanner) -> str:
    """A text between double quotes; a backslash takes the next character as it is."""
    scanner.need('"')
    parts: list[str] = []
    while not scanner.take('"'):
        parts.append(scanner.while_(lambda character: character not in '\\"'))
        if scanner.take("\\"):
            if scanner.position == len(scanner.text):
                raise scanner.fail("a character")
            parts.append(scanner.text[scanner.position])
            scanner.position += 1
        elif not scanner.at('"'):
            raise scanner.fail('"\\"" or "\\\\"')
    return "".join(parts)


def name(scanner: Scanner) -> str:
    """The name of a column, relation or function argument."""
    if scanner.at('"'):
        return quoted(scanner)
    parts: list[str] = []
    while True:
        part = scanner.while_(is_identifier).strip()
        if not part:
            raise scanner.fail(_FIELD_NAME)
        parts.append(part)
        if scanner.at("->") or not scanner.take("-"):
            return "-".join(parts)


def elements(text: str) -> list[str]:
    """The elements of `(a,b,"c,d")`.

    Raises:
        ApiError: PGRST100.
    """
    scanner = Scanner("filter", text)
    found = elements_from(scanner)
    scanner.end()
    return found


def elements_from(scanner: Scanner) -> list[str]:
    """As `elements`, from the scanner's place on."""
    scanner.blanks()
    scanner.need("(")
    found = [element(scanner)]
    while scanner.take(","):
        found.append(element(scanner))
    scanner.need(")", '"," or ")"')
    scanner.blanks()
    return found


def element(scanner: Scanner) -> str:
    """A quoted text that ends where the element ends, or whatever stands before `,` or `)`."""
    start = scanner.position
    if scanner.at('"'):
        try:
            inner = quoted(scanner)
        except errors.ApiError:
            inner = ""
            scanner.position = len(scanner.text)
        if scanner.position < len(scanner.text) and scanner.text[scanner.position] in ",)":
            return inner
        scanner.position = start
    return scanner.while_(lambda character: character not in ",)")
