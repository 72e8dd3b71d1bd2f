"""What is left of a session's budget, spent on the calls that p95s lack, the cheapest first.

Reads what a session has measured and adds calls of the arms "before" to it: N* rests on their p95.
All that one lacks or nothing: fewer calls would bound it no better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from phasegate.compare.engine import call_before
from phasegate.compare.p95_topup import calls_missing, seconds_for
from phasegate.compare.session import BenchmarkSession
from phasegate.compare.technique import Technique
from phasegate.records.benchmark import Comparison

Same = tuple[str, str, str, str]
"""What makes two techniques' old ways the same: statement, plan, rights, way to the server."""


def _same(technique: Technique, found: Comparison) -> Same:
    arm = technique.before
    return found.before.sql, found.before.plan_hash, technique.role.value, str(arm.route)


def _lacking(found: Sequence[Comparison]) -> int:
    """The calls that each of these, which share them, has at the end."""
    return max(calls_missing(each.before.call_ns + each.before.alone_ns) for each in found)


def _seconds(found: Sequence[Comparison]) -> float:
    return seconds_for(found[0].before.call_ns, _lacking(found))


def groups(
    techniques: Mapping[str, Technique], found: Iterable[Comparison]
) -> list[list[Comparison]]:
    """Those that lack calls, together where their old way is the same; the cheapest first."""

    def same(each: Comparison) -> Same:
        return _same(techniques[each.technique], each)

    by_same = (list(group) for _, group in groupby(sorted(found, key=same), key=same))
    return sorted((group for group in by_same if _lacking(group) > 0), key=_seconds)


def spend(bench: BenchmarkSession) -> None:
    """Make those calls while there is time.

    Raises:
        CannotMeasure: a statement fails.
    """
    open_ = [found for found in bench.comparisons if found.technique not in bench.settled]
    for group in groups(bench.techniques, open_):
        if _seconds(group) > bench.budget.left_s:
            break
        technique = bench.techniques[group[0].technique]
        bench.say(f"{technique.id}, alone")
        with bench.made_ready(technique), bench.arms(technique) as arms:
            alone = call_before(
                arms.callers,
                technique,
                arms.population,
                _lacking(group),
                rng=bench.rng,
                besides=arms.besides,
            )
        for each in group:
            before = msgspec.structs.replace(each.before, alone_ns=each.before.alone_ns + alone)
            bench.note(msgspec.structs.replace(each, before=before))
