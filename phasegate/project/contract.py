"""What a project's files may say: one struct a table, a misspelt key is an error. Pure.

`docs/project.md` documents every key. Tables of the catalogue (`[slo]`, `[workload]`, `[run]`, …)
may stand in `phasegate.toml` too and replace single entries of the catalogue (`model.catalogue`).
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from phasegate.model.prices import Entry

ENGINE_PARTS = {
    "pooler": "PgBouncer in transaction mode",
    "replica": "a streaming replica for reads that ask for it",
    "jobs": "a job queue and its worker",
    "refresh": "scheduled refreshes of materialised views",
    "partition_upkeep": "partitions made ahead and dropped by age",
}
"""Parts that the engine brings, by name: what each is, in words."""

WORKER_PARTS = frozenset({"jobs", "refresh", "partition_upkeep"})
"""Those that a worker carries out, and that leave something in the database."""


_NAME = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\0]|"")+")'
TABLE = re.compile(rf"{_NAME}\.{_NAME}")
"""A table's name with its schema, as SQL has it."""


class About(Entry, frozen=True):
    """`[project]`: what is measured."""

    name: str
    """Short and without blanks: part of file names."""
    title: str
    """As the page's heading has it."""
    users_table: str
    """Schema-qualified table of registered users: one row a user. Names are quoted where SQL wants
    it."""
    self_check: str = ""
    """The technique whose statement the benchmarks hold against itself; the first that reads as a
    user where left out."""
    users_key: str = "id"
    """Its column that tokens carry as `sub`: unique."""
    schemas: tuple[str, ...] = ("public",)
    """Whose policies tell that `policies.sql` was applied, and must hold for the sessions' role.
    The reference API serves `public`."""

    def __post_init__(self) -> None:
        """Refuse what is no table's name."""
        if not TABLE.fullmatch(self.users_table):
            raise ValueError("`users_table` must be `schema.table`, quoted where SQL wants it")


class Level(Entry, frozen=True):
    """One of `[[levels]]`, in ascending order: a named set of parts."""

    title: str
    parts: tuple[str, ...] = ()
    """Techniques of the project, parts of the engine, or parts of the client."""


class ClientPart(Entry, frozen=True):
    """`[parts.NAME]`: something that a client does or has, which the locustfile carries out."""

    title: str
    replaces: tuple[str, ...] = ()
    """Parts of the client that it takes the place of where `--with` adds it."""


class JobFile(Entry, frozen=True):
    """`[jobs.NAME]`: work that a request asks for, done by a worker or on the spot."""

    title: str
    work: str
    """File of the statement that does it: $1 is the user's key, $2 the id that the user named
    (text; null for the whole account); one value, its result, as jsonb."""
    owns: str = ""
    """File of the statement that says whose an id is: $1 and $2 likewise; the id where it is that
    user's, else no row. Without it no id may be named."""


JOB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
"""Of a job, and of a series of requests: a part of URLs, and of names in the database."""

QUALIFIED = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")
"""A table's name that needs no quoting, with its schema."""

REFRESH_S_MIN = 60.0
"""The worker looks for views that are due once a minute."""

ON_THE_SPOT = "-sync"
"""Behind a job's name: the route that does its work while the caller waits."""


class ApiFile(Entry, frozen=True):
    """`[api]`: the app's own API, started in place of the reference API, and what it answers."""

    command: str = ""
    """As a shell has it, run in the project's folder: `node server.js`. Empty: the reference API
    serves."""
    ready: str = "/"
    """Path that answers below 400 once the API is ready."""
    ready_within_s: float = 30.0
    """How long it may take: an interpreter that compiles first needs tens of seconds."""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables that `command` gets besides DATABASE_URL and PORT; `{database_url}`, `{port}` and
    `{jwt_secret}` stand for the stack's."""
    owner_columns: tuple[str, ...] = ()
    """Columns of answers that hold whose a row is: no user may see another's."""
    on_database_machine: bool = False
    """Whether it runs on the database's machine, and so has its share of a compute size."""

    def __post_init__(self) -> None:
        """Refuse a path that is none, and names that no template has."""
        if not self.ready.startswith("/"):
            raise ValueError("`ready` must begin with /")
        if not self.ready_within_s > 0:
            raise ValueError("`ready_within_s` must be above 0")
        known = {"database_url": "", "port": "", "jwt_secret": ""}
        for name, value in self.environment.items():
            try:
                value.format(**known)
            except (KeyError, IndexError, ValueError):
                raise ValueError(
                    f"`environment.{name}` may hold {{database_url}}, {{port}} and {{jwt_secret}}; "
                    "a brace that is meant is written twice"
                ) from None


Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]


