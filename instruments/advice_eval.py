"""How many planted faults the advice finds, and how many of its findings are faults.

    python -m instruments advice --projects 8

Plants faults in generated projects and in copies of this repository's two, advises on each on a
server of ours, and counts. With `--supabase PROGRAM` the Supabase CLI looks at the same databases:
whatever its performance advisors report must be among our candidates. Partitions are their table's:
one index on the table is one on each of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instruments.planted_faults import KINDS, Edit, Planted, generate, plant
from phasegate import seeding
from phasegate.advise.run import AdvicePlan, advise
from phasegate.project import VARIABLE, load_project
from phasegate.records.advice import AdviceRecord, Finding
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.database import connected, run
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

ROOT = Path(__file__).resolve().parent.parent

RECALL_MIN, PRECISION_MIN = 0.95, 0.90
SEED = 2026

# What an advice must say of a fault to have found it. Policies that overlap cost little more than
# one: that it was measured and is no difference is an answer.
FOUND = frozenset({"needed", "not needed yet", "can be dropped", "covered"})
FOUND_TOO = {"policies overlap": frozenset({"no difference", "cannot tell"})}

# Lints of the Supabase CLI by name, and the kinds of ours that answer them.
LINTS = {
    "unindexed_foreign_keys": {"index"},
    "auth_rls_initplan": {"policy per row"},
    "multiple_permissive_policies": {"policies overlap"},
    "unused_index": {"unused index", "duplicate index"},
    "duplicate_index": {"duplicate index", "unused index"},
}
TIMEOUT_S = 60.0

OLD = (
    'create policy "old projects" on projects for select to authenticated'
    " using (name = 'shared');"
)
FOUNDERS = (
    '\ncreate policy "founders" on organisations for select to authenticated'
    " using (name = 'open to all');\n"
)


@dataclass(frozen=True)
class Case:
    """A project and what was planted in it."""

    name: str
    make: Callable[[Path], tuple[Path, tuple[Planted, ...]]]
    users: int
    level: int = 1


@dataclass
class Tally:
    """Counts over all cases; `lines` tell of each."""

    planted: int = 0
    found: int = 0
    needed: int = 0
    right: int = 0
    lints: int = 0
    answered: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Of the planted faults, the share that was found."""
        return self.found / max(self.planted, 1)

    @property
    def precision(self) -> float:
        """Of what is said to be needed, the share that mends a planted fault."""
        return self.right / max(self.needed, 1)

    @property
    def holds(self) -> bool:
        """Whether both goals are kept, and every lint is answered."""
        enough = self.recall >= RECALL_MIN and self.precision >= PRECISION_MIN
        return enough and self.answered == self.lints

    def add(self, case: str, planted: Sequence[Planted], record: AdviceRecord) -> None:
        """Count what `record` says of a project with these faults."""
        counted = [each for each in planted if each.matters]
        missed = [each for each in counted if not any(_finds(f, each) for f in record.findings)]
        needed = [f for f in record.findings if f.advice == "needed"]
        wrong = [f for f in needed if not any(_mends(f, each) for each in planted)]
        self.planted += len(counted)
        self.found += len(counted) - len(missed)
        self.needed += len(needed)
        self.right += len(needed) - len(wrong)
        self.lines.append(
            f"{case}: {len(counted) - len(missed)} of {len(counted)} found, "
            f"{len(needed) - len(wrong)} of {len(needed)} needed are faults"
        )
        self.lines += [f"  missed: {each.kind} on {each.table}" for each in missed]
        self.lines += [f"  not planted: {f.id} ({f.advice})" for f in wrong]
        self.lines += [f"  not measured: {f.id}: {f.reason}" for f in record.findings
                       if f.advice == "not measured"]  # fmt: skip

    def add_lints(self, case: str, lints: Sequence[tuple[str, str]], record: AdviceRecord) -> None:
        """Count which of the oracle's lints, each a name and a table, we report too."""
        for name, table in lints:
            kinds = LINTS.get(name, set())
            ours = any(f.kind in kinds and f.table == table for f in record.findings)
            self.lints += 1
            self.answered += ours
            if not ours:
                self.lines.append(f"  {case}: Supabase reports {name} on {table}, we do not")


def _mends(finding: Finding, fault: Planted) -> bool:
    return finding.table == fault.table and finding.kind == fault.kind


def _finds(finding: Finding, fault: Planted) -> bool:
    said = FOUND | FOUND_TOO.get(fault.kind, frozenset())
    return _mends(finding, fault) and finding.advice in said


def cases(projects: int, users: int, first: int = 0) -> Iterator[Case]:
    """Both projects of this repository, then generated ones, numbered from `first` on."""
    yield Case("task app", _task_app, users)
    yield Case("task app, policies per row", _task_app_per_row, users)
    yield Case("helpdesk", _helpdesk, users)
    for seed in range(first, first + projects):
        rng = random.Random(f"advice {seed}")
        kinds = {kind for kind in KINDS if rng.random() < 0.5}

        def make(
            folder: Path, seed: int = seed, kinds: set[str] = kinds
        ) -> tuple[Path, tuple[Planted, ...]]:
            return folder, generate(folder, seed, kinds)

        yield Case(f"generated {seed}", make, users)


TIGHT = ("phasegate.toml", "", "\n[slo]\nstatement_latency_ms_p95 = 2.0\n")
"""So that copies of a thousand users can need something."""


