"""A stage that was driven, as the matrix and its search see it: judged, and what bound it. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime

import msgspec

from phasegate.load.breakpoint import Finding
from phasegate.load.summary import Clicks
from phasegate.model.bottleneck import Resource, bound_by, heaviest, n_plus_one_suspects
from phasegate.model.catalogue import Catalogue
from phasegate.model.verdict import FLATTERING, STEAL_SHARE_MAX, Reason, Verdict, code_of
from phasegate.records.load import LoadRecord
from phasegate.records.matrix import Probe, Suspect
from phasegate.records.sampler import Sample, SamplerRecord

# They do not excuse a rate: it did not pass, and a lower one may.
NO_EXCUSE = FLATTERING | {Reason.TOO_FEW}

# Somebody else had the machine, and may not any more.
TAKEN_AWAY = frozenset({Reason.SHARED, Reason.STOLEN})

# From the start of the test to the first look that saw nothing but load: sampled once a second, and
# the generator's own start is over.
SETTLED_S = 1.5


DATABASE = "postgres"
"""The sampler's name of the database."""

# Of all cores, used by programs that are neither the stack nor the generator. On a machine of one's
# own it is 2 to 8%; from here on the stack has visibly less of the machine than the record says.
OTHERS_SHARE_MAX = 0.2


@dataclass(frozen=True)
class Driven:
    """One stage of load, and what it used; None where nothing was sampled."""

    load: LoadRecord
    used: SamplerRecord | None

    def probe(self, catalogue: Catalogue, *, at_peak: bool) -> Probe:
        """See `probe_of`."""
        return probe_of(self.load, self.used, catalogue, at_peak=at_peak)

    def database_s_per_session(self) -> float | None:
        """Processor seconds of the database (the median of its seconds); None if not sampled."""
        rate = self.load.achieved_sessions_per_s
        shares = [
            part.cpu_share
            for sample in under_load(self.load, self.used)
            for part in sample.components
            if part.name == DATABASE
        ]
        return statistics.median(shares) / rate if shares and rate > 0 else None

    def processor_share(self) -> float | None:
        """Of all cores, in use under load (0..1, the median of its seconds); None if unknown."""
        shares = [sample.machine_cpu_share for sample in under_load(self.load, self.used)]
        return statistics.median(shares) if shares else None


def begun_s(load: LoadRecord, used: SamplerRecord) -> float:
    """When the test began, its warm-up included, in seconds of the sampler."""
    begun = datetime.fromisoformat(load.started_at)
    return (begun - datetime.fromisoformat(used.started_at)).total_seconds()


def under_load(load: LoadRecord, used: SamplerRecord | None) -> list[Sample]:
    """The looks that saw nothing but load."""
    if used is None:
        return []
    offset_s = begun_s(load, used)
    # A test has its warm-up first, at the same rate: its end lies beyond that of this window.
    first_s, last_s = offset_s + SETTLED_S, offset_s + load.duration_s
    return [sample for sample in used.samples if first_s <= sample.at_s <= last_s]


def marked_where_shared(load: LoadRecord, used: SamplerRecord | None) -> LoadRecord:
    """`load`, with a reason more where other programs had a good part of the machine meanwhile.

    The record is the generator's, which cannot know: it takes what it sampled itself for its own.
    Where no component was sampled, the stack is on another machine.
    """
    others = [
        sample.machine_cpu_share - sum(part.cpu_share for part in sample.components) / used.cores
        for sample in under_load(load, used)
        if used is not None and sample.components
    ]
    if used is None or not others:
        return load
    # At its busiest second's share, so that what is left is certainly somebody else's.
    share = statistics.median(others) - load.generator_cpu_share_max * load.workers / used.cores
    if share < OTHERS_SHARE_MAX:
        return load
    reason = f"{Reason.SHARED}: other programs used {share:.0%} of all cores meanwhile"
    return msgspec.structs.replace(load, invalid=(*load.invalid, reason))


def marked_where_stolen(load: LoadRecord, used: SamplerRecord | None) -> LoadRecord:
    """`load`, with a reason more where the hypervisor took a good part of the processors away.

    Where no component was sampled, the stack is on another machine.
    """
    shares = [
        sample.steal_share
        for sample in under_load(load, used)
        if sample.components and sample.steal_share is not None
    ]
    share = statistics.mean(shares) if shares else 0.0  # it comes in bursts, which a median forgets
    if share <= STEAL_SHARE_MAX:
        return load
    reason = (
        f"{Reason.STOLEN}: the hypervisor took {share:.0%} of the processors' time away meanwhile"
    )
    return msgspec.structs.replace(load, invalid=(*load.invalid, reason))


def marked_unguarded(load: LoadRecord, sentences: tuple[str, ...]) -> LoadRecord:
    """`load`, with a reason more for each sentence: why policies did not hold for its sessions."""
    reasons = tuple(f"{Reason.ROW_SECURITY}: {sentence}" for sentence in sentences)
    return msgspec.structs.replace(load, invalid=(*reasons, *load.invalid))


def says_nothing(probe: Probe) -> bool:
    """Whether chance or other programs kept a probe from telling, so that one more may."""
    if probe.verdict != Verdict.INVALID:
        return False
    codes = {code_of(reason) for reason in probe.reasons}
    return bool(codes & TAKEN_AWAY) or probe.latency_ms_p95_high is None


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
