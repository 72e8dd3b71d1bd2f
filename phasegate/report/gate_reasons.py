"""What each file of a run says for or against a transition, as reasons of the gate. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phasegate.model.capacity import Profile, bill_at, demand_at, missing
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import GB, Bill
from phasegate.model.verdict import Verdict
from phasegate.records.advice import AdviceRecord
from phasegate.records.gate import Kind, Reason
from phasegate.records.host_metrics import alerts, summary
from phasegate.records.least import LeastStack, Needed
from phasegate.records.planner_settings import information, warnings
from phasegate.records.target import TargetRecord
from phasegate.report import format as words
from phasegate.report import least, profiles
from phasegate.report.format import listed, milliseconds, plain, users
from phasegate.report.money import dollars
from phasegate.report.resource_usage import StageUse
from phasegate.report.run_files import Run
from phasegate.report.traffic import StageTraffic

DROPPED_MAX = 4
"""Indexes to drop that are named; more are counted."""

USERS_SHARE_MIN = 0.95
"""Of the phase's upper bound, registered users that a staging database must have: a twentieth fewer
changes no plan, and the planner's estimate may be off by as much."""

HEAD_ROOM_ROUNDING = 1e-6
"""Rates go through JSON and division; a stage driven at 1.25 must not fall short of 1.25."""


def of_cell(
    stage: StageTraffic | None, use: StageUse | None, level: int, size: int, asked: float
) -> list[Reason]:
    """What the cell (level, phase's upper bound) says."""
    at = f"Level {level} at {users(size)} users"
    if stage is None:
        text = f"{at} was not driven"
        return [Reason(kind="missing", text=text, sources=())]
    sources = (stage.source,)
    verdict, why = stage.judgement.verdict, "; ".join(stage.judgement.reasons)
    if verdict is Verdict.FAIL:
        text = f"{at} FAILs: {plain(why)}"
        if use is None:
            return [Reason(kind="fails", text=text, sources=sources)]
        text += f"; {use.reason}"
        return [Reason(kind="fails", text=text, sources=(*sources, use.source))]
    if verdict is Verdict.INVALID:
        text = f"{at} could not be judged: {plain(why)}"
        return [Reason(kind="invalid", text=text, sources=sources)]
    held = f"{at} holds with a p95 of {milliseconds(stage.latency_ms[95.0])}"
    if stage.head_room is None:
        text = f"{held}, but at an unknown share of the modelled peak"
        return [Reason(kind="missing", text=text, sources=sources)]
    if stage.head_room < asked - HEAD_ROOM_ROUNDING:
        text = f"{held}, but was driven at {stage.head_room:.2f}× the peak, not {asked:g}×"
        return [Reason(kind="missing", text=text, sources=sources)]
    text = f"{held} at {stage.head_room:.2f}× the modelled peak"
    return [Reason(kind="note", text=text, sources=sources)]


def of_found(had: Mapping[str, str]) -> list[Reason]:
    """What the user's database has of the project's techniques."""
    names = [part if not name else f"{part} (as {name})" for part, name in sorted(had.items())]
    text = f"The database has {listed(names)}" if names else "The database has no technique yet"
    return [Reason(kind="note", text=text, sources=())]


def of_lacking(needed: Needed, size: int) -> Reason:
    """That the user's database lacks a part of the simplest stack."""
    without = needed.without
    text = f"The database lacks {needed.part}; without it {users(size)} users "
    if without is None or without.verdict != Verdict.FAIL:
        text += "were not seen to hold"
        return Reason(kind="missing", text=text, sources=(least.SOURCE,))
    p95 = f", p95 {milliseconds(without.latency_ms_p95)}" if without.latency_ms_p95 else ""
    return Reason(kind="fails", text=f"{text}FAIL{p95}", sources=(least.SOURCE,))


def of_simplest(
    stack: LeastStack, size: int, asked: float, lacking: Sequence[Needed] = ()
) -> list[Reason]:
    """What the simplest stack that holds says: it was driven, and without each of its parts too.

    `lacking` are those of its parts that the user's database does not have.
    """
    sources = (least.SOURCE,)
    probe, names = stack.probe, listed(list(least.parts_of(stack)))
    p95 = milliseconds(probe.latency_ms_p95) if probe.latency_ms_p95 else "unknown"
    head_room = probe.rate_over_peak
    what = f"With {names}" if names else "With nothing added"
    text = f"{what}, {users(size)} users hold with a p95 of {p95}"
    if head_room is None or head_room < asked - HEAD_ROOM_ROUNDING:
        text += ", but were not driven with enough head-room"
        return [Reason(kind="missing", text=text, sources=sources)]
    found = [Reason(kind="note", text=f"{text} at {head_room:.2f}× the peak", sources=sources)]
    found += [of_lacking(needed, size) for needed in lacking]
    for needed in stack.needed:
        without = needed.without
        if without is not None and needed not in lacking:
            worse = f"p95 {milliseconds(without.latency_ms_p95)}" if without.latency_ms_p95 else ""
            text = f"Without {needed.part}: {without.verdict}{', ' if worse else ''}{worse}"
            found.append(Reason(kind="note", text=text, sources=sources))
    return found


