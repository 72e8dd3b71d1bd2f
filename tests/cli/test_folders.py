"""Folders and files as machines have them: odd names, closed, read-only, full, not executable."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from phasegate.project import VARIABLE
from phasegate.stack.postgres import create_cluster, running_postgres
from phasegate.stack.processes import is_running, noted_pid

# Root as permission bits bind it: what is another account's is closed to it.
WITHOUT_OVERRIDE = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--")
OTHER_ACCOUNT = 65534

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
SEED = ("seed", "--users", "50")
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every account may enter."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def call(
    environment: Mapping[str, str],
    *arguments: str | Path,
    before: str = "",
    folder: Path | None = None,
    bound: bool = False,
    **changed: str,
) -> Done:
    """`phasegate ARGUMENTS…`, after shell commands in a mount namespace of its own, if any.

    In `folder` the project is the one that is found there. `bound` runs it without the right to
    pass over permission bits.
    """
    command = [sys.executable, "-m", "phasegate", *map(str, arguments)]
    if bound:
        command = [*WITHOUT_OVERRIDE, *command]
    if before:
        command = ["unshare", "--mount", "sh", "-ec", f'{before}; exec "$@"', "sh", *command]
    kept = {name: said for name, said in environment.items() if not folder or name != VARIABLE}
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**kept, **changed},
        cwd=folder,
        timeout=180,
    )


def assert_one_line(done: Done, code: int, *named: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()
    assert len(said) == 1, done.stderr
    assert said[0].startswith("phasegate: ")
    for words in named:
        assert words in said[0]


def assert_nothing_runs(folder: Path) -> None:
    found = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or ())
    ]
    assert not found


@pytest.fixture
def mounts() -> None:
    """Skip where this account may not mount in a namespace of its own."""
    tried = ["unshare", "--mount", "true"]
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mounting in a namespace of one's own needs root and unshare")
    if subprocess.run(tried, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root make mount namespaces")


@pytest.fixture
def closed(home: Path) -> Path:
    """A folder of another account, closed to `call(bound=True)`."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("a folder of another account needs root and setpriv")
    folder = home / "closed"
    folder.mkdir(mode=0o755)
    os.chown(folder, OTHER_ACCOUNT, OTHER_ACCOUNT)
    return folder


# Each of these alone has been in a path's way; a cluster takes seconds, so one folder has them all.
ODD_NAMES = ("cäche-日本", "with blank", "quo'te", "hash#x;y=z%", "x" * 200)


def test_a_cache_folder_with_odd_names_in_its_path_works_and_leaves_nothing_running(
    environment: dict[str, str], home: Path
) -> None:
    cache = f"{home}/{'/'.join(ODD_NAMES)}/"
    done = call(environment, *SEED, PHASEGATE_CACHE_DIR=cache)
    assert done.returncode == 0, done.stderr
    assert list(Path(cache).glob("cluster-*/data/PG_VERSION"))
    assert_nothing_runs(home)


def test_a_whole_stack_stands_and_falls_in_a_folder_with_an_odd_name(
    environment: dict[str, str], home: Path
) -> None:
    (home / "real").mkdir(mode=0o755)
    (home / "quo'te ä").symlink_to(home / "real")
    cache = f"{home}/quo'te ä/ünder 'it"
    started = call(environment, "up", "--level", "3", "--users", "50", PHASEGATE_CACHE_DIR=cache)
    try:
        assert started.returncode == 0, started.stderr
        assert re.search(r"# replica +running", started.stdout)
    finally:
        stopped = call(environment, "down", PHASEGATE_CACHE_DIR=cache)
    assert "postgres" in stopped.stdout
    assert "replica" in stopped.stdout
    assert_nothing_runs(home)


@pytest.mark.parametrize(
    "name", ['dq"te', "dollar$x", "back`tick", "back\\slash", "new\nline", "\udcff", "x" * 300,
             "/".join(["x" * 200] * 5)]
)  # fmt: skip
def test_a_name_that_postgresql_cannot_take_is_refused_before_anything_is_made(
    environment: dict[str, str], home: Path, name: str
) -> None:
    done = call(environment, *SEED, PHASEGATE_CACHE_DIR=f"{home}/{name}")
    assert_one_line(done, 2, "Nothing was started", "PHASEGATE_CACHE_DIR")
    assert not list(home.glob("**/PG_VERSION"))


def test_a_link_in_a_circle_and_the_home_of_nobody_are_refused(
    environment: dict[str, str], home: Path
) -> None:
    (home / "circle").symlink_to(home / "circle")
    for name in (str(home / "circle"), "~no-such-account/x"):
        assert_one_line(call(environment, *SEED, PHASEGATE_CACHE_DIR=name), 2, "names no folder")


def test_a_strict_umask_is_no_obstacle(environment: dict[str, str], home: Path) -> None:
    cache = home / "new" / "cache"
    before = os.umask(0o077)
    try:
        first = call(environment, *SEED, PHASEGATE_CACHE_DIR=str(cache))
        again = call(environment, *SEED, PHASEGATE_CACHE_DIR=str(cache))
    finally:
        os.umask(before)
    assert first.returncode == 0, first.stderr
    assert "nothing was loaded" in again.stdout
    (data,) = cache.glob("cluster-*/data")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.with_name("data.password").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another account")
def test_a_folder_closed_to_the_servers_account_is_named(
    environment: dict[str, str], home: Path
) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    done = call(environment, *SEED, PHASEGATE_CACHE_DIR=str(closed / "cache"))
    assert_one_line(done, 2, f"{closed} is closed to that account", "Nothing was started")


