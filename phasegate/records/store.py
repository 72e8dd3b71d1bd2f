"""Reading and writing records: one JSON file a record, a format version in each.

A file appears whole or not at all (written beside its place, then renamed). A reader refuses a
version that it does not know and names the key of a value that does not fit.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from phasegate.model.errors import ConfigurationError


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a record: immutable, named fields only."""


class Record(Part, frozen=True, kw_only=True):
    """A file's top level. Subclasses state `FORMAT_VERSION` and what changed with each."""

    FORMAT_VERSION: ClassVar[int]
    OLDER_READ: ClassVar[frozenset[int]] = frozenset()
    """Older versions that are read too: all that they lack are fields that have a default."""

    format_version: int


R = TypeVar("R", bound=Record)


class _Header(msgspec.Struct):
    format_version: int


def write(path: Path, record: Record) -> None:
    """Write `record` to `path`, creating folders; the file appears whole or not at all.

    Raises:
        ConfigurationError: the folder is read-only or full, or closed to this account.
    """
    if record.format_version != record.FORMAT_VERSION:
        raise ValueError(f"{type(record).__name__} {record.format_version} is not this version's")
    replace(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path`, creating folders; the file appears whole or not at all.

    Raises:
        ConfigurationError: the folder is read-only or full, or closed to this account.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)  # noqa: PTH105 - the name of the system call that is meant
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise ConfigurationError(
            f"Cannot write {path}: {error.strerror}",
            untouched="What was there is as it was",
            then="Make room or open the folder, or name another, and start again",
        ) from error


def read(path: Path, kind: type[R]) -> R:
    """The record in `path`.

    Raises:
        ConfigurationError: missing, truncated, foreign, of another version, or edited so that a
            value no longer fits; the file and, where there is one, the key are named.
    """
    remedy = "Measure again, or report on another run"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}", then=remedy) from error
    try:
        version = msgspec.json.decode(raw, type=_Header).format_version
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{path} is not a {kind.__name__}: {error}", then=remedy
        ) from error
    if version != kind.FORMAT_VERSION and version not in kind.OLDER_READ:
        newer = version > kind.FORMAT_VERSION
        raise ConfigurationError(
            f"{path} has format version {version}; this phasegate reads {kind.FORMAT_VERSION}",
            then="Use a newer phasegate" if newer else remedy,
        )
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{path} is not a whole {kind.__name__}: {error}", then=remedy
        ) from error
