"""Text of Python, laid out as a person does it: strings, literals, calls. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

WIDTH = 98
INDENT = "    "

# A URL breaks in front of these.
_BREAKS = re.compile(r"(?=[&?])")
_PRINTABLE = "".join(chr(code) for code in range(33, 127))


@dataclass(frozen=True)
class Code:
    """An expression that stands for a value."""

    text: str


def string(parts: list[str | Code], *, room: int = 0) -> list[str]:
    """A text of literal parts and expressions: one literal a line, to be put one below the other.

    Args:
        parts: in their order.
        room: columns of a line, for a URL, which is broken where a parameter begins and is encoded
            where it holds what no URL may; 0 for another text.
    """
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, Code):
            pieces.append(f"{{{part.text}}}")
            continue
        text = quote(part, safe=_PRINTABLE) if room else part
        for piece in _BREAKS.split(text) if room else [text]:
            escaped = _escaped(piece)
            pieces.append(escaped.replace("{", "{{").replace("}", "}}"))
    lines = [""]
    for at, piece in enumerate(pieces):
        ahead = piece
        for after in pieces[at + 1 :]:
            if after[:1] in ("&", "?"):
                break
            ahead += after
        if room and lines[-1] and piece[:1] in ("&", "?") and len(lines[-1]) + len(ahead) > room:
            lines.append("")
        lines[-1] += piece
    is_f = [bool(re.search(r"(?<!\{)(?:\{\{)*\{(?!\{)", line)) for line in lines]
    return [
        f'f"{line}"' if f else f'"{line.replace("{{", "{").replace("}}", "}")}"'
        for line, f in zip(lines, is_f, strict=True)
    ]


def _escaped(text: str) -> str:
    shown = repr(text)[1:-1]
    if repr(text)[0] == "'":
        shown = shown.replace("\\'", "'").replace('"', '\\"')
    return shown


def literal(value: Any, indent: int, used: int = 0) -> str:
    """A literal of dicts, lists, scalars and `Code`; broken over lines where one does not hold it.

    Args:
        value: what it is of.
        indent: columns that its first line is indented by.
        used: columns in front of it and behind it on that line.
    """
    flat = _flat(value)
    if indent + used + len(flat) <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = " " * indent + INDENT
    if isinstance(value, dict):
        rows = [
            f"{inner}{_flat(key)}: {literal(each, indent + 4, len(_flat(key)) + 3)},"
            for key, each in value.items()
        ]
        return "\n".join(["{", *rows, " " * indent + "}"])
    rows = [f"{inner}{literal(each, indent + 4, 1)}," for each in value]
    return "\n".join(["[", *rows, " " * indent + "]"])


def _flat(value: Any) -> str:
    if isinstance(value, Code):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    return repr(value)


def call(opening: str, arguments: list[str | list[str]], closing: str, indent: int) -> list[str]:
    """A call on one line, or with an argument a line; the strings of one argument stay together.

    Args:
        opening: up to the parenthesis: `notes = self.client.get(`.
        arguments: each on one line, or the lines of one string.
        closing: from the parenthesis on.
        indent: columns.
    """
    pad = " " * indent
    flat = [each if isinstance(each, str) else " ".join(each) for each in arguments]
    single = all(isinstance(each, str) or len(each) == 1 for each in arguments)
    one_line = f"{pad}{opening}{', '.join(flat)}{closing}"
    if single and "\n" not in one_line and len(one_line) <= WIDTH + 2:
        return [one_line]
    lines = [pad + opening]
    for argument in arguments:
        parts = [argument] if isinstance(argument, str) else argument
        lines += [f"{pad}{INDENT}{part}" for part in parts]
        lines[-1] += ","
    return [*lines, pad + closing]


def assigned(name: str, expression: str, pad: str) -> list[str]:
    """An assignment; a call that one line does not hold has its argument on a line of its own."""
    line = f"{pad}{name} = {expression}"
    called, _, argument = expression.partition("(")
    if len(line) <= WIDTH + 2 or not called.replace(".", "").isidentifier():
        return [line]
    return [f"{pad}{name} = {called}(", f"{pad}{INDENT}{argument.removesuffix(')')}", f"{pad})"]
