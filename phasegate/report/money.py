"""Capacity and cost of a run: limits, bills and what the next stack level saves.

"The guide" is the project's `[[prices.guide]]`, such as docs/method.md#the-scaling-guide. Takes
`Findings`-like values, returns tables and lines; reads no file, draws nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from phasegate.model.capacity import Profile, Span, bill_at, connections_at, cores_at, fit, missing
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import Bill, band_of, beside
from phasegate.model.limits import Limit, limits
from phasegate.model.prices import GuideBand
from phasegate.records.load import LoadRecord
from phasegate.records.project import ProjectNote
from phasegate.report.charts.costs import Curves, sizes
from phasegate.report.effects import Technique
from phasegate.report.format import listed, plain, rounded, significant, size, users
from phasegate.report.profiles import added, relations
from phasegate.report.run_files import Run
from phasegate.report.savings import Saves, savings
from phasegate.report.savings import lines as saving_lines
from phasegate.report.tables import Table

CURVE_FROM = 100
CURVE_UP_TO = 1_000_000
LEFT_OUT = 5.0
"""Bytes per user below this are summed up in one row of the table."""


@dataclass(frozen=True)
class Money:
    """What the page says of capacity and cost."""

    profiles: tuple[Profile, ...]
    limits: dict[int, tuple[Limit, ...]]
    curves: Curves
    sizes: tuple[int, ...]
    """The phases' upper bounds: where the project's guide bands are held against the bills."""
    saves: tuple[Saves, ...]
    """Of each technique, at those sizes."""


def money(
    profiles: tuple[Profile, ...],
    catalogue: Catalogue,
    techniques: tuple[Technique, ...],
    loads: tuple[LoadRecord, ...],
    project: ProjectNote,
    sizes_priced: tuple[int, ...] = (),
) -> Money | None:
    """Everything about capacity and cost; None where no data set was measured.

    Args:
        profiles: of the stack levels.
        catalogue: workload, usage, prices, alerts.
        techniques: whose savings are priced.
        loads: what the sessions did.
        project: whose techniques and levels these are.
        sizes_priced: registered users to price; the phases' upper bounds where empty.
    """
    known = tuple(profile for profile in profiles if profile.database is not None)
    if not known:
        return None
    bounds = sizes_priced or tuple(phase.users_max for phase in catalogue.phases)
    return Money(
        profiles=known,
        limits={profile.level: limits(profile, catalogue) for profile in known},
        curves={
            profile.level: [
                (count, bill_at(count, profile, catalogue))
                for count in sizes(CURVE_FROM, CURVE_UP_TO)
            ]
            for profile in known
        },
        sizes=bounds,
        saves=savings(techniques, loads, profiles, bounds, catalogue, project),
    )


def dollars(bill: Bill | None) -> str:
    """The sum of a bill in whole dollars from ten on."""
    if bill is None:
        return "no plan is enough"
    usd = bill.usd_per_month
    return f"${usd:,.0f}" if usd >= 10 or usd == 0 else f"${usd:,.2f}"


def described(bill: Bill | None) -> str:
    """`$47: Pro, micro; egress beyond the plan $22`."""
    if bill is None:
        return dollars(bill)
    extra = [
        f"{line.name} ${line.usd_per_month:,.2f}"
        for line in bill.lines[1:]
        if not line.name.endswith(" compute") or line.name.startswith("replica")
    ]
    return f"{dollars(bill)}: {'; '.join([f'{bill.plan}, {bill.compute}', *extra])}"


def _guide(band: GuideBand) -> str:
    low = f"${band.usd_low:,.0f}"
    if band.usd_high is None:
        return f"{low} and more"
    return low if band.usd_high == band.usd_low else f"{low} to ${band.usd_high:,.0f}"


def bills(found: Money, catalogue: Catalogue) -> Table:
    """The cheapest month at each phase's end per level, and where the project's guide bands lie."""
    rows = []
    guided = bool(catalogue.prices.guide)
    for count in found.sizes:
        band = band_of(count, catalogue)
        guide = ["–" if band is None else _guide(band)] if guided else []
        cells = []
        for profile in found.profiles:
            bill = bill_at(count, profile, catalogue)
            held = beside(bill, band)
            verdict = f" ({held} than the guide)" if held in ("cheaper", "dearer") else ""
            cells.append(described(bill) + verdict)
        rows.append((f"{users(count)} users", *guide, *cells))
    heads = [f"Level {profile.level}" for profile in found.profiles]
    return Table(("Users", *(["Guide"] if guided else []), *heads), tuple(rows))


def level_savings(found: Money, catalogue: Catalogue) -> tuple[str, ...]:
    """What each level saves or costs against the one below, in sentences."""
    said = []
    for count in found.sizes:
        for below, above in zip(found.profiles, found.profiles[1:], strict=False):
            first, second = (bill_at(count, p, catalogue) for p in (below, above))
            at = f"At {users(count)} users level {above.level}"
            if first is None and second is not None:
                said.append(f"{at} has a price ({dollars(second)}); level {below.level} has none.")
            elif first is not None and second is not None:
                change = second.usd_per_month - first.usd_per_month
                if abs(change) >= 1:
                    word = "saves" if change < 0 else "costs"
                    more = "" if change < 0 else " more"
                    said.append(
                        f"{at} {word} ${abs(change):,.0f} a month{more} against level "
                        f"{below.level} ({first.compute} → {second.compute})."
                    )
    return tuple(said)


def left_out(found: Money) -> tuple[str, ...]:
    """What the bills leave out because it was not measured."""
    return tuple(
        f"Level {profile.level}: {listed(list(missing(profile)))} not measured, counted as none."
        for profile in found.profiles
        if missing(profile)
    )


ASSUMED_SIZES = (
    "by the database's processor time here, with this machine's cores taken for the size's, "
    "credits over the modelled day, and all data in memory"
)
"""What a compute size rests on where it was not measured."""


def sizes_from(found: Money) -> str:
    """What the compute sizes of the bills rest on: measured, or which assumption."""
    measured = [
        f"{users(count)} users at level {profile.level}"
        for profile in found.profiles
        for count, _ in profile.sizes
    ]
    if not measured:
        return f"Compute sizes are chosen {ASSUMED_SIZES}; `phasegate size` measures them."
    return (
        f"Compute sizes for {listed(measured)} were measured with the size in force, with this "
        "machine's cores taken for the size's, and the API outside it unless `[api]` says "
        f"otherwise; all others are chosen {ASSUMED_SIZES}."
    )


def connections_from(found: Money) -> str:
    """What the connections of each level rest on."""
    said = []
    for profile in found.profiles:
        if "connections" in missing(profile):
            continue
        how = "from the measured peak"
        if not profile.connection_s_per_session:
            how = "by Little's law, for want of a sample"
        said.append(f"level {profile.level} {how}")
    return f"Connections: {listed(said)}." if said else ""


def bytes_table(run: Run, level: int, project: ProjectNote) -> Table:
    """Bytes per registered user of every table and index of a level, largest first."""
    points = {
        **relations(run.seeds.values(), level, project),
        **added(run, level, project),
    }
    fitted = sorted(
        ((name, fit(found)) for name, found in points.items()),
        key=lambda item: -item[1].per_user.estimate,
    )
    rows = []
    for name, found in fitted:
        each = found.per_user
        if each.estimate < LEFT_OUT:
            continue
        spread = (
            f"{size(each.low)} to {size(each.high)}" if each.low and each.high else "too few sizes"
        )
        rows.append((plain(name, 60), size(each.estimate), spread, size(found.fixed)))
    return Table(("Table or index", "Per user", "Range over sizes", "Fixed"), tuple(rows))


def sessions_table(found: Money, catalogue: Catalogue) -> Table:
    """What one session takes at each level, as measured; bytes are those of response bodies."""
    rows = []
    for profile in found.profiles:
        cores = cores_at(found.sizes[-2], profile, catalogue)
        requests = profile.requests_per_session
        connections = connections_at(found.sizes[-2], profile, catalogue)
        how = "" if profile.connection_s_per_session else " (Little's law)"
        rows.append(
            (
                f"Level {profile.level}",
                _sent(profile.egress_bytes_per_session),
                _or_dash(requests.estimate if requests else None, ""),
                _or_dash(profile.service_s, " s"),
                _or_dash(connections, how),
                _or_dash(cores, ""),
            )
        )
    at = users(found.sizes[-2])
    head = (
        "Stack level",
        "Bytes sent",
        "Requests",
        "Mean request",
        f"Connections at {at} users",
        f"Cores at {at} users",
    )
    return Table(head, tuple(rows))


def _sent(each: Span | None) -> str:
    if each is None:
        return "not measured"
    spread = f" ({size(each.low)} to {size(each.high)})" if each.low and each.high else ""
    return size(each.estimate) + spread


def _or_dash(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{significant(value)}{unit}"


def limits_table(found: Money) -> Table:
    """Every limit and alert, with the user count per level."""
    names = dict.fromkeys(limit.name for each in found.limits.values() for limit in each)
    by_level = {
        level: {limit.name: limit for limit in each} for level, each in found.limits.items()
    }
    rows = []
    for name in names:
        kinds = [each[name].kind for each in by_level.values() if name in each]
        cells = [_reached(each.get(name)) for each in by_level.values()]
        rows.append((plain(name), kinds[0], *cells))
    return Table(("Limit or alert", "Kind", *(f"Level {level}" for level in by_level)), tuple(rows))


def _reached(limit: Limit | None) -> str:
    if limit is None:
        return "–"
    if limit.users is None:
        return limit.note or "never"
    text = f"{users(rounded(limit.users))} users"
    if limit.exact:
        text += " (exact)"
    elif limit.low or limit.high:
        low = users(rounded(limit.low)) if limit.low else "fewer"
        high = users(rounded(limit.high)) if limit.high else "never"
        text += f" ({low} to {high})"
    elif limit.note:
        text += f" ({limit.note})"
    return text


def price_sources(catalogue: Catalogue) -> str:
    """Where prices and limits were read, and when."""
    return "; ".join(f"{each.what}, read on {each.read_on}" for each in catalogue.sources.values())


def price_list(catalogue: Catalogue, today: dt.date) -> tuple[str, ...]:
    """The answer of `phasegate prices`: each source, and the keys of what was read there."""
    said = []
    for name, source in catalogue.sources.items():
        keys = [key for key, each in catalogue.figures() if each.source == name]
        if keys:
            age = (today - source.read_on).days
            said += [
                f"{source.what}, read on {source.read_on} ({age} days ago)",
                f"  {source.url}",
                f"  {', '.join(keys)}",
            ]
    return tuple(said)


def lines(found: Money | None, count: int, catalogue: Catalogue) -> tuple[str, ...]:
    """The answer of `phasegate cost --users N`: a line per level, the guide (if any), savings.

    `found` is priced for `count` users alone.
    """
    if found is None:
        return ("No data set was measured in this run, so nothing can be priced.",)
    said = []
    for profile in found.profiles:
        bill = bill_at(count, profile, catalogue)
        said.append(f"Level {profile.level}, {users(count)} users, a month: {described(bill)}")
        plans, sizes = (None, bill.plan if bill else None), (None, bill.compute if bill else None)
        later = [
            limit
            for limit in found.limits[profile.level]
            if limit.users
            and limit.users > count
            and limit.plan in plans
            and limit.compute in sizes
        ]
        if later:
            said.append(
                f"  reached next: {later[0].name} at {users(rounded(later[0].users or 0))} users"
            )
    band = band_of(count, catalogue)
    if band is not None:
        said.append(f"The project's guide says {_guide(band)}.")
    return (
        *said,
        *saving_lines(found.saves),
        sizes_from(found),
        connections_from(found),
        *left_out(found),
        f"Prices: {price_sources(catalogue)}.",
    )
