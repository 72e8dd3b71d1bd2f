"""`phasegate serverless --drive` on a project unlike the task app, until PostgreSQL refuses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from phasegate.cli import options
from phasegate.cli.main import phasegate
from phasegate.records.serverless import ServerlessRecord
from phasegate.serverless import climb
from phasegate.stack.cache import cache_dir

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"

pytestmark = pytest.mark.e2e


def test_connections_of_a_size_are_opened_until_there_is_none_left(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "run_to_add_to", lambda *_: None)  # whoever has runs keeps them
    monkeypatch.setenv("PHASEGATE_CACHE_DIR", str(cache))
    assert cache_dir() == cache
    monkeypatch.setattr(climb, "STEP_S", 0.5)
    monkeypatch.setattr(climb, "RAMP_STEP_S", 0.2)
    done = CliRunner().invoke(
        phasegate,
        [
            *("serverless", "--drive", "--compute", "nano", "--through", "straight", "--json"),
            *("--users", "300", "--project", str(HELPDESK)),
            *("--technique", "inbox_index", "--arm", "before"),
        ],
    )
    record = msgspec.json.decode(done.stdout, type=ServerlessRecord)
    assert record.statement == "inbox_index, before"
    assert 0 < record.query_s < 2
    (answer,) = record.answers
    (climbed,) = answer.climbs
    assert climbed.limit == "max_connections"
    assert "remaining connection slots are reserved" in climbed.said
    assert climbed.connections == answer.limit == 60 - 3 - 10
    assert climbed.users is not None
    # Steps of half a second on a shared machine: the exit code may say that it was too busy.
    assert done.exit_code == 0 or not climbed.fair or not answer.agrees
