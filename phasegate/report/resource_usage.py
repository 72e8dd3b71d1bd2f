"""What each stage of load used: the resource nearest its limit, the heaviest statement, suspects.

Takes sampler records and stages, returns values; the rules are `model.bottleneck`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from phasegate.model.bottleneck import (
    Bound,
    Resource,
    StatementUse,
    Suspect,
    Used,
    bound_by,
    heaviest,
    n_plus_one_suspects,
)
from phasegate.records.sampler import SamplerRecord
from phasegate.report.format import milliseconds, plain, users
from phasegate.report.tables import Table
from phasegate.report.traffic import StageTraffic

PROCESSOR_ELSEWHERE = (
    "the target's processor and memory: they are on a machine that cannot be looked into from here"
)

SUSPECTS_SHOWN = 3
SQL_SHOWN = 160
"""Characters of a statement in a table; the record has all of it."""


@dataclass(frozen=True)
class StageUse:
    """One sampled stage."""

    stage: StageTraffic
    bound: Bound
    heaviest: StatementUse | None
    suspects: tuple[Suspect, ...]
    connections_peak: int | None
    connections_max: int | None
    pools: str
    """Who waited for a connection of a pool, and how long; `–` without a pool."""
    machine_cpu_share: float | None
    not_sampled: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file that all of this comes from."""
        return f"sampler/{self.stage.stage}.json"

    @property
    def nearest(self) -> str:
        """The resource nearest its limit, or that none was."""
        if self.bound.resource is Resource.NOTHING:
            return self.bound.detail
        return f"bound by {self.bound.resource}: {self.bound.detail}"

    @property
    def reason(self) -> str:
        """What ran out and the statement that used it, in a sentence."""
        said = self.nearest
        if self.heaviest is not None:
            said += f"; most time in: {plain(self.heaviest.sql, SQL_SHOWN)}"
        return said


def of_stages(
    stages: tuple[StageTraffic, ...], samplers: Mapping[str, SamplerRecord]
) -> tuple[StageUse, ...]:
    """What was sampled, in the order of the stages; stages without a sample are left out."""
    found = []
    for stage in stages:
        record = samplers.get(stage.stage)
        if record is None:
            continue
        used = _of_the_stack(record)
        outside = not any(sample.components for sample in record.samples)
        looked = max((sample.connections for sample in record.samples), default=None)
        often = record.backends_peak
        # Ten looks a second see more than one does, but of the application's database alone.
        peak = looked if often is None else max(often.count, looked or 0)
        found.append(
            StageUse(
                stage=stage,
                bound=bound_by(used),
                heaviest=heaviest(record.uses()),
                suspects=n_plus_one_suspects(record.uses(), stage.events),
                connections_peak=peak,
                connections_max=record.connections_max,
                pools=_pools(record),
                machine_cpu_share=used.machine_cpu_share if used and not outside else None,
                not_sampled=(*record.not_sampled, PROCESSOR_ELSEWHERE)
                if outside
                else record.not_sampled,
            )
        )
    return tuple(found)


def _of_the_stack(record: SamplerRecord) -> Used | None:
    """What the stack used; without its processes, the machine's figures are the generator's."""
    used = record.used()
    if used is None or any(sample.components for sample in record.samples):
        return used
    return replace(used, machine_cpu_share=0.0, other_cpu_share=0.0, memory_available_share_min=1.0)


def _pools(record: SamplerRecord) -> str:
    said = []
    poolers = [sample.pooler for sample in record.samples if sample.pooler is not None]
    if poolers:
        most = max(each.clients_waiting for each in poolers)
        size = "" if record.pooler_size is None else f" of {record.pooler_size}"
        mean_ms = record.pooler_wait_ms_mean()
        each = "" if mean_ms is None else f", {milliseconds(mean_ms)} each on average"
        said.append(f"PgBouncer{size}: {most} waiting at most{each}")
    waiting = [s.pool_waiting for s in record.samples if s.pool_waiting is not None]
    sizes = [s.pool_size for s in record.samples if s.pool_size]
    if waiting and sizes:
        said.append(f"API's of {max(sizes)}: {max(waiting)} waiting at most")
    return "; ".join(said) or "–"


def table(uses: tuple[StageUse, ...]) -> Table:
    """A row per sampled stage."""
    rows = []
    for use in uses:
        stage = use.stage
        peak = "–" if use.connections_peak is None else str(use.connections_peak)
        limit = "" if use.connections_max is None else f" of {use.connections_max}"
        share = use.machine_cpu_share
        rows.append(
            (
                f"{plain(stage.name, 40)}, {users(stage.users)} users",
                use.nearest,
                f"{peak}{limit}",
                use.pools,
                "–" if share is None else f"{share:.0%}",
            )
        )
    head = ("Stage", "Nearest its limit", "Peak connections", "Pools", "Processor (median)")
    return Table(head, tuple(rows))


def _often(suspect: Suspect) -> str:
    return f"{suspect.calls_per_click:.1f} calls a click, {suspect.rows_per_call:.1f} rows each"


def statements(uses: tuple[StageUse, ...]) -> Table:
    """The heaviest statement of each stage, and every N+1 suspect."""
    rows = []
    for use in uses:
        name = f"{plain(use.stage.name, 40)}, {users(use.stage.users)} users"
        if use.heaviest is not None:
            mean = use.heaviest.total_ms / max(use.heaviest.calls, 1)
            rows.append(
                (
                    name,
                    "heaviest",
                    f"{use.heaviest.calls:,} calls, {milliseconds(mean)} each",
                    plain(use.heaviest.sql, SQL_SHOWN),
                )
            )
        rows += [
            (name, "N+1 suspect", _often(suspect), plain(suspect.sql, SQL_SHOWN))
            for suspect in use.suspects[:SUSPECTS_SHOWN]
        ]
    return Table(("Stage", "What", "How often", "Statement"), tuple(rows))


def gaps(uses: tuple[StageUse, ...]) -> tuple[str, ...]:
    """What could not be sampled, each once."""
    return tuple(dict.fromkeys(plain(gap, 200) for use in uses for gap in use.not_sampled))
