"""Measures one night: A/A, HEAD against the baseline, and a second time what seemed slower.

Writes only to the databases and the worktree that `nightly.paired_runs` and `nightly.worktrees`
make and take away. Judging and keeping the record are others' work.
"""

from __future__ import annotations

import asyncio
import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from msgspec.structs import replace as replace_fields

from phasegate import seeding
from phasegate.compare.dataset import read_planner_settings
from phasegate.compare.libpq import Session
from phasegate.compare.session import SELF_CHECK
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import CannotMeasure, ConfigurationError, UsageError
from phasegate.nightly import worktrees as trees
from phasegate.nightly.machine_noise import Watch, quarantine
from phasegate.nightly.paired_runs import (
    MODULES,
    ROUNDS,
    Measured,
    Rig,
    Sitting,
    measure_each,
    same_of,
)
from phasegate.nightly.suspects import suspects
from phasegate.nightly.worktrees import BASELINE, ROOT, NoBaseline, Tree
from phasegate.records.night import Circumstances, NightRecord, Series
from phasegate.records.planner_settings import PlannerSetting, warnings
from phasegate.stack.cache import cache_dir
from phasegate.stack.machine import describe_server, machine
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres
from phasegate.stack.processes import postmaster_of
from phasegate.stack.remote_measure import ChildFault
from phasegate.stats.self_check import redrawn

# Of the budget. A/A is few series that everything else is judged by; what is left over after the
# first measurement is for the second one, which few series need.
SAME_SHARE = 0.15
FIRST_SHARE = 0.60
SECOND_SHARE = 0.25

# A second measurement decides whether somebody is woken: it averages over twice the processes.
SECOND_ROUNDS = 2

NOTHING_DIFFERS = "nothing differs from the baseline"
NO_BASELINE = "no baseline to hold it against"
NOT_IN_BASELINE = "not in the baseline"
NOT_IN_HEAD = "not in HEAD any more"

Say = Callable[[str], None]


@dataclass(frozen=True)
class NightlyPlan:
    """What one night does.

    Attributes:
        baseline: tag, branch or commit to hold HEAD against.
        users: registered users of the data set.
        seed: of the data set and of the drawn parameters.
        budget_s: seconds for all blocks together; set-up comes on top.
        only: series to measure, each a pattern like `sql/join*` or a part of an id; all if empty.
        everything: measure also where nothing differs.
        root: the checkout that is HEAD.
        rounds: of fresh processes, by room of series.
    """

    baseline: str
    users: int
    seed: int
    budget_s: float
    only: tuple[str, ...] = ()
    everything: bool = False
    root: Path = ROOT
    rounds: Mapping[str, int] = field(default_factory=lambda: ROUNDS)

    def wants(self, series: str) -> bool:
        """Whether that series is to be measured."""
        if series.startswith(f"sql/{SELF_CHECK}/"):  # the A/A statement is no series
            return False
        return not self.only or any(
            part in series or fnmatch.fnmatch(series, part) for part in self.only
        )

    @property
    def rooms(self) -> tuple[str, ...]:
        """Rooms that may have such series."""
        named = {part.partition("/")[0] for part in self.only}
        return tuple(
            room for room in MODULES if not named <= set(MODULES) or not named or room in named
        )


def measure(plan: NightlyPlan, catalogue: Catalogue, say: Say = lambda _: None) -> NightRecord:
    """Measure a night on a server of our own; the record has no findings yet.

    Raises:
        ConfigurationError: HEAD is no git checkout.
        UsageError: no series matches `only`.
        CannotMeasure: HEAD itself cannot be measured. Where the baseline cannot, the record says
            so in `notes`, `baseline_commit` is null, and there is A/A alone.
    """
    trees.head(plan.root)  # before anything is started
    with running_postgres(cluster_dir()) as server:
        return measure_on(server, plan, catalogue, say)