class FollowUp(Entry, frozen=True):
    """One of `[[requests.ID.then]]`: a request for each value of a column of the answer before."""

    each: str
    """The column: its values, each once and without null, are `{column}` here."""
    path: str
    method: Method = "GET"
    body: dict[str, Any] | None = None
    prefer: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class RequestFile(Entry, frozen=True):
    """`[requests.ID]`: what the nightly asks the API, as the series `api/ID`.

    In `path` and the texts of `body` and `headers`, `{column}` stands for a drawn value
    (`benchmarks/draw.sql`); a brace that is meant is written twice.
    """

    title: str
    path: str
    """From the root of the API on: `/rest/v1/orders?buyer=eq.{buyer}`."""
    method: Method = "GET"
    body: dict[str, Any] | None = None
    prefer: str = ""
    """The header `Prefer`."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Further ones; `Authorization` takes the place of the drawn user's token."""
    then: tuple[FollowUp, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a path that is none."""
        paths = (self.path, *(step.path for step in self.then))
        if not all(path.startswith("/") for path in paths):
            raise ValueError("`path` must begin with /")


class ProjectFile(Entry, frozen=True):
    """The project's own tables of `phasegate.toml`."""

    project: About
    levels: tuple[Level, ...]
    parts: dict[str, ClientPart] = msgspec.field(default_factory=dict)
    jobs: dict[str, JobFile] = msgspec.field(default_factory=dict)
    requests: dict[str, RequestFile] = msgspec.field(default_factory=dict)
    api: ApiFile = ApiFile()

    def __post_init__(self) -> None:
        """Refuse a project without levels, and names that cannot be, or hide another."""
        for name in self.jobs:
            if not JOB_NAME.fullmatch(name) or name.endswith(ON_THE_SPOT):
                raise ValueError(
                    f"`jobs.{name}` must be named with a-z, 0-9 and -, at most 50 of them, and not "
                    f"end with {ON_THE_SPOT}"
                )
        for name in self.requests:
            if not JOB_NAME.fullmatch(name):
                raise ValueError(f"`requests.{name}` must be named with a-z, 0-9 and -")
        if not self.levels:
            raise ValueError("`levels` must name at least one level")
        hidden = sorted(set(self.parts) & set(ENGINE_PARTS))
        if hidden:
            raise ValueError(f"`parts` must not redefine the engine's {', '.join(hidden)}")


Via = Literal["direct", "proxy", "pooler", "replica"]


class ArmFile(Entry, frozen=True):
    """`[before]` or `[after]` of a technique."""

    title: str
    """As shown: `N+1`, `JOIN`."""
    query: str = ""
    """File of its statement; the technique's `query` where left out, else `query.sql`, else the
    arm's own `before.sql` or `after.sql`."""
    parameters: tuple[str, ...] | None = None
    """Drawn columns, in the order of $1, $2, …; the technique's where left out."""
    arrange: str = ""
    """File of SQL that is run before each block and rolled back after it. Where the technique has a
    migration and both arms ask the same, the undo arranges `before` by itself."""
    via: Via = "direct"
    """What stands between it and the server."""
    delay_ms: float = 0.0
    """What the proxy adds to each round trip; `via = "proxy"` alone takes it."""
    beside: str = ""
    """File of a statement that runs again and again while the arm is measured."""
    beside_via: Via = "direct"
    """Where that one runs."""

    def __post_init__(self) -> None:
        """Refuse a delay where nothing could delay."""
        if (self.delay_ms > 0) != (self.via == "proxy"):
            raise ValueError('`delay_ms` belongs to `via = "proxy"`, and must be above 0 there')


class CostFile(Entry, frozen=True):
    """One of `[[costs]]`: what is measured beside the arms, once for each data set."""

    probe: Literal["relation_size", "write_slow_down", "refresh", "estimate_off", "stated"]
    title: str
    relation: str = ""
    """relation_size: whose bytes."""
    of: str = ""
    """relation_size: the table that they are compared with."""
    query: str = ""
    """write_slow_down: file of the statement that writes, with and without the technique;
    refresh: file of one that changes what the view reads, and returns how many did."""
    parameters: tuple[str, ...] = ()
    """write_slow_down: drawn columns of the statement."""
    writes: str = ""
    """Tables that `query` writes to."""
    role: Literal["user", "owner"] = "user"
    """write_slow_down: whose rights the statement runs with."""
    value: float = 0.0
    """stated: a cost that is known without measuring."""
    unit: str = ""
    """stated: of `value`."""
    note: str = ""
    """In words, beside the figure."""

    def __post_init__(self) -> None:
        """Refuse a probe without what it needs; msgspec names the key."""
        needed = {
            "relation_size": {"relation", "of"},
            "write_slow_down": {"query", "writes"},
            "refresh": {"query", "writes"},
            "stated": {"unit"},
        }.get(self.probe, set())
        missing = sorted(key for key in needed if not getattr(self, key))
        if missing:
            raise ValueError(f"the probe {self.probe} needs `{missing[0]}`")


class Refresh(Entry, frozen=True):
    """`[refresh]`: a materialised view that the technique keeps."""

    view: str
    """Schema-qualified; it needs a unique index, since readers are not to wait."""
    every_s: float
    """How often the part `refresh` fills it again: its answers are that old at most."""

    def __post_init__(self) -> None:
        """Refuse a schedule that would never end, and a name without its schema."""
        if "." not in self.view:
            raise ValueError("`view` must be `schema.view`")
        if not self.every_s >= REFRESH_S_MIN:
            raise ValueError(f"`every_s` must be {REFRESH_S_MIN:.0f} or more")


class Partitions(Entry, frozen=True):
    """`[partitions]`: a table, partitioned by month, for the part `partition_upkeep`."""

    parent: str
    """Schema-qualified, without a name that needs quoting; by range over one column of time."""
    ahead_months: int = 3
    """Months after the current one that always have a partition: upkeep may fail for a whole
    quarter before a row falls into DEFAULT."""
    keep_months: int = 1200
    """A partition is dropped once its last moment is older. A hundred years, so nothing is dropped
    unless asked for: a seeded year is a fixed one, and a retention counted from today would one day
    eat it."""

    def __post_init__(self) -> None:
        """Refuse what no table can have."""
        if not QUALIFIED.fullmatch(self.parent):
            raise ValueError("`parent` must be `schema.table`, each of a-z, 0-9 and _")
        if self.ahead_months < 1 or self.keep_months < 1:
            raise ValueError("`ahead_months` and `keep_months` must be 1 or more")


class TechniqueFile(Entry, frozen=True):
    """`benchmarks/<id>/technique.toml`."""

    title: str
    cost: str
    """What it costs, in words."""
    asks: str = ""
    """What its arms do, in a sentence."""
    phase: int = 0
    """In which the project's guide recommends it; 0 where none does."""
    clicks: tuple[str, ...] = ()
    """Clicks of the sessions that make its call; with their rate it has a price."""
    clicks_per_call: float = 1.0
    """How many of them one measured call stands for."""
    saves_nothing: str = ""
    """Why its time is nothing that a compute size saves."""
    parts: tuple[str, ...] = ()
    """Any of which gives a stack the technique: its own id where left out and it has a migration,
    that of `same_migration_as` where it names one."""
    superseded_by: str = ""
    """A part beside which it has nothing to do."""
    same_migration_as: str = ""
    """The technique whose migration or client's change applies it, where one is measured twice."""
    replaces: dict[str, str] = msgspec.field(default_factory=dict)
    """Tables that the seed fills twice to compare them: the one before the technique → the one with
    it. A stack has one of the two, so one of the two is counted."""
    needs: tuple[str, ...] = ()
    """Parts of the database that must be there while it is measured, beyond the last level's."""
    role: Literal["user", "owner"] = "user"
    """Whose rights the statements run with: row-level security in force, or an operator's."""
    query: str = ""
    """File of the statement where both arms ask the same."""
    parameters: tuple[str, ...] = ()
    """Drawn columns that the statements take, in the order of $1, $2, …"""
    writes: str = ""
    """Tables that the arms write to; each call is then rolled back by itself."""
    same_rows: bool = True
    """False where the arms differ by design, as a count and an estimate of it."""
    server_major_min: int = 0
    """Oldest PostgreSQL that has what it needs."""
    before: ArmFile | None = None
    """None where the arms are Python, in a `bench_*.py`."""
    after: ArmFile | None = None
    costs: tuple[CostFile, ...] = ()
    refresh: Refresh | None = None
    partitions: Partitions | None = None

    def __post_init__(self) -> None:
        """Refuse one arm without the other."""
        if (self.before is None) != (self.after is None):
            raise ValueError("`before` and `after` belong together")
