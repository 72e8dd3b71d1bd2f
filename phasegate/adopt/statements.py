"""An SQL file cut into its statements, with the line that each begins on. Pure.

Cuts as psql does: a semicolon inside quotes, comments, parentheses or a routine's body ends none.
What psql itself would carry out (its own commands, rows after `COPY … FROM stdin`) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# One token after the other covers any text: the last alternative takes whatever is left.
_TOKENS = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<quoted>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<end>;)
    | (?P<paren>[()])
    | (?P<space>\s+)
    | (?P<other>[^\s\w\-/'"$;()\\]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")
_BREAKPOINT = re.compile(r"-->\s*statement-breakpoint")
_META = re.compile(r"\\[^\n]*")
_COPY = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_ROWS_END = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)
# The first words of a statement whose body may be `BEGIN ATOMIC … END`.
_ROUTINE = re.compile(r"create( or replace)? (function|procedure)$")


@dataclass(frozen=True)
class Statement:
    """One statement of a file."""

    text: str
    """Without the semicolon, and without comments before it."""
    line: int
    """Of the file, from 1 on."""

    def line_of(self, position: int) -> int:
        """The line of the file that the character `position` of the statement, from 1, is on."""
        return self.line + self.text.count("\n", 0, max(position - 1, 0))

    @property
    def begins(self) -> str:
        """Its first words, to be recognised by."""
        words = " ".join(self.text.split())
        return words if len(words) <= 60 else f"{words[:59]}…"


class _Cutter:
    """Where in a text we are, where the statement began, and what it is inside of."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._next()

    def _next(self) -> None:
        """Between two statements."""
        self.begin: int | None = None
        self.depth = self.blocks = 0
        self.words: list[str] = []

    def statements(self) -> Iterator[Statement]:
        """All of them."""
        text = self.text
        while self.at < len(text):
            start = self.at
            if self.begin is None and text[start] == "\\" and text[start - 1 : start] in ("", "\n"):
                self._skip(_META.match(text, start))
                continue
            token = _TOKENS.match(text, start)
            assert token is not None  # noqa: S101 - the last alternative takes any character
            self.at = token.end()
            if self._take(token):
                if self.begin is not None and text[self.begin : start].strip():
                    yield self._statement(start)
                    if token["end"] and _COPY.match(text, self.begin, start):
                        self._skip(_ROWS_END.search(text, self.at))
                self._next()
        if self.begin is not None:
            yield self._statement(len(text))

    def _take(self, token: re.Match[str]) -> bool:
        """Go behind a token; true where the statement ends with it."""
        kind = token.lastgroup
        if kind == "comment":
            return _BREAKPOINT.match(token[0]) is not None
        if kind == "end" and not self.depth and not self.blocks:
            return True
        if kind == "block":
            self.at = _after_block(self.text, token.start())
        elif kind != "space":
            self.begin = token.start() if self.begin is None else self.begin
            if kind == "dollar":
                close = self.text.find(token[0], self.at)
                self.at = len(self.text) if close < 0 else close + len(token[0])
            elif kind == "word":
                self._word(token[0].lower())
            elif kind == "paren":
                self.depth = max(0, self.depth + (1 if token[0] == "(" else -1))
        return False

    def _word(self, word: str) -> None:
        """Count the blocks of a routine's body."""
        if len(self.words) < 5:
            self.words.append(word)
        if self.depth or not any(_ROUTINE.match(" ".join(self.words[:n])) for n in (2, 4)):
            return
        if word == "begin" or (word == "case" and self.blocks):
            self.blocks += 1
        elif word == "end" and self.blocks:
            self.blocks -= 1

    def _statement(self, end: int) -> Statement:
        begin = self.begin or 0
        return Statement(self.text[begin:end].rstrip(), self.text.count("\n", 0, begin) + 1)

    def _skip(self, match: re.Match[str] | None) -> None:
        self.at = len(self.text) if match is None else match.end()


def statements_of(text: str) -> Iterator[Statement]:
    """The statements of `text`, in order; empty ones are left out.

    Drizzle's `--> statement-breakpoint` ends a statement too. An unfinished quote or comment makes
    the rest one statement, which the server then refuses.
    """
    return _Cutter(text).statements()


def _after_block(text: str, at: int) -> int:
    """Behind a comment that may hold others."""
    depth = 0
    for match in _BLOCK.finditer(text, at):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)
