"""What pytest-benchmark's JSON says of an arm beside its times. Pure: records to plain JSON."""

from __future__ import annotations

import math

from phasegate.compare.dataset import DataSet
from phasegate.records.benchmark import Arm, Comparison
from phasegate.stats.paired import judge, ratio


def extra_info(comparison: Comparison, arm: Arm, dataset: DataSet) -> dict[str, object]:
    """JSON-ready facts of `arm`; a bound that does not exist is null."""
    found = ratio(comparison.before.block_ns, comparison.after.block_ns)
    return {
        "technique": comparison.technique,
        "title": comparison.title,
        "arm": arm.name,
        "users": dataset.users,
        "data_sha256": dataset.sha256,
        "server_version": dataset.server_version,
        "planner_settings": [str(one) for one in dataset.planner_settings],
        "sql": arm.sql,
        "plan": arm.plan,
        "plan_hash": arm.plan_hash,
        "shared_buffers": arm.shared_buffers,
        "round_trips": arm.statements,
        "blocks": found.n,
        "calls_per_block": arm.calls_per_block,
        "stop": comparison.stop,
        "ratio": found.estimate,
        "ratio_low": found.low if found.low > 0 else None,
        "ratio_high": found.high if math.isfinite(found.high) else None,
        "minimal_detectable": (
            found.minimal_detectable if math.isfinite(found.minimal_detectable) else None
        ),
        "verdict": judge(found).value,
    }