def _task_app(folder: Path) -> tuple[Path, tuple[Planted, ...]]:
    """As shipped it lacks an index and asks one by one; put in are an index and a policy."""
    edits: list[Edit] = [
        ("seed/policies.sql", "\nend\n$policies$;", f"\n    {OLD}\nend\n$policies$;"),
        ("seed/keys.sql", "", "\ncreate index tasks_title on tasks (title);\n"),
        TIGHT,
    ]
    found = (
        Planted("index", "public.tasks"),
        Planted("N+1", "public.projects"),
        Planted("live aggregate", "public.tasks"),
        Planted("policies overlap", "public.projects"),
        Planted("unused index", "public.tasks"),
    )
    return plant(ROOT, folder, edits), found


def _task_app_per_row(folder: Path) -> tuple[Path, tuple[Planted, ...]]:
    """The list leaves it to the policies whose tasks it shows, and they are asked for every row."""
    edits: list[Edit] = [
        ("seed/policies.sql", "(user_id = (select auth.uid()))", "(user_id = auth.uid())"),
        ("loadtests/locustfile.py", "&user_id=eq.{self.user.id}{project}", "{project}"),
        ("phasegate.toml", 'parts = ["n-plus-1", "rls_uid"]', 'parts = ["n-plus-1"]'),
        TIGHT,
    ]
    found = (
        Planted("policy per row", "public.tasks"),
        Planted("index", "public.tasks"),
        Planted("live aggregate", "public.tasks"),
        # Looked up by key alone: the policy is asked of one row, and costs what one row costs.
        Planted("policy per row", "public.projects", matters=False),
        Planted("N+1", "public.projects", matters=False),
    )
    return plant(ROOT, folder, edits), found


def _helpdesk(folder: Path) -> tuple[Path, tuple[Planted, ...]]:
    """As shipped it asks a function per row and lacks the inbox's index; more is planted."""
    edits: list[Edit] = [
        ("seed/keys.sql", "create index memberships_agent on memberships (agent_id);\n", ""),
        ("seed/keys.sql", "", "\ncreate index tickets_subject on tickets (subject);\n"),
        ("seed/keys.sql", "", "create index comments_again on comments (ticket_id, id);\n"),
        ("seed/policies.sql", "", FOUNDERS),
        TIGHT,
    ]  # fmt: skip
    found = (
        Planted("policy per row", "public.tickets"),
        Planted("policy per row", "public.organisations"),
        Planted("index", "public.tickets"),
        Planted("index", "public.memberships"),
        Planted("unused index", "public.tickets"),
        Planted("duplicate index", "public.comments"),
        Planted("policies overlap", "public.organisations"),
    )
    return plant(ROOT / "examples" / "helpdesk", folder, edits), found


def evaluate(
    projects: int,
    users: int,
    budget_s: float,
    supabase: str | None,
    say: Callable[[str], None],
    only: str = "",
    *,
    first: int = 0,
    seed: int = SEED,
) -> Tally:
    """Advise on every case and count.

    Args:
        projects: generated ones.
        users: of each data set.
        budget_s: seconds of measuring for each case.
        supabase: the program of the Supabase CLI; None to leave it out.
        say: told of each case as it is done.
        only: of the cases, those whose name has this in it.
        first: number of the first generated project.
        seed: of the data sets.
    """
    tally = Tally()
    with locked(cache_dir(), "instruments advice"), running_postgres(cluster_dir()) as server:
        for case in cases(projects, users, first):
            if only in case.name:
                done = len(tally.lines)
                _evaluate(case, server, tally, budget_s, supabase, seed)
                say("\n".join(tally.lines[done:]))
    return tally


def _evaluate(
    case: Case,
    server: PostgresServer,
    tally: Tally,
    budget_s: float,
    supabase: str | None,
    seed: int,
) -> None:
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="phasegate-planted-") as name:
        root, planted = case.make(Path(name) / "project")
        os.environ[VARIABLE] = str(root)
        try:
            project = load_project(root)
            dsn, _ = seeding.ensure_dataset(server, users=case.users, seed=seed)
            apply_level(dsn, case.level, project)
            plan = AdvicePlan(project, case.level, seed, budget_s)
            record = advise(plan, server, {case.users: dsn}, Path(name) / "out")
            tally.add(case.name, planted, record)
            if supabase is not None:
                tally.add_lints(case.name, lints(supabase, dsn), record)
        finally:
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before


def lints(program: str, dsn: str) -> list[tuple[str, str]]:
    """What the Supabase CLI's performance advisors say of the database: name and table."""
    done = subprocess.run(
        [program, "db", "advisors", "--db-url", dsn, "--type", "performance", "--level", "info",
         "--output-format", "json"],
        capture_output=True, encoding="utf-8", timeout=TIMEOUT_S, check=False, cwd="/tmp",  # noqa: S108
    )  # fmt: skip
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(
            f"supabase db advisors: {done.stderr[-300:] or done.stdout[-300:]}"
        ) from None
    rows = told if isinstance(told, list) else next(v for v in told.values() if isinstance(v, list))
    roots = run(_partitions(dsn))
    found = []
    for row in rows:
        about = row.get("metadata") or {}
        table = f"{about.get('schema')}.{about.get('name')}"
        found.append((row["name"], roots.get(table, table)))
    return [each for each in dict.fromkeys(found) if not each[1].startswith("phasegate")]


async def _partitions(dsn: str) -> dict[str, str]:
    """Each partition's table, both with their schemas."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "select n.nspname || '.' || c.relname, m.nspname || '.' || r.relname from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " join pg_class as r on r.oid = pg_partition_root(c.oid)"
            " join pg_namespace as m on m.oid = r.relnamespace where c.relispartition"
        )
        return {row[0]: row[1] for row in rows}
