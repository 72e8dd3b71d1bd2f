"""A stage that was driven, as the matrix and its search see it: judged, and what bound it. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime

from loadtests.breakpoint import Finding
from loadtests.outcome import Clicks
from phases.bottleneck import Resource, bound_by, heaviest, n_plus_one_suspects
from phases.catalogue import Catalogue
from phases.cell import FLATTERING, Reason, Verdict, code_of
from records.load import LoadRecord
from records.matrix import Probe, Suspect
from records.sampler import SamplerRecord

# They do not excuse a rate: it did not pass, and a lower one may.
NO_EXCUSE = FLATTERING | {Reason.TOO_FEW}

# From the start of the test to the first look that saw nothing but load: sampled once a second, and
# the generator's own start is over.
SETTLED_S = 1.5


@dataclass(frozen=True)
class Driven:
    """One stage of load, and what it used; None where nothing was sampled."""

    load: LoadRecord
    used: SamplerRecord | None

    def probe(self, catalogue: Catalogue, *, at_peak: bool) -> Probe:
        """See `probe_of`."""
        return probe_of(self.load, self.used, catalogue, at_peak=at_peak)

    def processor_share(self) -> float | None:
        """Of all cores, in use under load (0..1, the median of its seconds); None if unknown."""
        if self.used is None:
            return None
        begun = datetime.fromisoformat(self.load.started_at)
        offset_s = (begun - datetime.fromisoformat(self.used.started_at)).total_seconds()
        # A test has its warm-up first, at the same rate: its end lies beyond that of this window.
        first_s, last_s = offset_s + SETTLED_S, offset_s + self.load.duration_s
        shares = [
            sample.machine_cpu_share
            for sample in self.used.samples
            if first_s <= sample.at_s <= last_s
        ]
        return statistics.median(shares) if shares else None


def finding_of(probe: Probe) -> Finding:
    """What a judged stage says about its rate."""
    if probe.verdict == Verdict.PASS:
        return Finding.SUSTAINED
    if probe.verdict == Verdict.FAIL:
        return Finding.NOT_SUSTAINED
    no_excuse = all(code_of(reason) in NO_EXCUSE for reason in probe.reasons)
    return Finding.NOT_SUSTAINED if no_excuse else Finding.UNKNOWN


def probe_of(
    load: LoadRecord, used: SamplerRecord | None, catalogue: Catalogue, *, at_peak: bool
) -> Probe:
    """The verdict on one stage, with what bound it.

    Args:
        load: the stage.
        used: what it used; None where nothing was sampled.
        catalogue: for the SLO.
        at_peak: whether the population at its modelled peak is judged, or the rate itself.
    """
    asked, modelled = load.rate_sessions_per_s, load.modelled_sessions_per_s
    over_peak = asked / modelled if asked and modelled else None
    clicks = Clicks.of(load)
    judgement = clicks.judge(catalogue.slo, rate_over_peak=over_peak if at_peak else None)
    uses = used.uses() if used else ()
    bound = bound_by(used.used() if used else None)
    named = judgement.verdict is Verdict.FAIL and bound.resource is not Resource.NOTHING
    most, total_ms = heaviest(uses), sum(use.total_ms for use in uses)
    return Probe(
        stage=load.stage,
        level=load.level,
        users=load.users,
        rate_sessions_per_s=load.rate_sessions_per_s or load.offered_sessions_per_s,
        verdict=judgement.verdict.value,
        reasons=judgement.reasons,
        latency_ms_p95=clicks.latency_ms_p95,
        latency_ms_p95_high=clicks.latency_ms_p95_high,
        sessions=load.sessions.due if load.sessions else None,
        rate_over_peak=over_peak,
        clicks=clicks.count,
        clicks_failed=clicks.failed,
        bound_by=bound.resource.value if named else None,
        bound_detail=bound.detail if named else None,
        statement=most.sql if most else None,
        statement_share=most.total_ms / total_ms if most and total_ms else None,
        suspects=tuple(
            Suspect(
                sql=suspect.sql,
                calls_per_click=suspect.calls_per_click,
                rows_per_call=suspect.rows_per_call,
                time_share=suspect.time_share,
            )
            for suspect in n_plus_one_suspects(uses, clicks.count)
        ),
    )
