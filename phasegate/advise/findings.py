"""What follows from what was measured of each candidate. Pure: values in, `AdviceRecord` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phasegate.advise.candidate import CARRYING, Candidate
from phasegate.advise.measure import Measured
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import Demand, cheapest
from phasegate.records.advice import Advice, AtSize, Finding
from phasegate.report.effects import Effect, Technique, techniques
from phasegate.stats.crossover import Outcome
from phasegate.stats.paired import EFFECT_MIN

# Of two candidates for one statement, the dearer one must be better by this to be advised.
BETTER_BY = 0.9

HELPING = ("needed", "not needed yet")
# An index that carries columns along is several times as large: it must halve the time.
CARRYING_MAX = 0.5

# The index that stays finds the same rows; a wider one takes a little longer to read.
TWIN_SLOWER_MAX = 1.2

UNASKED = "no statement that was seen asks for it"


@dataclass(frozen=True)
class Seen:
    """How the statements were seen.

    Attributes:
        sessions: that finished meanwhile; 0 where nobody counted.
        database_bytes: of the largest data set measured.
    """

    sessions: int
    database_bytes: float


def findings(
    candidates: Sequence[Candidate], measured: Measured, seen: Seen, catalogue: Catalogue
) -> tuple[Finding, ...]:
    """One of each candidate, those to act on first."""
    objective = catalogue.slo.statement_latency_ms_p95
    found = {each.technique: each for each in techniques(measured.records, objective, catalogue)}
    made = [
        _finding(each, found.get(each.id), measured.skipped.get(each.id, ""), seen, catalogue)
        for each in candidates
    ]
    made = _one_for_each(candidates, made)
    order = {advice: place for place, advice in enumerate(_ORDER)}
    return tuple(sorted(made, key=lambda each: (order[each.advice], -(each.saves_cores or 0.0))))


_ORDER: tuple[Advice, ...] = (
    "needed", "not needed yet", "can be dropped", "harmful", "no difference", "cannot tell",
    "covered", "not measured",
)  # fmt: skip


def _finding(
    candidate: Candidate,
    technique: Technique | None,
    skipped: str,
    seen: Seen,
    catalogue: Catalogue,
) -> Finding:
    calls = candidate.calls / seen.sessions if seen.sessions else None
    plain = Finding(
        id=candidate.id,
        kind=candidate.kind,
        table=candidate.table,
        title=candidate.title,
        why=candidate.why,
        advice="not measured",
        reason=skipped or "there was no time for it",
        note=candidate.note,
        covered_by=candidate.covered_by,
        statement=candidate.seen.text if candidate.seen is not None else "",
        calls_per_session=calls,
    )
    if technique is None:
        return plain
    crossed = technique.crossed
    within = crossed is not None and crossed.outcome is Outcome.WITHIN
    advice = _advice(candidate, technique)
    other = technique.elsewhere
    cores, usd = _saved(technique.largest, calls, seen, catalogue)
    gains = advice in ("needed", "not needed yet")
    return Finding(
        **{name: getattr(plain, name) for name in _SAME},
        advice=advice,
        note=_note(candidate, advice),
        needed_from=crossed.users if crossed is not None and within else None,
        needed_from_low=crossed.low if crossed is not None and advice == "needed" else None,
        needed_from_high=crossed.high if crossed is not None and advice == "needed" else None,
        needed_from_reference=other.reference.users if other and advice == "needed" else None,
        sizes=tuple(_at_size(effect) for effect in technique.effects),
        costs=technique.largest.comparison.costs,
        saves_cores=cores if gains else None,
        saves_usd_per_month=usd if gains else None,
    )


_SAME = (
    "id", "kind", "table", "title", "why", "covered_by", "statement", "calls_per_session",
)  # fmt: skip


def _advice(candidate: Candidate, technique: Technique) -> Advice:
    ratio = technique.largest.ratio
    if candidate.drops:
        # Nothing scanned it, or its twin stays: there is nothing to find beyond the noise.
        bearable = TWIN_SLOWER_MAX if candidate.kind == "duplicate index" else EFFECT_MIN
        if ratio is None:
            return "cannot tell"
        return "harmful" if ratio.low > bearable else "can be dropped"
    if technique.advice == "slower":
        return "harmful"
    dear = candidate.id.endswith(CARRYING) and ratio is not None and ratio.estimate > CARRYING_MAX
    if technique.advice == "needed" and (dear or not candidate.calls):
        return "not needed yet"
    return technique.advice


def _note(candidate: Candidate, advice: Advice) -> str:
    if candidate.note or candidate.calls or candidate.drops:
        gin = "not leakproof" in candidate.note and not candidate.drops
        # Where it did help, what was expected of it did not come true.
        return "" if gin and advice in ("needed", "not needed yet") else candidate.note
    return UNASKED


def _at_size(effect: Effect) -> AtSize:
    ratio = effect.ratio
    return AtSize(
        users=effect.users,
        ratio=ratio.estimate if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        before_ms_p95=effect.before_ms_p95,
        after_ms_p95=effect.after_ms_p95,
    )


def _saved(
    effect: Effect, calls_per_session: float | None, seen: Seen, catalogue: Catalogue
) -> tuple[float | None, float | None]:
    """Cores at the modelled peak and what they cost a month: this statement's alone."""
    if calls_per_session is None or effect.ratio is None:
        return None, None
    blocks = effect.comparison.before.block_ns
    before_s = sorted(blocks)[len(blocks) // 2] / 1e9
    rate = catalogue.workload.arrival_rate_per_s(effect.users) * calls_per_session
    before = rate * before_s / catalogue.usage.cpu_share_max
    after = before * effect.ratio.estimate
    bills = [
        cheapest(_demand(effect.users, cores, seen, catalogue), catalogue)
        for cores in (before, after)
    ]
    usd = None
    if bills[0] is not None and bills[1] is not None:
        usd = bills[0].usd_per_month - bills[1].usd_per_month
    return before - after, usd


def _demand(users: int, cores: float, seen: Seen, catalogue: Catalogue) -> Demand:
    active = users * catalogue.usage.monthly_active_share
    return Demand(
        users=users,
        database_bytes=seen.database_bytes,
        metered={"active-users": active},
        connections=0.0,
        pooled=False,
        replicas=0,
        cores=cores,
        hosting_bytes=0.0,
    )


def _one_for_each(candidates: Sequence[Candidate], made: Sequence[Finding]) -> list[Finding]:
    """Of indexes and partitions for one statement and table the simplest that does as well as any.

    One that carries columns along is left out where anything else does more for its statement.
    """
    kinds = {each.id: each for each in candidates}
    groups: dict[tuple[str, str], list[Finding]] = {}
    for each in made:
        seen = kinds[each.id].seen
        helps = each.advice in HELPING
        alike = each.kind in ("index", "partitions")
        if alike and seen is not None and helps and each.sizes:
            groups.setdefault((each.table, seen.text), []).append(each)
    covered: dict[str, str] = {}
    for each in made:
        seen = kinds[each.id].seen
        if each.id.endswith(CARRYING) and seen is not None and each.advice in HELPING:
            better = [
                other
                for other in made
                if other.id != each.id
                and kinds[other.id].seen is seen
                and other.advice in HELPING
                and _ratio(other) < _ratio(each)
            ]
            if better:
                covered[each.id] = min(better, key=_ratio).id
    for group in groups.values():
        best = min(map(_ratio, group))
        enough = [each for each in group if _ratio(each) * BETTER_BY <= best]
        chosen = min(enough, key=lambda each: (each.kind != "index", len(each.id), each.id))
        covered = {each.id: chosen.id for each in group if each.id != chosen.id} | covered
    return [each if each.id not in covered else _covered(each, covered[each.id]) for each in made]


def _ratio(finding: Finding) -> float:
    """At the largest size; 1 where there is none."""
    return (finding.sizes[-1].ratio if finding.sizes else None) or 1.0


def _covered(finding: Finding, by: str) -> Finding:
    import msgspec

    return msgspec.structs.replace(
        finding, advice="covered", note=f"{by} does as well for this statement"
    )


def without(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no technique of the project covers: the others are measured as techniques."""
    return [each for each in candidates if not each.covered_by]
