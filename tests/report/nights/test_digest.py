"""The digest: what moved and where to look first, and nothing that must not be pasted."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from phasegate.records.digest import DigestRecord
from phasegate.records.history import Damaged, History
from phasegate.records.night import Evidence
from phasegate.report import nights as room

SECRETS = {
    "dsn": "postgresql://postgres:hunter2secret@db.abcdefgh.supabase.co:5432/postgres",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsInJvbGUiOiJhdXRoIn0.c2lnbmF0dXJlLW9mLWl0",
    "host": "runner-7.corp.internal",
    "row": "Key (email)=(bob@example.com) already exists",
    "key": "sb_secret_N7UND0UgjKTVK",
}


@pytest.fixture
def planted(nights):
    """A night with secrets in every free text."""
    everything = " and ".join(SECRETS.values())
    tonight = nights.night(
        3,
        nights.slower(),
        nights.series("odd", name=f"Odd {everything}", ratios=None, note=everything),
        nights.series(
            "two",
            name=f"Two {everything}",
            head=Evidence(plan_hash="bbbb2222", shared_buffers=80, statements=2),
        ),
        baseline=SECRETS["token"],
        circumstances=nights.circumstances(everything),
        notes=(everything,),
        commits=(f"abc1234 {everything}",),
    )
    return room.judge(tonight, (), {})


def test_nothing_secret_leaves_by_any_way(planted, nights, tmp_path):
    history = History(
        (nights.night(0), planted), (Damaged(Path("x.json"), f"it is {SECRETS['dsn']}"),)
    )
    digest = room.digest(planted, history)
    line = room.find(history, "sql/two/after")
    shown = {
        "json": msgspec.json.encode(digest).decode(),
        "markdown": room.markdown(digest),
        "summary": room.summary(planted, history),
        "table": "\n".join(room.table(history)),
        "chart": "\n".join(room.chart(history, line)),
        "series": msgspec.json.encode(room.as_record(history, None)).decode(),
        "page": room.build(history, tmp_path / "history.html").read_text(),
    }
    for way, text in shown.items():
        for part in ("hunter2", "eyJ", "supabase.co", "corp.internal", "bob@", "sb_secret_N7"):
            assert part not in text, (way, part)


def test_figures_and_evidence_of_the_finding_are_in_it(nights, golden):
    slow = msgspec.structs.replace(
        nights.slower(), head=Evidence(plan_hash="bbbb2222", shared_buffers=2_400, statements=1)
    )
    before = [nights.night(day) for day in range(3)]
    tonight = nights.night(
        3,
        slow,
        nights.series("matview", ratios=None, note="nothing differs"),
        commits=("abc1234 Fetch tasks page by page",),
        files_changed={"stack/sql": 3, "stack/api": 1},
    )
    judged = room.judge(tonight, before, {})
    digest = room.digest(judged, History((*before, judged)))
    assert [moved.kind for moved in digest.moved] == ["slower", "buffers", "plan"]
    first = digest.moved[0]
    assert (first.plan_baseline, first.plan_head) == ("aaaa1111", "bbbb2222")
    assert (first.buffers_baseline, first.buffers_head) == (24, 2_400)
    assert first.first is not None
    assert first.first.blocks == 40
    golden.check("digest.md", room.markdown(digest))


def test_a_digest_is_read_back_as_it_was_written(planted):
    digest = room.digest(planted, History((planted,)))
    raw = msgspec.json.encode(digest)
    assert msgspec.json.decode(raw, type=DigestRecord) == digest


def test_many_series_slower_together_speak_of_what_they_share(nights):
    slow = [nights.slower(name) for name in "abcd"]
    judged = room.judge(nights.night(0, *slow, nights.series("e")), (), {})
    digest = room.digest(judged, History((judged,)))
    assert digest.look_at[0].startswith("4 of 5 series moved together: look at what they share")
    assert not any(line.startswith("`sql/a/after`") for line in digest.look_at)


def test_more_statements_speak_of_a_query_in_a_loop(nights):
    head = Evidence(plan_hash="aaaa1111", shared_buffers=24, statements=21)
    judged = room.judge(nights.night(0, nights.series(head=head)), (), {})
    assert "query in a loop" in room.digest(judged, History((judged,))).look_at[0]


def test_a_quiet_night_has_nothing_to_look_at(nights):
    digest = room.digest(nights.night(0), History((nights.night(0),)))
    assert (digest.verdict, digest.moved, digest.look_at) == ("nothing moved", (), ())


def test_the_nights_of_a_finding_are_counted_without_those_that_do_not_count(nights):
    before = []
    for day in range(4):
        quiet = nights.circumstances(*(["busy"] if day == 2 else []))
        night = nights.night(day, nights.slower(), circumstances=quiet)
        before.append(room.judge(night, before, {}))
    digest = room.digest(before[-1], History(tuple(before)))
    assert (digest.moved[0].since, digest.moved[0].nights) == (before[0].night, 3)


def test_the_schema_beside_it_is_the_digests(golden):
    schema = msgspec.json.schema(DigestRecord)
    golden.check(
        "../../../../phasegate/report/digest.schema.json", json.dumps(schema, indent=1) + "\n"
    )
