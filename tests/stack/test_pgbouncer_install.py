from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from phasegate.stack.pgbouncer_install import (
    find_pgbouncer,
    install_command,
    install_pgbouncer,
    library_path,
    parse_version,
    unpacked_pgbouncer,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PHASEGATE_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_without_a_package_manager_there_is_nothing_to_install_from(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(cache))
    assert install_pgbouncer() is None
    assert list(cache.iterdir()) == []
    assert install_command().startswith("install PgBouncer 1.18 or newer")


def test_a_package_manager_that_fails_leaves_nothing_behind(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = cache / "bin"
    programs.mkdir()
    for name in ("apt-get", "apt-cache", "dpkg"):
        program = programs / name
        program.write_text("#!/bin/sh\necho 'no network' >&2\nexit 100\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    assert install_pgbouncer() is None
    assert [path.name for path in cache.iterdir()] == ["bin"]


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="this platform has no apt-get")
def test_the_package_is_unpacked_into_the_cache_folder_and_runs_from_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install_pgbouncer()
    if program is None:
        pytest.skip("apt-get has no package lists here, or no network: apt-get update")
    assert program == unpacked_pgbouncer()
    environment = {**os.environ, **library_path(program)}
    told = subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True, env=environment
    )
    assert parse_version(told.stdout) >= (1, 18)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert find_pgbouncer() == program
