"""README and docs/commands.md are held to the code: every verb and every option stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phasegate.cli.main import VERBS
from phasegate.load.options import ARGUMENTS, Argument

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

README_WORDS_MAX = 600


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