def test_half_a_cluster_of_ours_gives_way_and_a_folder_of_others_does_not(home: Path) -> None:
    half = home / "half"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    (home / "half.password").touch()
    with running_postgres(half) as server:
        assert noted_pid(half) is not None
        assert server.password
    assert not is_running(half)
    others = home / "others"
    others.mkdir()
    (others / "letters.txt").write_text("dear")
    with pytest.raises(Exception, match="is not empty, and no cluster"):
        create_cluster(others)
    assert (others / "letters.txt").read_text() == "dear"


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ro", "Read-only file system"),
        ("size=16m", "No space left on device"),
        ("noexec", "cannot be run: Permission denied"),
    ],
)
def test_a_cache_folder_that_cannot_be_used_is_one_line(
    environment: dict[str, str], home: Path, options: str, said: str
) -> None:
    mount = f"mount -t tmpfs -o {options},mode=755 tmpfs '{home}'"
    done = call(environment, *SEED, before=mount, PHASEGATE_CACHE_DIR=str(home))
    assert_one_line(done, 2, said, "Nothing was started")
    assert_nothing_runs(home)


SMALL = "mount -t tmpfs -o size=4m tmpfs '{}'"
MEASURING = [
    ("run", "--quick", "--users", "50"),
    ("gate", "--to", "2", "--host", "http://127.0.0.1:9"),
]


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("verb", MEASURING, ids=lambda verb: verb[0])
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("mount -t tmpfs -o ro tmpfs '{}'", "Read-only file system"),
        (
            "mount -t tmpfs -o size=4m tmpfs '{}'; head -c 5m /dev/zero >'{}/x' 2>&- || :",
            "No space",
        ),
        (SMALL, "4.2 MB free"),
    ],
    ids=["read-only", "full", "nearly-full"],
)
def test_a_results_folder_that_cannot_be_written_is_found_before_anything_is_measured(
    environment: dict[str, str], home: Path, verb: tuple[str, ...], prepare: str, said: str
) -> None:
    mount = prepare.replace("{}", str(home))
    done = call(environment, *verb, "--results", home, before=mount)
    assert_one_line(done, 2, said, "Nothing was measured")


def test_a_file_in_the_place_of_a_folder_is_one_line(
    environment: dict[str, str], home: Path
) -> None:
    (home / "file").touch()
    done = call(environment, "run", "--quick", "--results", home / "file")
    assert_one_line(done, 2, "file")
    done = call(environment, "run", "--quick", "--results", home / "file" / "below")
    assert_one_line(done, 2, "Not a directory", "Nothing was measured")
    done = call(environment, *SEED, PHASEGATE_CACHE_DIR=str(home / "file"))
    assert_one_line(done, 2, "File exists", "Nothing was started")


def test_folders_of_another_account_are_one_line(environment: dict[str, str], closed: Path) -> None:
    done = call(environment, "run", "--quick", "--results", closed, bound=True)
    assert_one_line(done, 2, "Permission denied", "Nothing was measured")
    for name in (closed, closed / "new"):
        done = call(environment, *SEED, bound=True, PHASEGATE_CACHE_DIR=str(name))
        assert_one_line(done, 2, "Permission denied", "Nothing was started")


@pytest.mark.parametrize(
    "verb",
    [("seed", "--users", "5", "--describe"), ("cost", "--users", "5", PUBLISHED),
     ("gate", "--to", "2", PUBLISHED), ("report", PUBLISHED), ("up",), ("run",),
     ("nightly", "--baseline", "HEAD"), ("compare", PUBLISHED, PUBLISHED)],
    ids=lambda verb: verb[0],
)  # fmt: skip
def test_settings_that_cannot_be_read_are_one_line(
    environment: dict[str, str], home: Path, verb: tuple[str, ...]
) -> None:
    settings = home / "phasegate.toml"
    settings.write_bytes(b"[slo]\n# caf\xe9\n")
    assert_one_line(call(environment, *verb, folder=home), 2, "phasegate.toml", "UTF-8")
    settings.unlink()
    settings.mkdir()
    assert_one_line(call(environment, *verb, folder=home), 2, "phasegate.toml", "directory")


def test_settings_closed_to_this_account_are_one_line(
    environment: dict[str, str], closed: Path
) -> None:
    settings = closed.parent / "phasegate.toml"
    settings.touch(mode=0o600)
    os.chown(settings, OTHER_ACCOUNT, OTHER_ACCOUNT)
    done = call(environment, "seed", "--users", "5", "--describe", folder=closed.parent, bound=True)
    assert_one_line(done, 2, "phasegate.toml", "Permission denied")


BROKEN = """
import click
from phasegate import __main__
from phasegate.cli import main as cli
@cli.phasegate.command()
def broken():
    raise {}
__main__.main()
"""


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("ValueError('of a password=hunter22 that went astray')", 70),
        ("RecursionError()", 70),
        ("OSError('without a number')", 70),
        ("PermissionError(13, 'Permission denied', '/some/where')", 2),
        ("ConnectionResetError(104, 'Connection reset by peer')", 3),
    ],
)
def test_what_nobody_foresaw_is_never_taken_for_a_verdict(
    environment: dict[str, str], home: Path, fault: str, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(fault), "broken"],
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "TMPDIR": str(home)},
        timeout=60,
    )
    assert_one_line(done, code)
    assert "hunter22" not in done.stderr
    kept = list(home.glob("phasegate-traceback-*.txt"))
    assert len(kept) == (code == 70)
    for path in kept:
        assert str(path) in done.stderr
        assert "Traceback (most recent call last)" in path.read_text()
        assert "hunter22" not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