def of_target(target: TargetRecord, size: int) -> list[Reason]:
    """What a staging run's target says about the right to speak for `size` users."""
    sources = ("target.json",)
    found: list[Reason] = []
    database = target.database
    have = database.registered_users if database else None
    if database is None:
        text = "How many users are registered is not known: give --database-url"
        found.append(Reason(kind="missing", text=text, sources=sources))
    elif have is None:
        text = "How many users are registered is not known: no table of users could be read"
        found.append(Reason(kind="missing", text=text, sources=sources))
    elif have < USERS_SHARE_MIN * size:
        text = f"{users(have)} users are registered, too few to speak for {users(size)}"
        found.append(Reason(kind="missing", text=text, sources=sources))
    for sentence in (database.unguarded or ()) if database else ():
        text = f"No fair load: {sentence}"
        found.append(Reason(kind="invalid", text=text, sources=sources))
    told = database.lookups if database else ()
    found += [Reason(kind="alert", text=text, sources=sources) for text in told]
    asked, there = target.acting_users, target.acting_users_found
    if asked is not None and there is not None and there < asked:
        text = f"{asked - there} of {asked} users that sessions acted as are not registered"
        found.append(Reason(kind="invalid", text=text, sources=sources))
    if target.compute is None:
        text = "The target's compute size is not known, nor its price: name it with --compute"
        found.append(Reason(kind="missing", text=text, sources=sources))
    fitted = profiles.of_target(target)
    if fitted is not None and target.compute is not None:
        each = words.size(fitted.per_user.estimate)
        text = (
            f"Priced by {each} of database a user, in proportion, and no less than {target.compute}"
        )
        found.append(Reason(kind="note", text=text, sources=sources))
    if target.reads_only:
        text = "Sessions only read; --allow-writes drives those that write too"
        found.append(Reason(kind="note", text=text, sources=sources))
    return found


def of_host(target: TargetRecord, catalogue: Catalogue) -> list[Reason]:
    """What the host of the database told of itself, and what ends with its credits."""
    host = target.host_metrics
    if host is None:
        return []
    size = next((size for size in catalogue.compute if size.name == target.compute), None)
    sources = ("target.json",)
    found = [Reason(kind="alert", text=text, sources=sources) for text in alerts(host, size)]
    if text := summary(host):
        found.append(Reason(kind="note", text=text, sources=sources))
    return found


def of_planner(run: Run) -> list[Reason]:
    """What the planner was told that another server's is not."""
    sources = ("target.json",) if run.target else ("run.json",)
    settings = run.planner_settings or ()
    return [
        *(Reason(kind="alert", text=text, sources=sources) for text in warnings(settings)),
        *(Reason(kind="note", text=text, sources=sources) for text in information(settings)),
    ]


def of_droppable(advice: AdviceRecord | None) -> list[Reason]:
    """Indexes that can go: no phase asks for it, and it makes writes cheaper."""
    ids = [plain(each.id, 80) for each in advice.droppable] if advice is not None else []
    if not ids:
        return []
    more = len(ids) - DROPPED_MAX
    named = listed(ids[:DROPPED_MAX] + ([f"{more} more"] if more > 0 else []))
    text = f"Indexes that can be dropped, with nothing slower: {named} (phasegate sql ID)"
    return [Reason(kind="note", text=text, sources=("advice.json",))]


def _size(bill: Bill, profile: Profile, size: int) -> str:
    """The compute size of a bill, and what it rests on where that is not the target's own."""
    if size in dict(profile.sizes):
        return f"{bill.compute}, measured"
    return bill.compute if profile.compute else f"{bill.compute} by processor time"


def of_money(
    profile: Profile | None, size: int, catalogue: Catalogue, sources: tuple[str, ...]
) -> list[Reason]:
    """What a month at the phase's upper bound costs, and the alerts that would have fired."""
    if profile is None or profile.database is None:
        text = "Nothing was seeded, so neither capacity nor cost is known"
        return [Reason(kind="missing", text=text, sources=())]
    bill = bill_at(size, profile, catalogue)
    demand = demand_at(size, profile, catalogue)
    at = f"{users(size)} users"
    held = profile.held_users
    # Beyond what was held, the bill is extrapolated: it may warn, but it is no fair no.
    no: Kind = "cost" if held is not None and size <= held else "missing"
    beyond = "" if no == "cost" else " (extrapolated: so many were not held)"
    if bill is None or demand is None:
        text = f"No plan on the price list is enough for {at}{beyond}"
        return [Reason(kind=no, text=text, sources=sources)]
    budget = catalogue.alerts.budget_usd_per_month
    # What was not measured counts as none: the sum is then a lower bound, and says so.
    least = "At least " if missing(profile) else ""
    cost = f"{least}{dollars(bill)} a month ({bill.plan}, {_size(bill, profile, size)}) at {at}"
    fired = [s for s in catalogue.alerts.budget_shares if bill.usd_per_month >= s * budget]
    found = []
    if bill.usd_per_month > budget:
        text = f"{cost} is over the budget of ${budget:,.0f}{beyond}"
        found.append(Reason(kind=no, text=text, sources=sources))
    elif fired:
        text = f"{cost} sets off the budget alert at {max(fired):.0%} of ${budget:,.0f}"
        found.append(Reason(kind="alert", text=text, sources=sources))
    else:
        found.append(Reason(kind="note", text=f"{cost} is within the budget", sources=sources))
    plan = next(plan for plan in catalogue.prices.plans if plan.name == bill.plan)
    share = demand.database_bytes / GB / plan.disk_gb
    if share >= catalogue.alerts.database_size_share:
        text = f"The database fills {share:.0%} of {plan.name}'s {plan.disk_gb:g} GB at {at}"
        kind: Kind = "alert" if plan.sells_more else "cost"
        found.append(Reason(kind=kind, text=text, sources=sources))
    return found
