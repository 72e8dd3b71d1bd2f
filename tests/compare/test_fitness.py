"""A database or role that would spoil a measurement is named before anything is measured."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from phasegate.compare.dataset import DataSet, read_dataset
from phasegate.compare.libpq import Session
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.stack.database import execute

PASSWORD = "of-the-tests"  # noqa: S105 - opens nothing else


def read(dsn: str) -> DataSet:
    session = Session(dsn)
    try:
        return read_dataset(session)
    finally:
        session.close()


@pytest.fixture
def owner(populated: str) -> Iterator[str]:
    """DSN of the role that owns the data set, no superuser and in no role."""
    execute(
        populated,
        f"create role app_owner login password '{PASSWORD}'",
        f"alter database {populated.rpartition('/')[2]} owner to app_owner",
        "grant usage, create on schema public to app_owner",
        "alter schema phasegate owner to app_owner",
        "alter table phasegate.dataset owner to app_owner",
        "grant usage on schema auth to app_owner",
        "do $$ declare t regclass; begin for t in select oid from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') loop"
        " execute format('alter table %s owner to app_owner', t); end loop; end $$",
    )
    yield f"postgresql://app_owner:{PASSWORD}@{populated.partition('@')[2]}"
    execute(
        populated,
        f"alter database {populated.rpartition('/')[2]} owner to postgres",
        "reassign owned by app_owner to postgres",
        "drop owned by app_owner cascade",
        "drop role app_owner",
    )


def mended(populated: str, error: ConfigurationError) -> None:
    found = re.search(r"[Rr]un: (.*;)", error.then)
    assert found, error
    execute(populated, *filter(None, map(str.strip, found[1].split(";"))))


def test_an_owner_outside_of_authenticated_is_told_the_grant_before_anything_is_measured(
    owner: str, populated: str
) -> None:
    with pytest.raises(ConfigurationError, match="no member of `authenticated`") as caught:
        read(owner)
    assert caught.value.then == "Run: grant authenticated to app_owner;"
    mended(populated, caught.value)
    assert read(owner).users == 300


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("alter role app_owner set search_path = 'elsewhere'", "search_path"),
        ("alter role app_owner set default_transaction_read_only = on", "read_only"),
        ("alter table tasks owner to postgres", "does not own tasks"),
        ("revoke all on schema phasegate from app_owner", "may not read what the seeder noted"),
    ],
)
def test_what_a_role_lacks_is_named_with_the_statement_that_mends_it(
    owner: str, populated: str, spoilt: str, said: str
) -> None:
    execute(populated, "grant authenticated to app_owner")
    if "schema phasegate" in spoilt:
        execute(populated, "alter schema phasegate owner to postgres")
    execute(populated, spoilt)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read(owner)
    mended(populated, caught.value)
    assert read(owner).users == 300


def test_tables_without_row_level_security_are_named_and_left_as_they_are(populated: str) -> None:
    execute(populated, "alter table tasks disable row level security")
    bench = BenchmarkSession(
        populated, users=None, sha256=None, seed=1, budget=Budget(1.0, 1), disabled=False
    )  # fmt: skip
    with pytest.raises(CannotMeasure, match="row-level security is off on tasks"), bench:
        pass
    with pytest.raises(CannotMeasure, match="off on tasks"):
        read(populated)  # the session did not turn it on behind anybody's back


@pytest.mark.parametrize(
    ("spoilt", "restored", "said"),
    [
        (
            "alter role authenticated bypassrls",
            "alter role authenticated nobypassrls",
            "role authenticated passes by all policies",
        ),
        (
            "alter role authenticated superuser",
            "alter role authenticated nosuperuser",
            "is a superuser",
        ),
        (
            "alter table tasks owner to authenticated",
            "alter table tasks owner to postgres",
            "role authenticated owns tasks",
        ),
    ],
)
def test_a_role_that_policies_do_not_hold_for_is_named(
    populated: str, spoilt: str, restored: str, said: str
) -> None:
    execute(populated, spoilt)
    try:
        with pytest.raises(CannotMeasure, match=said):
            read(populated)
    finally:
        execute(populated, restored)
    assert read(populated).users == 300


def test_an_owner_for_whom_policies_are_forced_is_fine(populated: str) -> None:
    execute(populated, "alter table tasks owner to authenticated")
    execute(populated, "alter table tasks force row level security")
    assert read(populated).users == 300
