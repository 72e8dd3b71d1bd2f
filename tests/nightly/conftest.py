"""Otava's environment, made once in the cache folder, for the tests of drift."""

from __future__ import annotations

import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.nightly import drift


@pytest.fixture(scope="session")
def otava() -> None:
    """Apache Otava; skipped where its packages cannot be had."""
    try:
        drift.install()
    except CannotMeasure as error:
        pytest.skip(f"{error.sentence()} With a package registry at hand, this runs.")
