"""Which technique's saving can be told from a run, and why that of the others cannot."""

from __future__ import annotations

import shutil

from phasegate import report


def test_a_run_says_what_each_technique_saves_and_why_others_cannot_be_told(whole_run, golden):
    found = report.cost(whole_run, 100_000)
    first = found.index("What a technique saves:")
    last = next(i for i, line in enumerate(found) if line.startswith("Connections: "))
    golden.check("savings.txt", "\n".join(found[first:last]) + "\n")


def test_without_load_no_saving_is_told_and_the_reason_is_the_load(whole_run):
    shutil.rmtree(whole_run / "load")
    shutil.rmtree(whole_run / "sampler")
    said = "\n".join(report.cost(whole_run, 100_000))
    assert "What a technique saves" not in said
    assert "no load with such clicks was driven: " in said
    assert "idx_tasks_user_created" in said


def test_the_page_shows_the_saving_beside_its_assumptions(built_run):
    html = (built_run / "report.html").read_text(encoding="utf-8")
    assert "What a technique saves" in html
    assert "Assumed: a call&#39;s time is processor time of one core" in html
