"""The nightly, step by step: its baseline, its history's branch, its one issue."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasegate.cli.nightly import SUMMARY, nightly
from phasegate.records import history
from phasegate.records.night import Circumstances, Finding, NightRecord, Ratios, Series
from phasegate.records.run import Machine, Server

NIGHTLY = "nightly-benchmarks.yml"
Git = Callable[..., str]

# ---- which commit to measure against


def chosen(runner: Any, named: str = "", pinned: str = "") -> Any:
    return runner.run(
        NIGHTLY,
        "Against which commit?",
        inputs__baseline=named,
        vars__BENCHMARK_BASELINE=pinned,
    )


def test_a_named_baseline_goes_before_a_pinned_one_and_that_before_a_release(
    runner: Any, git: Git
) -> None:
    git("tag", "v0.1.0")
    git("commit", "--quiet", "--allow-empty", "-m", "Second")
    git("tag", "v0.2.0")
    git("tag", "nightly-trial")
    git("commit", "--quiet", "--allow-empty", "-m", "Third")
    assert chosen(runner, "abc123", "v0.1.0").outputs == {"ref": "abc123"}
    assert chosen(runner, "", "v0.1.0").outputs == {"ref": "v0.1.0"}
    assert chosen(runner).outputs == {"ref": "v0.2.0"}


@pytest.mark.usefixtures("git")
def test_without_any_baseline_the_night_is_skipped_by_name(runner: Any) -> None:
    ran = chosen(runner)
    assert (ran.code, ran.outputs) == (0, {"ref": ""})
    assert ran.said.startswith("::warning title=Skipped::")
    assert "set this repository's variable BENCHMARK_BASELINE" in ran.summary


@pytest.mark.parametrize("named", ["--exec=x", "a b", "$(touch x)", "a\nref=b"])
def test_what_is_no_name_of_a_commit_is_refused(runner: Any, named: str) -> None:
    ran = chosen(runner, named)
    assert (ran.code, ran.outputs) == (2, {})


# ---- the branch that keeps the nights


def fetch(runner: Any) -> Any:
    return runner.run(NIGHTLY, "History of earlier nights")


def push(runner: Any, night: str, text: str = "{}") -> Any:
    folder = runner.temp / "night" / "history"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{night}.json").write_text(text)
    ran = runner.run(NIGHTLY, "Add the record to the history")
    (folder / f"{night}.json").unlink()
    return ran


def kept(git: Git) -> list[str]:
    git("fetch", "--quiet", "origin")
    return git("ls-tree", "--name-only", "origin/benchmark-history").split()


def test_the_first_night_makes_the_branch_and_the_second_adds_to_it(runner: Any, git: Git) -> None:
    first = fetch(runner)
    assert first.code == 0
    assert list((runner.temp / "history").iterdir()) == []
    for night in ("2026-11-22T021700Z", "2026-11-23T021700Z"):
        ran = push(runner, night)
        assert ran.code == 0, ran.said
    nights = ["2026-11-22T021700Z.json", "2026-11-23T021700Z.json"]
    assert kept(git) == nights
    assert git("rev-list", "--count", "origin/benchmark-history") == "2"
    again = fetch(runner)
    assert "2 nights so far" in again.said
    assert sorted(path.name for path in (runner.temp / "history").iterdir()) == nights


def test_a_night_is_never_written_over(runner: Any, git: Git) -> None:
    push(runner, "n1", '{"a": 1}')
    ran = push(runner, "n1", '{"a": 2}')
    assert (ran.code, ran.said) == (0, "This night is already kept\n")
    kept(git)
    assert git("show", "origin/benchmark-history:n1.json") == '{"a": 1}'


def test_a_push_that_another_one_overtook_is_put_on_top_of_it(runner: Any, git: Git) -> None:
    push(runner, "n1")
    # Somebody else's night arrives between our fetch and our push, once.
    other = runner.home / "other"
    git("clone", "--quiet", "--branch", "benchmark-history", str(runner.home / "origin.git"), other)
    (other / "n2.json").write_text("{}")
    git("add", ".", folder=other)
    git("commit", "--quiet", "-m", "n2", folder=other)
    hook = runner.home / "origin.git" / "hooks" / "pre-receive"
    hook.write_text(
        f"#!/bin/sh\nrm {hook}\n"
        f'env -i PATH="$PATH" git -C {other} push origin HEAD:benchmark-history\nexit 1\n'
    )
    hook.chmod(0o755)
    ran = push(runner, "n3")
    assert ran.code == 0, ran.said
    assert kept(git) == ["n1.json", "n2.json", "n3.json"]


@pytest.mark.usefixtures("git")
def test_a_record_that_cannot_be_pushed_makes_a_red_run(runner: Any) -> None:
    hook = runner.home / "origin.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    ran = push(runner, "n1")
    assert ran.code != 0


@pytest.mark.usefixtures("git")
def test_a_night_without_a_record_adds_nothing(runner: Any) -> None:
    ran = runner.run(NIGHTLY, "Add the record to the history")
    assert (ran.code, ran.said) == (0, "There is no record of this night\n")


# ---- a night

# Stands in for `phasegate nightly` alone, which measures for minutes: it leaves the record that
# the test prepared and a summary where phasegate leaves it, and ends as the test says. All other
# verbs are phasegate's own.
PHASEGATE = """#!/bin/sh
[ "$1" = nightly ] || exec "{real}" "$@"
echo "called: $*"
cp "{prepared}"/*.json "$5"/ 2>/dev/null
mkdir -p "$5/../nightly" && echo "one JOIN takes 8% longer" > "$5/../nightly/summary.md"
exit {code}
"""


def a_night(night: str, *, moved: bool) -> NightRecord:
    """A night of one series, which is 8% slower than the baseline or is not."""
    logs = (0.08,) * 12 if moved else (0.0,) * 12
    ratios = Ratios(logs=logs, calls_per_block=9, estimate=1.08, low=1.06, high=1.1)
    finding = Finding(
        kind="slower",
        series="sql/join/after",
        ratio=1.08,
        low=1.06,
        high=1.1,
        since=night,
        text="one JOIN takes 8% longer",
    )
    machine = Machine(
        cpu="a processor", cores=2, memory_bytes=2**33, kernel="6.1", python="3.11", load_1m=0.1
    )
    return NightRecord(
        format_version=NightRecord.FORMAT_VERSION,
        night=night,
        started_at="2026-11-22T02:17:00+00:00",
        wall_s=600.0,
        phasegate_version="0.1.0",
        commit="a" * 40,
        dirty=False,
        baseline="v0.1.0",
        baseline_commit="b" * 40,
        machine=machine,
        server=Server(version="18.6", settings={}),
        users=1000,
        seed=2026,
        sha256="c" * 64,
        circumstances=Circumstances(
            steal_share=0.0,
            busy_share=0.0,
            load_1m=0.1,
            same=(),
            false_alarms=0,
            pairs=300,
            found=95,
            injections=100,
            quarantine=(),
        ),
        series=(Series(id="sql/join/after", name="one JOIN", ratios=ratios, confirmation=ratios),),
        findings=(finding,) if moved else (),
    )


def measured(runner: Any, code: int, *records: NightRecord, budget: str = "") -> Any:
    prepared = runner.home / "prepared"
    prepared.mkdir(exist_ok=True)
    for record in records:
        history.write(prepared, record)
    venv = runner.checkout / ".venv"
    venv.unlink()
    (venv / "bin").mkdir(parents=True)
    program = venv / "bin" / "phasegate"
    real = Path(sys.prefix) / "bin" / "phasegate"
    program.write_text(PHASEGATE.format(real=real, prepared=prepared, code=code))
    program.chmod(0o755)
    history.write(runner.temp / "history", a_night("2026-11-21T021700Z", moved=False))
    return runner.run(
        NIGHTLY,
        "Measure",
        steps__baseline__outputs__ref="v0.1.0",
        inputs__budget=budget,
    )


def test_a_night_that_could_not_be_measured_is_a_warning_and_no_failure(runner: Any) -> None:
    ran = measured(runner, 3)
    assert (ran.code, ran.outputs) == (0, {"code": "3"})
    assert "::warning title=Nightly::This night does not count" in ran.said
    assert ran.summary == "This night left no record; the log says why.\n"


def test_the_verb_that_is_stood_in_for_takes_these_options_and_leaves_its_summary_there() -> None:
    options = {option for found in nightly.params for option in found.opts}
    assert {"--baseline", "--history", "--budget"} <= options
    assert Path("nightly", "summary.md") == SUMMARY


def test_a_wrong_call_fails_and_tells_nobody(runner: Any) -> None:
    ran = measured(runner, 2)
    assert (ran.code, ran.outputs) == (2, {})


# ---- the one issue

GH = """#!{python} -SE
import json, os, pathlib, sys
home = pathlib.Path(os.environ["HOME"])
arguments = sys.argv[1:]
body = sys.stdin.read() if "--body-file" in arguments else None
assert os.environ["GH_TOKEN"] == "a-token"
with (home / "calls").open("a") as calls:
    calls.write(json.dumps([arguments, body]) + "\\n")
if arguments[:2] == ["issue", "list"]:
    print((home / "issues").read_text())
"""


class GitHub:
    """What `gh` was asked to do, and the open issues that it tells of."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.issues([])
        runner.program("gh", GH.replace("{python}", sys.executable))

    def issues(self, found: list[dict[str, Any]]) -> None:
        (self.runner.home / "issues").write_text(json.dumps(found))

    def after(self, code: int, *findings: tuple[str, str], digest: str = "It moved.") -> list[Any]:
        """The calls after the first, which asks for open issues, of a night that ended so."""
        night: Path = self.runner.temp / "night"
        (night / "history").mkdir(parents=True, exist_ok=True)
        found = [{"kind": kind, "series": series} for kind, series in findings]
        (night / "history" / "n1.json").write_text(json.dumps({"findings": found}))
        (night / "digest.md").write_text(digest)
        calls = self.runner.home / "calls"
        calls.write_text("")
        ran = self.runner.run(
            NIGHTLY,
            "Bring the issue up to date",
            needs__measure__outputs__code=str(code),
        )
        assert ran.code == 0, ran.said
        made = [json.loads(line) for line in calls.read_text().splitlines()]
        if made:
            asked = made.pop(0)[0]
            assert asked[:6] == ["issue", "list", "--label", "nightly-benchmark", "--state", "open"]
        return made


@pytest.fixture
def github(runner: Any) -> GitHub:
    return GitHub(runner)


JOIN = ("slower", "sql/join/after")
API = ("plan", "api/tasks-embedded")


def test_what_moved_opens_one_issue_with_the_digest(github: GitHub) -> None:
    (label, _), (create, body) = github.after(1, JOIN, API)
    assert label[:3] == ["label", "create", "nightly-benchmark"]
    assert create[:2] == ["issue", "create"]
    assert create[create.index("--label") + 1] == "nightly-benchmark"
    assert body.startswith("It moved.\n")
    assert "https://github.com/somebody/phasegate/actions/runs/77" in body
    assert "<!-- moved: api/tasks-embedded (plan), sql/join/after (slower) -->" in body


def test_the_next_night_replaces_the_text_and_is_silent(github: GitHub) -> None:
    _, (_, body) = github.after(1, JOIN)
    github.issues([{"number": 12, "body": body}])
    calls = github.after(1, JOIN, digest="It moved by 7%.")
    assert [arguments for arguments, _ in calls] == [["issue", "edit", "12", "--body-file", "-"]]
    assert calls[0][1].startswith("It moved by 7%.")


def test_something_else_that_moves_is_a_comment_too(github: GitHub) -> None:
    _, (_, body) = github.after(1, JOIN)
    github.issues([{"number": 12, "body": body}])
    edit, comment = github.after(1, JOIN, API)
    assert edit[0][:3] == ["issue", "edit", "12"]
    assert comment[0][:3] == ["issue", "comment", "12"]
    assert "api/tasks-embedded (plan), sql/join/after (slower)" in comment[1]


def test_a_night_that_finds_nothing_closes_it(github: GitHub) -> None:
    github.issues([{"number": 12, "body": "…"}])
    ((arguments, _),) = github.after(0)
    assert arguments[:4] == ["issue", "close", "12", "--comment"]
    github.issues([])
    assert github.after(0) == []


def test_a_night_that_does_not_count_leaves_it_alone(github: GitHub) -> None:
    github.issues([{"number": 12, "body": "…"}])
    assert github.after(3, JOIN) == []
    assert (github.runner.home / "calls").read_text() == ""


def test_a_digest_that_github_would_not_take_is_cut(github: GitHub) -> None:
    _, (_, body) = github.after(1, JOIN, digest="x" * 70_000)
    assert len(body) < 65_536
    assert "(cut here; the whole is in the artefact)" in body
    assert "<!-- moved: sql/join/after (slower) -->" in body


# ---- both jobs, one after the other


def test_what_a_night_found_reaches_summary_artefact_branch_and_issue(
    github: GitHub, git: Git
) -> None:
    runner = github.runner
    night = "2026-11-22T021700Z"
    ran = measured(runner, 1, a_night(night, moved=True), budget="600")
    assert (ran.code, ran.outputs) == (0, {"code": "1"}), ran.said
    place = runner.temp / "history"
    assert f"called: nightly --baseline v0.1.0 --history {place} --budget 600" in ran.said
    folder = runner.temp / "night"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [
        "digest.json",
        "digest.md",
        "history.html",
        f"history/{night}.json",
        "summary.md",
    ]
    assert ran.summary == "one JOIN takes 8% longer\n"
    told = runner.run(NIGHTLY, "Say it by the colour of the run")
    assert told.code == 1
    assert told.said.startswith("::error title=Nightly::")

    assert runner.run(NIGHTLY, "Add the record to the history").code == 0
    assert kept(git) == [f"{night}.json"]
    issue = runner.run(NIGHTLY, "Bring the issue up to date", needs__measure__outputs__code="1")
    assert issue.code == 0, issue.said
    (_, body) = json.loads((runner.home / "calls").read_text().splitlines()[-1])
    assert "one JOIN takes 8% longer" in body
    assert "<!-- moved: sql/join/after (slower) -->" in body
