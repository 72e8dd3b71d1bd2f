"""What nobody foresaw, as an error of the one tree; and folders tried before they are used.

Every process of ours that ends with our exit codes ends through `explained`. Writes the traceback
of what is a defect of ours to a file of its own in the temporary folder, without secrets.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import tempfile
import traceback
from pathlib import Path

from phasegate.model.errors import CannotMeasure, ConfigurationError, PhasegateError, Unforeseen
from phasegate.records import scrub

# What a machine, a disk or an account refuses, as opposed to what a program does wrong.
REFUSED_BY_THE_MACHINE = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "EIO", "ENXIO", "ENODEV"),
        *("ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", "ENAMETOOLONG", "ELOOP", "EXDEV"),
        *("EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EBUSY", "ETXTBSY", "ENOEXEC", "ESTALE"),
    )
)

# The records, charts and logs of a full run take 8 MB.
SPACE_BYTES_MIN = 16 << 20

PROBE_BYTES = 1 << 16

SECRET_NAMES = re.compile("KEY|SECRET|TOKEN|PASS|URL|DSN", re.IGNORECASE)
SECRET_LENGTH_MIN = 4


def explained(error: BaseException) -> PhasegateError:
    """`error` as one of the tree: itself, what the machine refused, or a defect of ours.

    The traceback of a defect is kept in a file, which the sentence names.
    """
    if isinstance(error, PhasegateError):
        return error
    if isinstance(error, OSError) and error.errno in REFUSED_BY_THE_MACHINE:
        what = cause_of(error)
        return ConfigurationError(
            f"{error.filename}: {what}" if error.filename is not None else what,
            untouched="What was started has been stopped",
            then="Put that right, or name another folder, and start again",
        )
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return CannotMeasure(
            f"A connection broke off: {_without_secrets(cause_of(error))}",
            then="See that the server is there, and start again",
        )
    kept = _keep_traceback(error)
    named = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
    return Unforeseen(
        f"This is a defect of phasegate: {_without_secrets(named)[:160]}",
        untouched="Nothing of it was kept, and it is no verdict",
        then=f"Report it with {kept}" if kept else "Its traceback could not be kept",
    )


def cause_of(error: OSError) -> str:
    """What the system says of it; that of the first file where a whole tree was copied."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        said = str(error.args[0][0][-1])
        return said.partition("] ")[2].partition(":")[0] or said
    return error.strerror or str(error) or type(error).__name__


def _without_secrets(text: str) -> str:
    """`text` without what looks like a secret, nor any that our environment is known to hold."""
    for name, value in os.environ.items():
        if SECRET_NAMES.search(name):
            password = value.rpartition("@")[0].rpartition(":")[2]
            for secret in (value, password):
                if len(secret) >= SECRET_LENGTH_MIN:
                    text = text.replace(secret, scrub.REMOVED)
    return scrub.text(text)


def _keep_traceback(error: BaseException) -> str | None:
    """Write it, readable by this account alone; its name, or None where that is not possible."""
    text = "".join(
        line if line.startswith("  File ") else _without_secrets(line)
        for line in traceback.format_exception(error)
    )
    try:
        handle, name = tempfile.mkstemp(prefix="phasegate-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as sink:
            sink.write(text)
    except OSError:
        return None
    return name


def require_writable(folder: Path, *, purpose: str, space_bytes: int = SPACE_BYTES_MIN) -> None:
    """See, before anything is measured, that files can be written into `folder`; it is made.

    Args:
        folder: to try; made, with what it lies in, where it is not there.
        purpose: what it is for, as "results".
        space_bytes: that must be free.

    Raises:
        ConfigurationError: it is no folder, is closed to this account, or the disk is full.
    """
    untouched, then = "Nothing was measured", "Make room or open it, or name another folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * PROBE_BYTES)
            probe.flush()
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write to the folder for {purpose}, {folder}: {cause_of(error)}",
            untouched=untouched,
            then=then,
        ) from error
    except ValueError as error:  # a name with a NUL in it
        raise ConfigurationError(
            f"The folder for {purpose} has no possible name: {error}",
            untouched=untouched,
            then="Name another folder",
        ) from error
    if free_bytes < space_bytes:
        raise ConfigurationError(
            f"The disk of the folder for {purpose}, {folder}, has {free_bytes / 1e6:.1f} MB free, "
            f"and {space_bytes / 1e6:.0f} MB are needed",
            untouched=untouched,
            then=then,
        )