def measure_on(
    server: PostgresServer, plan: NightlyPlan, catalogue: Catalogue, say: Say = lambda _: None
) -> NightRecord:
    """As `measure`, on a server that runs."""
    started, began = datetime.now(UTC), time.monotonic()
    commit, dirty = trees.head(plan.root)
    here = machine()
    _, data = seeding.ensure_dataset(server, users=plan.users, seed=plan.seed)
    rig = Rig(server, plan.users, plan.seed, plan.rounds)
    postmaster = postmaster_of(server.data_dir)
    night = _Night(plan, rig, Watch(postmaster), say)
    night.compare()
    planner = _planner_settings(server)
    found = _suspects(plan.root, night.baseline_commit)
    return NightRecord(
        format_version=NightRecord.FORMAT_VERSION,
        night=f"{started:%Y-%m-%dT%H%M%SZ}",
        started_at=started.isoformat(timespec="seconds"),
        wall_s=round(time.monotonic() - began, 1),
        phasegate_version=version("phasegate"),
        commit=commit,
        dirty=dirty,
        baseline=plan.baseline,
        baseline_commit=night.baseline_commit,
        machine=here,
        server=replace_fields(asyncio.run(describe_server(server)), planner_settings=planner),
        users=plan.users,
        seed=plan.seed,
        sha256=data.sha256,
        circumstances=night.circumstances(),
        series=tuple(night.series()),
        notes=(*night.notes, *warnings(planner)),
        commits=found[0],
        files_changed=found[1],
    )


def _planner_settings(server: PostgresServer) -> tuple[PlannerSetting, ...]:
    """As both sides' sessions meet them: they too come through libpq, with this environment."""
    with closing(Session(server.dsn())) as session:
        return read_planner_settings(session)


def _suspects(root: Path, baseline: str | None) -> tuple[tuple[str, ...], dict[str, int]]:
    if baseline is None:
        return (), {}
    try:
        found = suspects(root, baseline, paths=trees.watched(root).everything)
    except ConfigurationError:  # a shallow clone has both commits, but not the way between them
        return (), {}
    return found.commits, found.files_changed


