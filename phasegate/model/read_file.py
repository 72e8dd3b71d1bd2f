"""Reads text and TOML that people write; what is wrong is named, with what to do about it."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from phasegate.model.errors import ConfigurationError

T = TypeVar("T")

# Of a path of msgspec's: `.key`, `[number]`, or `[...]` for any key of a table.
_STEP = re.compile(r"\.(\w+)|\[(?:(\d+)|\.\.\.)\]")


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


def as_record(tables: Any, kind: type[T], name: str, *, untouched: str, then: str) -> T:
    """What TOML said, as a record.

    Args:
        tables: as `read_toml` gives them, or a part.
        kind: of the record.
        name: of the file, as messages name it.
        untouched: what messages say was left as it was.
        then: where every key is documented.

    Raises:
        ConfigurationError: unknown key, wrong type; the key is named.
    """
    try:
        return msgspec.convert(tables, kind, strict=True)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        key = _key(tables, kind, str(error), path.removesuffix("`"))
        raise ConfigurationError(
            f"{name}: {key}: {what}" if key else f"{name}: {what}", untouched=untouched, then=then
        ) from error


def _key(tables: Any, kind: type, said: str, path: str) -> str:
    """`path` with the names in it that msgspec writes as `[...]`: those that alone fail too."""
    whole = place = deepcopy(tables)
    key = ""
    for step, number in _STEP.findall(path):
        if step:
            key += f".{step}"
            place = place[step]
        elif number:
            key += f"[{number}]"
            place = place[int(number)]
        else:
            name = next((one for one in [*place] if _fails(whole, kind, said, place, one)), None)
            if name is None:
                return path.removeprefix(".")
            key += f".{name}"
            place = place[name]
    return key.removeprefix(".")


def _fails(whole: Any, kind: type, said: str, place: dict[str, Any], name: str) -> bool:
    """Whether `whole` fails as it did with `name` alone in `place`; it then stays so."""
    others = dict(place)
    place.clear()
    place[name] = others[name]
    try:
        msgspec.convert(whole, kind, strict=True)
    except msgspec.ValidationError as error:
        if str(error) == said:
            return True
    place.update(others)
    return False
