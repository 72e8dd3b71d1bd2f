"""A user's database as a source, on real servers: what is read, and what is refused."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from phasegate.adopt import source as source_module
from phasegate.adopt.source import Source, read_source
from phasegate.model.errors import CannotMeasure, ConfigurationError, PhasegateError, Refused
from phasegate.stack.binaries import BIN_VARIABLE, programs, server_version
from phasegate.stack.database import execute
from phasegate.stack.postgres import running_postgres
from phasegate.stack.replica import PRIMARY_SETTINGS, await_catch_up, running_replica

pytestmark = pytest.mark.integration

PROGRAMS_15 = Path("/usr/lib/postgresql/15/bin")

SCHEMA = """
create schema "Über uns";
create table public.users (id uuid primary key, email text not null unique);
create table "Über uns"."order ""x"" y" (
    id serial primary key, "user" uuid references public.users, "select" text default 'pending');
create view public.emails as select email from public.users;
insert into public.users select gen_random_uuid(), 'SECRET' || n || '@mail.test'
    from generate_series(1, 500) as n;
analyze public.users;
"""


def read(dsn: str, wanted: Sequence[str] = ()) -> Source:
    return asyncio.run(read_source(dsn, wanted))


def check(source: Source) -> None:
    """It has the shape and the counts, and nothing of any row."""
    assert source.schemas == ("public", "Über uns")
    titles = {entry.title for entry in source.entries}
    assert {"table public.users", 'table Über uns.order "x" y', "view public.emails"} <= titles
    assert source.facts.rows("public", "users") == 500
    assert not source.as_supabase
    assert "SECRET" not in repr(source)


@pytest.fixture
def filled(database: str) -> str:
    execute(database, SCHEMA)
    return database


def test_shape_and_counts_are_read_and_no_row(filled: str) -> None:
    source = read(filled)
    check(source)
    assert not source.is_replica
    assert source.extensions == ()


def test_schemas_can_be_chosen(filled: str) -> None:
    execute(
        filled,
        "create function public.note() returns trigger language plpgsql as 'begin return new; end';"
        'create trigger note after insert on "Über uns"."order ""x"" y" '
        "for each row execute function public.note()",
    )
    source = read(filled, ["public"])
    assert source.schemas == ("public",)
    elsewhere = [entry.title for entry in source.entries if entry.schema not in ("", "public")]
    assert elsewhere == ['trigger Über uns.order "x" y note']
    with pytest.raises(ConfigurationError, match="has no schema 'elsewhere'"):
        read(filled, ["elsewhere"])


@contextmanager
def _own_programs() -> Iterator[None]:
    """The embedded server's programs, as a user of another server has them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv(BIN_VARIABLE, raising=False)
        programs.cache_clear()
        server_version.cache_clear()
        yield
    programs.cache_clear()
    server_version.cache_clear()


def test_an_older_server_with_tls_is_read_by_our_own_pg_dump(
    serving_tls: Callable[[Path], AbstractContextManager[Any]],
) -> None:
    with serving_tls(PROGRAMS_15) as tls:
        dsn = tls.server.dsn()
        execute(dsn, SCHEMA + "create table public.old (a int) with (fillfactor = 70);")
        with _own_programs():
            for more in (
                "?sslmode=require",
                f"?sslmode=verify-full&sslrootcert={tls.certificate}",
            ):
                source = read(dsn + more)
                check(source)
                assert source.facts.server_version.startswith("15.")


def test_a_replica_is_a_source_as_well() -> None:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        settings = {**PRIMARY_SETTINGS, "shared_buffers": "64MB"}
        with running_postgres(home / "data", settings=settings) as primary:
            execute(primary.dsn(), SCHEMA)
            with running_replica(primary, home / "replica") as replica:
                await_catch_up(replica)
                source = read(replica.dsn())
    check(source)
    assert source.is_replica


def test_a_source_that_changes_meanwhile_is_read_again(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = source_module.dump
    changes = iter(["drop view public.emails; drop table public.users cascade"])

    def change_first(*arguments: Any) -> str:
        for change in changes:
            execute(filled, change)
        return taken(*arguments)

    monkeypatch.setattr(source_module, "dump", change_first)
    source = read(filled)
    assert "table public.users" not in {entry.title for entry in source.entries}


REFUSED = [
    (
        'create role {role} login; revoke usage on schema "Über uns" from public',
        Refused,
        'grant usage on schema "Über uns" to',
    ),
    (
        'create role {role} login; grant usage on schema "Über uns" to {role}',
        Refused,
        "grant select on all tables in schema public to",
    ),
]


@pytest.mark.parametrize(("statement", "kind", "said"), REFUSED)
def test_a_role_without_rights_is_told_which_grants_mend_it(
    filled: str,
    statement: str,
    kind: type[PhasegateError],
    said: str,
    request: pytest.FixtureRequest,
) -> None:
    role = f"reader_{abs(hash(request.node.name)) % 10**8}"
    execute(filled, statement.format(role=role) + f"; alter role {role} password 'hush'")
    place = filled.partition("@")[2]
    with pytest.raises(kind) as caught:
        read(f"postgresql://{role}:hush@{place}")
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)
    grants = caught.value.then.removeprefix("Let its owner run: ").partition("; or name")[0]
    execute(filled, grants)
    check(read(f"postgresql://{role}:hush@{place}"))
    execute(filled, f"drop owned by {role}; drop role {role}")


def test_a_database_without_tables_is_named(database: str) -> None:
    with pytest.raises(ConfigurationError, match="holds no tables of an app"):
        read(database)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(CannotMeasure, match="Cannot connect") as caught:
        read("postgresql://someone:hush@127.0.0.1:1/app")
    assert "hush" not in str(caught.value)
