"""Which of pytest's options the benchmarks refuse. Reads pytest's configuration, writes nothing.

Every option of pytest-benchmark does what it says or is refused here, in one line with exit code 2,
before anything is connected to; docs/locust-options.md lists them all.
"""

from __future__ import annotations

import argparse

import pytest

from phasegate.compare.subprocess_protocol import DSN_VARIABLE
from phasegate.model.errors import UsageError

UNTOUCHED = "Nothing was measured"

BLOCKS = "blocks of both arms in random order decide how often a statement is called"
# By the attribute that holds the option: why it would have no effect here.
REFUSED = {
    "benchmark_min_time": BLOCKS,
    "benchmark_max_time": BLOCKS,
    "benchmark_min_rounds": BLOCKS,
    "benchmark_precision": BLOCKS,
    "benchmark_confidence": BLOCKS,
    "benchmark_calibration_precision": BLOCKS,
    "benchmark_warmup": BLOCKS,
    "benchmark_warmup_iterations": BLOCKS,
    "benchmark_timer": "the time inside libpq is taken",
    "benchmark_disable_gc": "the time inside libpq is taken",
    "benchmark_cprofile": "times are replayed, and a profile would show the replay",
    "benchmark_cprofile_loops": "times are replayed, and a profile would show the replay",
    "benchmark_cprofile_top": "times are replayed, and a profile would show the replay",
    "benchmark_cprofile_dump": "times are replayed, and a profile would show the replay",
}


def refuse(config: pytest.Config, defaults: argparse.Namespace) -> None:
    """Refuse what a session of ours cannot do.

    Args:
        config: of the session.
        defaults: every option where nothing is given.

    Raises:
        UsageError: an option would have no effect, or would measure what is not asked for.
    """
    if any("://" in argument for argument in config.args):
        raise UsageError(
            "The benchmarks take no address as an argument, where everybody on this machine can "
            f"read it; it goes into {DSN_VARIABLE}",
            untouched=UNTOUCHED,
            then=f"Set {DSN_VARIABLE}, and change a password that was in it",
        )
    if not config.pluginmanager.hasplugin("benchmark"):
        raise UsageError(
            "The benchmarks need the plug-in pytest-benchmark, which -p no:benchmark turns off",
            untouched=UNTOUCHED,
            then="Leave it out",
        )
    if config.getoption("tx", None) or config.getoption("dist", "no") != "no":
        raise UsageError(
            "The benchmarks cannot run in several processes (-n, --dist): they would disturb each "
            "other, and both arms of a comparison belong into one",
            untouched=UNTOUCHED,
            then="Leave -n out, or give -n 0",
        )
    for attribute, why in REFUSED.items():
        if config.getoption(attribute, None) != getattr(defaults, attribute, None):
            option = f"--{attribute.replace('_', '-')}"
            raise UsageError(
                f"{option} would have no effect: {why}",
                untouched=UNTOUCHED,
                then="Leave it out; --budget gives the comparisons more or less time",
            )
    if config.getoption("benchmark_skip") and config.getoption("record") is not None:
        raise UsageError(
            "--benchmark-skip leaves nothing that --record could write",
            untouched=UNTOUCHED,
            then="Leave one of them out",
        )
