"""What `phasegate serverless` asks; the climbs themselves are tested in their own room."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from phasegate.cli import options
from phasegate.cli.drive_serverless import as_record, statement_of
from phasegate.cli.main import phasegate
from phasegate.cli.serverless import _conclude, added
from phasegate.model.capacity import Span
from phasegate.model.errors import CannotMeasure, UsageError
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.serverless import ServerlessRecord
from phasegate.serverless.climb import Climbed

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
PROJECT = load_project()
SEEN = Climbed(
    users=1e6, modelled=Span(1e6, 9e5, 1.1e6), limit="max_connections", said="no", instances=48,
    connections=47, query_s=0.002, stretch=1.0, lag_ms_p95=1.0, longer=1.0, requests=100,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has runs here keeps them as they are."""
    monkeypatch.setattr(options, "run_to_add_to", lambda *_: None)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(phasegate, ["serverless", *arguments])


def asked(*arguments: str) -> ServerlessRecord:
    done = call("--json", *arguments)
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.output, type=ServerlessRecord)


def users(record: ServerlessRecord) -> float:
    found = record.answers[0].users.estimate
    assert found is not None
    return found


@pytest.mark.parametrize("project", [ROOT, ROOT / "examples" / "helpdesk"], ids=["own", "second"])
def test_every_size_is_answered_in_both_ways_for_any_project(project: Path) -> None:
    record = asked("--project", str(project))
    sizes = [size.name for size in PROJECT.catalogue.compute]
    assert [each.size for each in record.answers] == [name for name in sizes for _ in range(2)]
    straight = [each.users.estimate for each in record.answers if each.through == "straight"]
    assert straight == sorted(straight, key=lambda each: each or 0)


def test_flags_stand_for_what_the_project_says() -> None:
    nano = ("--compute", "nano", "--through", "straight")
    plain = users(asked(*nano))
    assert users(asked(*nano, "--functions", "10")) < plain / 4
    assert users(asked(*nano, "--request-ms", "2000")) < plain / 8
    twice = users(asked(*nano, "--requests-per-session", "10"))
    assert twice == pytest.approx(plain / 2, rel=0.01)


def test_what_was_driven_is_not_lost_to_a_later_answer_of_the_same_functions(
    tmp_path: Path,
) -> None:
    path, model = tmp_path / "serverless.json", asked("--compute", "nano,small")
    climb = as_record(SEEN)
    first = msgspec.structs.replace(model.answers[0], climbs=(climb,))
    driven = msgspec.structs.replace(
        model, answers=(first,), query_s=0.002, request_s=0.202, statement="the self-check's"
    )
    store.write(path, driven)
    both = added(path, model)
    assert [bool(each.climbs) for each in both.answers] == [True, False, False, False]
    assert both.statement == "the self-check's"
    others = asked("--compute", "nano", "--functions", "2")
    assert added(path, others) == others


def test_the_answer_is_a_table_with_what_it_rests_on() -> None:
    done = call("--compute", "nano,small")
    assert done.exit_code == 0
    assert "small, through the pooler  400" in done.output
    assert "Straight connections that others hold: 10." in done.output


def test_the_example_of_the_documentation_is_what_is_printed() -> None:
    text = (ROOT / "docs" / "serverless.md").read_text(encoding="utf-8")
    shown = text.split("```\n")[2].splitlines()
    printed = [line.removesuffix("not driven").rstrip() for line in call().output.splitlines()]
    printed[0] = printed[0].removesuffix("Driven").rstrip()
    assert len(shown) == 5
    assert [" ".join(line.split()) for line in shown] == [
        " ".join(line.split()) for line in printed if line.startswith(("Size", "nano", "small"))
    ]
    ten = users(asked("--compute", "nano", "--through", "straight", "--functions", "10"))
    assert f"from {round(ten / 1000)}k users on" in " ".join(text.split())


def test_a_size_that_there_is_not_is_a_wrong_call_and_names_those_that_there_are() -> None:
    done = call("--compute", "huge")
    assert isinstance(done.exception, UsageError)
    assert "nano, micro, small" in str(done.exception)


@pytest.mark.parametrize(
    ("technique", "why"),
    [("logs_insert", "it writes"), ("pooled", "Python"), ("no", "There is no")],
)
def test_a_statement_that_functions_cannot_send_is_refused(technique: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        statement_of(PROJECT, technique, "after")


@pytest.mark.parametrize(
    ("changed", "fair"), [({}, True), ({"longer": 1.3}, False), ({"lag_ms_p95": 60.0}, False)]
)
def test_a_machine_that_cannot_keep_time_gives_no_figure(
    changed: dict[str, float], fair: bool
) -> None:
    record = as_record(Climbed(**{**SEEN.__dict__, **changed}))
    assert record.fair is fair
    if not fair:
        whole = asked("--compute", "nano", "--through", "straight")
        answer = msgspec.structs.replace(whole.answers[0], climbs=(record,))
        with pytest.raises(CannotMeasure, match="too busy"):
            _conclude(msgspec.structs.replace(whole, answers=(answer,)))
