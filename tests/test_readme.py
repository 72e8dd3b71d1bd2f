"""The README is held to the code: every verb and every option that it should name is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phasegate.cli.main import phasegate
from phasegate.load.options import ARGUMENTS, Argument

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: argument.name)
def test_an_option_of_the_locustfile_stands_there_with_its_help(argument: Argument) -> None:
    name = f"--{argument.name} {argument.metavar}" if argument.metavar else f"--{argument.name}"
    assert f"| `{name}` | {argument.help} |" in README


@pytest.mark.parametrize("verb", sorted(phasegate.commands))
def test_a_verb_stands_there(verb: str) -> None:
    assert f"phasegate {verb}" in README


def test_every_picture_and_page_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert not [
        link for link in links if not link.startswith("http") and not (ROOT / link).exists()
    ]
