"""Reads text and TOML that people write; what cannot be read is named, with what to do about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from phasegate.model.errors import ConfigurationError


def read_text(path: Path, name: str = "", *, untouched: str) -> str:
    r"""The text of a file in UTF-8, without a byte order mark, its lines ended by `\n`.

    Args:
        path: of the file.
        name: as messages name it; `path` where empty.
        untouched: what messages say was left as it was.

    Raises:
        ConfigurationError: it cannot be read, or is not UTF-8.
    """
    name = name or str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read {name}: {error.strerror}",
            untouched=untouched,
            then="See that it is there and that this account may read it, then start again",
        ) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{name}, line {line}, is not UTF-8 (byte {error.start})",
            untouched=untouched,
            then="Save it as UTF-8, then start again",
        ) from error


def read_toml(path: Path, name: str = "", *, untouched: str) -> dict[str, Any]:
    """The tables of a TOML file; otherwise as `read_text`.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML; the line is named.
    """
    try:
        return tomllib.loads(read_text(path, name, untouched=untouched))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{name or path} is not valid TOML: {error}",
            untouched=untouched,
            then="Correct it there (text stands in quotes, each [table] and key once), "
            "then start again",
        ) from error
