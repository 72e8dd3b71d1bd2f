"""Free text without secrets, and figures and names as they were."""

from __future__ import annotations

import msgspec
import pytest

from phasegate.records import scrub

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsInJvbGUiOiJhdXRoIn0.c2lnbmF0dXJlLW9mLWl0"
SECRETS = (
    "postgresql://postgres:hunter2secret@db.abcdefgh.supabase.co:5432/postgres?sslmode=require",
    JWT,
    "sb_secret_N7UND0UgjKTVK",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "password=hunter2secret",
    'SUPABASE_JWT_SECRET: "super secret words"',
    "Authorization: Bearer abcdefghijk",
    "host=db.internal.example",
    "10.20.30.40:5432",
    "2001:db8:0:0:1:0:0:1",
    "runner-7.corp.internal",
    "bob@example.com",
    "0b7f3c1e-2a4d-4e5f-8a9b-0c1d2e3f4a5b",
    "/home/bob/projects/phasegate",
    "dGhpcyBpcyBhIHNlY3JldCBrZXkgb2YgdGhlIHNlcnZlcg1234==",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_must_not_be_shown_is_removed_from_a_sentence(secret):
    said = scrub.text(f"could not connect with {secret} at the second try")
    assert secret not in said
    assert scrub.REMOVED in said
    assert said.startswith("could not connect")
    for part in ("hunter2secret", "super secret words", "abcdefghijk"):
        assert part not in said


def test_rows_that_the_server_quotes_are_removed():
    said = scrub.text("Key (title)=(Buy a ring for Ann) already exists.")
    assert said == f"Key (title)={scrub.REMOVED} already exists."
    said = scrub.text("Failing row contains (7, Buy a ring, t).")
    assert "ring" not in said


@pytest.mark.parametrize(
    "plain",
    [
        "14% of the processor went to other tenants (limit 5%)",
        "abc1234 Fetch tasks by (user_id, created_at DESC), page by page",
        "sql/join/after: 7% slower than the baseline (× 1.071 (1.048 to 1.093), 40 blocks)",
        "another plan than the baseline's (aaaa11112222 → bbbb22223333)",
        "PostgreSQL 18.6 on x86_64-pc-linux-gnu, compiled by gcc 12.2.0, 64-bit",
        "Measured at 02:15:00 on 2026-11-22T021500Z; see stack/sql/level_2.sql",
    ],
)
def test_facts_stay_as_they_are(plain):
    assert scrub.text(plain) == plain


def test_a_commit_named_as_baseline_stays_and_settings_lose_their_values(nights):
    record = nights.night(0, baseline="ab12" * 10)
    settings = {"primary_conninfo": "host=a password=b", "work_mem": "64MB"}
    record = msgspec.structs.replace(
        record, server=msgspec.structs.replace(record.server, settings=settings)
    )
    clean = scrub.night(record)
    assert clean.baseline == "ab12" * 10
    assert clean.server is not None
    assert clean.server.settings == {"primary_conninfo": scrub.REMOVED, "work_mem": "64MB"}
