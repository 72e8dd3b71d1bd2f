"""The walk-throughs of CONTRIBUTING.md for clicks and sessions, followed on the code they show."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.records import store
from phasegate.records.load import LoadRecord

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.load.conftest import TinyServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def shown(section: str) -> str:
    """The code that the section shows."""
    found = re.search(rf"^## {section}$.*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def test_a_click_and_a_session_are_one_edit_of_the_locustfile_each(
    tiny_server: Callable[..., TinyServer], tmp_path: Path
) -> None:
    for name in ("phasegate.toml", "seed", "benchmarks", "loadtests"):
        path = ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    file = tmp_path / "loadtests" / "locustfile.py"
    sessions = file.read_text(encoding="utf-8")
    next_one = '    @tag("write")\n'
    assert sessions.count(next_one) == 1
    changed = f"{shown('Adding a click')}\n{shown('Adding a session')}\n{next_one}"
    file.write_text(sessions.replace(f"\n{next_one}", changed), encoding="utf-8")
    server = tiny_server()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(file), "--headless"),
            *("--host", server.url, "--arrival-rate", "40", "--stage-duration", "2"),
            *("--think-time-scale", "0.05", "--tags", "read", "projects"),
            *("--out", str(tmp_path), "--stage-name", "s"),
        ],
        env={k: v for k, v in server.environment.items() if k != "PHASEGATE_PROJECT"},
        check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr  # 3 on a machine that is busy otherwise
    record = store.read(tmp_path / "s.json", LoadRecord)
    failures = {action.name: action.failures for action in record.actions}
    assert failures["open all projects"] == failures["create project"] == 0
    counted = server.counted()["requests"]
    assert record.rows_created == record.rows_removed == counted["DELETE projects"] > 0
