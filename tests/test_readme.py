"""README and docs are held to the code: every verb and option stands there, every call is one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from instruments.__main__ import instruments
from phasegate.cli.main import VERBS, phasegate
from phasegate.load.options import ARGUMENTS, Argument

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

README_WORDS_MAX = 600

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [*DOCUMENTS, *sorted((ROOT / "phasegate").rglob("*.py"))]
FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# Of a line in a fence; settings and what hands limits down may stand before it.
LINE = re.compile(r"^ *(?:\w+=\S+ |systemd-run .* )*(phasegate|python -m instruments|make) (.*)$")
INLINE = re.compile(r"`(phasegate|python -m instruments|make) ([^`\n]+)`")
GONE = "0010-one-package.md"  # which says what calls there were before


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: argument.name)
def test_an_option_of_the_locustfile_stands_there_with_its_help(argument: Argument) -> None:
    name = f"--{argument.name} {argument.metavar}" if argument.metavar else f"--{argument.name}"
    assert f"| `{name}` | {argument.help} |" in COMMANDS


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_stands_there(verb: str) -> None:
    assert f"`phasegate {verb}`" in COMMANDS


def test_every_picture_and_page_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert not [
        link for link in links if not link.startswith("http") and not (ROOT / link).exists()
    ]


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.split()) <= README_WORDS_MAX


def _calls(text: str) -> Iterator[tuple[str, str, bool]]:
    """Program, what it is given, and whether the line is one to copy."""
    for block in FENCE.findall(text):
        for line in block.splitlines():
            if found := LINE.match(line.partition(" #")[0]):
                yield found[1], found[2], True
    for program, call in INLINE.findall(FENCE.sub("", text)):
        yield program, call, False


CALLS = sorted(
    {
        (program, call, to_copy)
        for path in SOURCES
        if path.name != GONE
        for program, call, to_copy in _calls(path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("program", "call", "to_copy"), CALLS)
def test_a_call_that_is_written_somewhere_can_be_made(
    program: str, call: str, to_copy: bool
) -> None:
    given = shlex.split(call)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {name for name in given if "=" not in name} <= set(targets)
        return
    command: click.Command | None = phasegate if program == "phasegate" else instruments
    while isinstance(command, click.Group):
        if given[0].startswith("-"):
            break
        command = command.get_command(click.Context(command), given.pop(0))
    assert command is not None, "no such command"
    said, more, _ = command.make_parser(click.Context(command)).parse_args([*given])
    assert not more or command.name == "load", f"{more} mean nothing to it"
    if to_copy:
        lacking = [each.name for each in command.params if each.required and each.name not in said]
        assert not lacking
