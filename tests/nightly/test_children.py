"""The line protocol between a night and the two processes that measure for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.records.night import Evidence
from phasegate.stack.remote_measure import PROTOCOL, Child, ChildFault, Named

pytestmark = pytest.mark.integration

ADDRESS = "postgresql://u:s3cret@127.0.0.1:1/d"

ELSEWHERE = {"protocol": PROTOCOL, "root": "/", "series": []}

# An instrument without a database: a call takes as many nanoseconds as its block's number.
INSTRUMENT = """
from contextlib import contextmanager
from pathlib import Path
from phasegate.model.errors import CannotMeasure
from phasegate.records.night import Evidence
from phasegate.stack.remote_measure import Named, serve

class Counting:
    def all_series(self): return (Named(id="x/y", name="a name"),)
    def begin(self, series):
        print("this is no answer")
        if series != "x/y": raise CannotMeasure("no such series", then="Name another")
    def rehearse(self): return 7.0
    def block(self, number, calls, warm_up): return float(number * calls + warm_up)
    def evidence(self): return Evidence(plan_hash="p", shared_buffers=None, statements=2)
    def end(self): pass

@contextmanager
def opened(dsn, seed):
    assert dsn and seed == 5
    yield Counting()

serve(opened, Path(__file__).parent)
"""


def _child(folder: Path, program: str) -> Child:
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    return Child([sys.executable, path], folder, who="the baseline", dsn=ADDRESS, seed=5)


def test_a_child_answers_what_it_is_asked_and_ends_with_its_parent(tmp_path: Path) -> None:
    child = _child(tmp_path, INSTRUMENT)
    try:
        opened = child.open()
        assert opened.protocol == PROTOCOL
        assert opened.series == (Named(id="x/y", name="a name"),)
        child.ask("begin", series="x/y")
        assert child.ask("rehearse") == 7.0
        assert child.ask("block", number=3, calls=10, warm_up=True) == 31.0
        assert Evidence(**child.ask("evidence")).statements == 2
        child.ask("end")
        with pytest.raises(CannotMeasure, match="no such series") as told:
            child.ask("begin", series="else")
        assert not isinstance(told.value, ChildFault)  # it lives on
        assert child.ask("rehearse") == 7.0
    finally:
        child.close()
    assert child._process.returncode == 0


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('no module of that name')", "it ended: no module of that name"),
        ("", "it ended: without a word"),
        (
            "import os; raise SystemExit('cannot reach ' + os.environ['PHASEGATE_TURNS_DSN'])",
            "it ended: cannot reach …",
        ),
        ("""print('{"value": {"protocol": 99, "and": "what we do not know"}}')""", "protocol 99"),
        ("""print('{"error": "There is no seeded data."}')""", "There is no seeded data"),
        (
            f"""print('{json.dumps({"value": ELSEWHERE})}')""",
            "another folder",
        ),
    ],
)
def test_a_child_that_cannot_measure_is_named_with_its_reason_and_no_secret(
    tmp_path: Path, program: str, said: str
) -> None:
    child = _child(tmp_path, program)
    try:
        with pytest.raises(ChildFault, match=said) as fault:
            child.open()
    finally:
        child.close()
    assert fault.value.who == "the baseline"
    assert "s3cret" not in fault.value.sentence()


def test_a_child_measures_the_project_of_its_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASEGATE_PROJECT", "/the/callers")
    program = "import os; raise SystemExit('project ' + os.environ['PHASEGATE_PROJECT'])"
    child = _child(tmp_path, program)
    try:
        with pytest.raises(CannotMeasure, match=f"project {tmp_path}"):
            child.open()
    finally:
        child.close()


def test_the_address_is_in_no_argument(tmp_path: Path) -> None:
    child = _child(tmp_path, INSTRUMENT)
    try:
        child.open()
        command = Path(f"/proc/{child._process.pid}/cmdline").read_bytes()
        assert b"s3cret" not in command
    finally:
        child.close()