class _Night:
    """What has been measured so far."""

    def __init__(self, plan: NightlyPlan, rig: Rig, watch: Watch, say: Say) -> None:
        self.plan = plan
        self.rig = rig
        self.say = say
        self.head = Tree.of(plan.root)
        self._watched = trees.watched(plan.root)
        self.baseline_commit: str | None = None
        self.notes: list[str] = []
        self._watch = watch
        self._names: dict[str, str] = {}
        self._baseline_names: dict[str, str] = {}
        self._why_not: dict[str, str] = {}
        self._first: dict[str, Measured] = {}
        self._second: dict[str, Measured] = {}
        self._same: list[tuple[str, Measured]] = []
        self._same_alarmed: list[str] = []

    def compare(self) -> None:
        """Everything, in order.

        Raises:
            UsageError: no series matches the pattern.
            CannotMeasure: HEAD cannot be measured.
        """
        rooms = self._find_baseline()
        self._measure_same()
        if not rooms or self.baseline_commit is None:
            return
        folder = cache_dir() / "nightly"
        folder.mkdir(exist_ok=True)
        try:
            with trees.checked_out(self.plan.root, self.baseline_commit, folder) as other:
                self._measure_first(other, rooms)
        except (NoBaseline, ChildFault) as fault:
            self._without_baseline(fault)

    def _find_baseline(self) -> list[str]:
        """Note the baseline's commit; the rooms in which HEAD differs from it."""
        try:
            commit = trees.commit_of(self.plan.root, self.plan.baseline)
        except NoBaseline as fault:
            self._without_baseline(fault)
            return []
        self.baseline_commit = commit
        if trees.differs(self.plan.root, commit, self._watched.seeded):
            self.notes.append(
                "Seeder or tables differ from the baseline's: both sides were measured on HEAD's "
                "data"
            )
        return [room for room in self.plan.rooms if self._differs(commit, room)]

    def _differs(self, commit: str, room: str) -> bool:
        if self.plan.everything or trees.differs(self.plan.root, commit, self._watched.rooms[room]):
            return True
        self._why_not[room] = NOTHING_DIFFERS
        return False

    def _note_names(self, both: Sitting) -> None:
        """Which series there are.

        Raises:
            UsageError: nowhere is there one that is wanted.
        """
        self._names |= both.series
        all_known = set(map(_room, self._names)) >= set(self.plan.rooms)
        if all_known and not any(map(self.plan.wants, self._names)):
            raise UsageError(
                f"No series matches {' or '.join(map(repr, self.plan.only))}",
                untouched="Nothing was recorded",
                then="`phasegate history` names the series of the last night",
            )

    def _without_baseline(self, fault: CannotMeasure) -> None:
        """Go on without it.

        Raises:
            ChildFault: it is HEAD that cannot be measured.
        """
        if isinstance(fault, ChildFault) and fault.who != BASELINE:
            raise fault
        self.say(fault.sentence())
        self.notes.append(f"No baseline: {fault.sentence()}")
        self.baseline_commit = None
        self._why_not = dict.fromkeys(MODULES, NO_BASELINE)
        self._first, self._second, self._baseline_names = {}, {}, {}

    def _measure_same(self) -> None:
        """HEAD against HEAD, judged by the rule for all other series."""
        share = SAME_SHARE / len(self.plan.rooms)
        for room in self.plan.rooms:
            found = self._measured(room, self.head, same_of(room), share, self._note_names)
            for id_, one in found.items():
                self._same.append((id_, one))
                if one.suspicious:
                    again = self._again(room, self.head, [id_], share)[id_]
                    self._same.append((id_, again))
                    self._same_alarmed += [id_] if one.confirmed_by(again) else []

    def _measure_first(self, other: Tree, rooms: Sequence[str]) -> None:
        """Each series of the rooms that differ, and what seems slower once more."""
        wanted = {
            room: [id_ for id_ in self._names if _room(id_) == room and self.plan.wants(id_)]
            for room in rooms
        }

        def note_names(both: Sitting) -> None:
            self._baseline_names |= both.baseline_series

        count = max(1, sum(map(len, wanted.values())))
        for room, ids in wanted.items():
            share = FIRST_SHARE * len(ids) / count
            self._first |= self._measured(room, other, ids, share, note_names)
        again = [id_ for id_, one in self._first.items() if one.suspicious]
        for room in rooms:
            ids = [id_ for id_ in again if _room(id_) == room]
            share = SECOND_SHARE * len(ids) / max(1, len(again))
            self._second |= self._again(room, other, ids, share)

    def _measured(
        self,
        room: str,
        other: Tree,
        ids: Sequence[str],
        share: float,
        on_open: Callable[[Sitting], None],
    ) -> dict[str, Measured]:
        return measure_each(
            self.rig,
            room,
            (self.head, other),
            ids,
            self.plan.budget_s * share,
            on_open=on_open,
            on_series=self.say,
        )

    def _again(
        self, room: str, other: Tree, ids: Sequence[str], share: float
    ) -> dict[str, Measured]:
        """In fresh processes, each side on the other's copy of the data."""
        more = {room: rounds * SECOND_ROUNDS for room, rounds in self.rig.rounds.items()}
        return measure_each(
            replace(self.rig, rounds=more),
            room,
            (self.head, other),
            ids,
            self.plan.budget_s * share,
            swapped=True,
            on_series=lambda id_: self.say(f"{id_} again"),
        )

    def series(self) -> Iterable[Series]:
        """As recorded: every series that was asked for, measured or with the reason why not."""
        for id_, name in self._names.items():
            if self.plan.wants(id_):
                one = self._first.get(id_, Measured(note=self._note(id_)))
                second = self._second.get(id_)
                yield Series(
                    id=id_,
                    name=name,
                    ratios=one.ratios,
                    confirmation=second.ratios if second else None,
                    head=one.head,
                    baseline=one.baseline,
                    note=one.note,
                )
        for id_, name in self._baseline_names.items():
            if id_ not in self._names and self.plan.wants(id_):
                yield Series(id=id_, name=name, ratios=None, note=NOT_IN_HEAD)

    def _note(self, series: str) -> str:
        return self._why_not.get(_room(series), NOT_IN_BASELINE)

    def circumstances(self) -> Circumstances:
        """Of the whole measurement."""
        tallies = [redrawn(np.array(one.logs)) for _, one in self._same if one.logs]
        shares = self._watch.shares()
        found = sum(tally.found for tally in tallies)
        injections = sum(tally.injections for tally in tallies)
        return Circumstances(
            steal_share=shares.steal,
            busy_share=shares.busy,
            load_1m=self._watch.load_1m,
            same=tuple(one.ratios for _, one in self._same if one.ratios is not None),
            false_alarms=sum(tally.false_alarms for tally in tallies),
            pairs=sum(tally.pairs for tally in tallies),
            found=found,
            injections=injections,
            quarantine=quarantine(
                shares, same_alarmed=self._same_alarmed, found=found, injections=injections
            ),
        )


def _room(series: str) -> str:
    return series.partition("/")[0]
