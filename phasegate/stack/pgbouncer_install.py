"""Finding PgBouncer, and getting it where the package manager can give it without asking.

Reads the PATH and apt's package lists; writes a folder of its own under the cache folder. The
package is unpacked there, not installed: no password is asked for, no service is started, and
nothing of the system changes. Elsewhere the answer is the command that a person would type.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from phasegate.model.errors import ConfigurationError
from phasegate.stack.cache import cache_dir, running_as_root

PROGRAM_VARIABLE = "PHASEGATE_PGBOUNCER"
# Where distributions put it; /usr/sbin is not on an ordinary user's PATH.
USUAL_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")

# Debian 12's. Older ones lack the SCRAM and `SHOW` behaviour that is relied on here.
VERSION_MIN = (1, 18)
# From here on it follows protocol-level prepared statements through a transaction pool.
PREPARED_FROM = (1, 21)
# From here on SIGTERM waits for clients, and SIGQUIT is the immediate stop.
QUIT_FROM = (1, 23)
VERSION_TIMEOUT_S = 10.0

PACKAGE = "pgbouncer"
# Fetching 3 MB from a mirror; longer means that there is no network.
APT_TIMEOUT_S = 60


def unpacked_pgbouncer() -> Path:
    """Where the program lies once `install_pgbouncer` has put it there."""
    return cache_dir() / "pgbouncer-package" / "usr" / "sbin" / "pgbouncer"


def install_command() -> str:
    """What a person types on this platform to get PgBouncer."""
    if sys.platform == "darwin":
        return "brew install pgbouncer"
    for manager in ("apt-get", "dnf", "zypper", "apk"):
        if shutil.which(manager):
            verb = "add" if manager == "apk" else "install"
            return f"sudo {manager} {verb} {PACKAGE}"
    return "install PgBouncer 1.18 or newer, and put it on the PATH"


def library_path(program: Path) -> dict[str, str]:
    """Environment that lets an unpacked `program` find the libraries unpacked beside it."""
    root = program.parents[2]
    if root != unpacked_pgbouncer().parents[2]:
        return {}
    folders = sorted({str(library.parent) for library in root.glob("**/lib*.so*")})
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def install_pgbouncer() -> Path | None:
    """Unpack the distribution's package into the cache folder.

    Returns:
        The program, or None where this platform cannot do it without asking: then
        `install_command` says what to type.
    """
    dpkg = shutil.which("dpkg")
    if dpkg is None or shutil.which("apt-get") is None:
        return None
    home = unpacked_pgbouncer().parents[2]
    beside = home.with_name(f".{home.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o755)
    try:
        if not _download(beside) and running_as_root():
            _apt("update", "-qq", folder=beside)  # a fresh container has no package lists
            _download(beside)
        for package in beside.glob("*.deb"):
            subprocess.run([dpkg, "-x", package, beside], check=True, timeout=APT_TIMEOUT_S)
            package.unlink()
        if not (beside / "usr" / "sbin" / "pgbouncer").exists():
            return None
        shutil.rmtree(home, ignore_errors=True)
        beside.rename(home)
    except (OSError, subprocess.SubprocessError):
        return None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return unpacked_pgbouncer()


def _download(folder: Path) -> bool:
    """Fetch the package and the libraries that it names, but for the C library."""
    told = _apt("depends", "--important", PACKAGE, folder=folder, program="apt-cache")
    wanted = [
        line.split()[-1]
        for line in told.splitlines()
        if "Depends: lib" in line and not line.split()[-1].startswith("libc6")
    ]
    _apt("download", "-qq", PACKAGE, *wanted, folder=folder)
    return any(folder.glob(f"{PACKAGE}_*.deb"))


def _apt(*arguments: str, folder: Path, program: str = "apt-get") -> str:
    """Run apt in `folder` and return what it says; a failure shows in what is missing after."""
    done = subprocess.run(
        [program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=APT_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
    )
    return done.stdout


def find_pgbouncer() -> Path | None:
    """The program on this machine, or None.

    Raises:
        ConfigurationError: `PHASEGATE_PGBOUNCER` names something that is not there.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(
                f"{PROGRAM_VARIABLE} names {named}, which is not there",
                then="Correct it, or unset it to look in the usual places",
            )
        return Path(named)
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], *USUAL_FOLDERS]))
    if found:
        return Path(found)
    unpacked = unpacked_pgbouncer()
    return unpacked if unpacked.is_file() else None


@cache
def pgbouncer_version(program: Path) -> tuple[int, int]:
    """Major and minor version of `program`, as (1, 18).

    Raises:
        ConfigurationError: it does not run, or is older than 1.18.
    """
    try:
        told = subprocess.run(
            [program, "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            env={**os.environ, **library_path(program)},
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{program} does not run: {error}", then=f"Try: {install_command()}"
        ) from error
    return parse_version(told)


def parse_version(told: str) -> tuple[int, int]:
    """The version in what `pgbouncer --version` says.

    Raises:
        ConfigurationError: there is none, or it is older than 1.18.
    """
    match = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    if match is None:
        raise ConfigurationError(
            f"This is not a PgBouncer that phasegate knows: {told.strip()[:80]}",
            then=f"Try: {install_command()}; or name its program in {PROGRAM_VARIABLE}",
        )
    version = (int(match[1]), int(match[2]))
    if version < VERSION_MIN:
        raise ConfigurationError(
            f"PgBouncer {version[0]}.{version[1]} is too old: 1.18 or newer is needed",
            then=f"Try: {install_command()}",
        )
    return version
