"""The folder that `init` writes: whole or not at all, and never over what somebody edited.

Reads and writes the project's files; `seed/init.toml` remembers what was written, by SHA-256.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from phasegate.model.errors import ConfigurationError, Refused

RECORD = "seed/init.toml"
FORMAT_VERSION = 1
NOTHING = "Nothing was written"
ANOTHER = "Name another folder: phasegate init DIR"

_HEAD = """\
# What `phasegate init` wrote, by SHA-256: commit it. The next init replaces only files that are
# still as they were written, and leaves those alone that you edited.
format_version = {version}

[sha256]
"""


class State(Enum):
    """What became of a file."""

    NEW = "new"
    SAME = "unchanged"
    UPDATED = "updated"
    EDITED = "edited by you, left alone"
    REMOVED = "removed by you, left out"


@dataclass(frozen=True)
class Change:
    """A file of the project, and what a run of `init` does with it.

    Attributes:
        path: below the project's folder.
        state: what becomes of it.
        diff: from what is there to what `init` would write; empty where both are the same.
    """

    path: str
    state: State
    diff: str = ""


def compare(
    folder: Path, files: Mapping[str, str], record: str = RECORD, then: str = ANOTHER
) -> tuple[Change, ...]:
    """What writing `files` into `folder` comes to.

    Args:
        folder: that they are below.
        files: path and text of each.
        record: the file that remembers what was written.
        then: what to do where something is in the way.

    Raises:
        Refused: something that `init` did not write is in the way.
        ConfigurationError: the record of an earlier init cannot be read.
    """
    wrote = _record(folder / record)
    in_the_way = [path for path in files if wrote is None and os.path.lexists(folder / path)]
    if in_the_way:
        raise Refused(
            f"{folder / in_the_way[0]} is there already, and init did not write it",
            untouched=NOTHING,
            then=then,
        )
    return tuple(
        _change(folder, path, text, (wrote or {}).get(path)) for path, text in files.items()
    )


def _change(folder: Path, path: str, text: str, wrote: str | None) -> Change:
    file = folder / path
    if not os.path.lexists(file):
        return Change(path, State.NEW if wrote is None else State.REMOVED, _diff(path, "", text))
    there = file.read_bytes()
    if there == text.encode():
        return Change(path, State.SAME)
    diff = _diff(path, there.decode(errors="replace"), text)
    return Change(path, State.UPDATED if _sha256(there) == wrote else State.EDITED, diff)


def _diff(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), path, f"{path} (init)", lineterm=""
    )
    return "\n".join(lines)


def write(
    folder: Path, files: Mapping[str, str], changes: tuple[Change, ...], record: str = RECORD
) -> None:
    """Write what `compare` found new or to be updated.

    A folder that is not there appears whole. In one that is there, all texts are written first and
    then moved to their places; what was made is taken back where that fails.

    Raises:
        ConfigurationError: the disk does not let us.
    """
    wrote = _record(folder / record) or {}
    kept = {change.path for change in changes if change.state in (State.EDITED, State.REMOVED)}
    hashes = {
        path: wrote[path] if path in kept and path in wrote else _sha256(text.encode())
        for path, text in files.items()
        if path not in kept or path in wrote
    }
    texts = {c.path: files[c.path] for c in changes if c.state in (State.NEW, State.UPDATED)}
    texts[record] = "".join([_HEAD.format(version=FORMAT_VERSION), *_lines(hashes)])
    try:
        _write(folder, texts)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written to: {error.strerror}",
            untouched=NOTHING,
            then="Make room or open it, or name another folder",
        ) from error


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    is_there = folder.is_dir()
    above = folder if is_there else folder.parent
    above.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".phasegate-init-", dir=above))
    try:
        for path, text in texts.items():
            file = beside / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        beside.chmod(0o755)
        if is_there:
            _move_into(beside, folder, list(texts))
        else:
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move_into(beside: Path, folder: Path, paths: list[str]) -> None:
    """Each file to its place, the record last; what an error leaves undone is taken back."""
    made: list[Path] = []
    saved: dict[Path, bytes] = {}
    try:
        for path in paths:
            target = folder / path
            for parent in reversed(target.relative_to(folder).parents):
                if not (folder / parent).is_dir():
                    (folder / parent).mkdir()
                    made.append(folder / parent)
            if target.exists():
                saved[target] = target.read_bytes()
            else:
                made.append(target)
            (beside / path).replace(target)
    except BaseException:
        for target, content in saved.items():
            target.write_bytes(content)
        for target in reversed(made):
            if target.is_dir():
                target.rmdir()
            else:
                target.unlink(missing_ok=True)
        raise


def _record(path: Path) -> dict[str, str] | None:
    """What an earlier init wrote, by its record; None where there was none.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        if said["format_version"] != FORMAT_VERSION:
            raise ValueError("another version")  # noqa: TRY301 - said below, with the rest
        return {str(name): str(value) for name, value in said["sha256"].items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}",
            untouched=NOTHING,
            then="Restore it from git, or name another folder",
        ) from error


def _lines(hashes: Mapping[str, str]) -> Iterator[str]:
    for path, digest in hashes.items():
        yield f'"{path}" = "{digest}"\n'


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
