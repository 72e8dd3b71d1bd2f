"""Which of Locust's own options are refused. Reads the parsed options; imports no locust.

Every option of `locust --help` does what it says or is refused here, in one line with exit code 2;
docs/locust-options.md lists them all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from phasegate.model.address import without_credentials
from phasegate.model.errors import PhasegateError, UsageError

UNTOUCHED = "No request was sent"

# Locust would quote it, as an unknown user class or a value that does not fit.
PASSWORD_GIVEN = UsageError(
    "An address with a password was given as an argument, where everybody on this machine can read "
    "it; no option takes one",
    untouched=UNTOUCHED,
    then="Leave it out, and change the password",
)

# (attribute of the parsed options, as it is written, why, what to do instead)
REFUSED = (
    (
        "stop_timeout",
        "--stop-timeout",
        "at the end answers under way are waited for and no session goes on",
        "Leave it out",
    ),
    (
        "enable_rebalancing",
        "--enable-rebalancing",
        "a test is shared among the workers that are there when it starts",
        "Leave it out, and start the workers first",
    ),
)

RATIO_MISLEADS = (
    "which sessions are driven hangs on --tags, and it looks at none",
    "Their weights stand in the locustfile",
)
# Locust acts on these as soon as the options are read: why, and what to do instead.
REFUSED_AT_ONCE = {
    "--show-task-ratio": RATIO_MISLEADS,
    "--show-task-ratio-json": RATIO_MISLEADS,
    "--otel": (
        "requests go through phasegate's own client, which OpenTelemetry does not see",
        "Leave it out; --out writes every endpoint's latencies",
    ),
}

# Ours of earlier versions.
GONE = {
    "--arm": (
        "what the client does is part of the level",
        "Give --level N, and change its parts with --with and --without",
    ),
}

VARIABLES = {"--arm": "PHASEGATE_ARM", "--otel": "LOCUST_ENABLE_OPENTELEMETRY"}

# In the open model, where Locust's users only stand by.
REFUSED_WITH_ARRIVALS = (
    (
        "num_users",
        "--users",
        "sessions arrive at a rate, whatever the number of Locust's users",
        "Give --users-registered N or --arrival-rate PER_S alone",
    ),
    (
        "spawn_rate",
        "--spawn-rate",
        "sessions arrive at a rate, whatever the number of Locust's users",
        "Give --ramp S for a rate that rises",
    ),
)


def refuse(options: argparse.Namespace, *, arrivals: bool) -> None:
    """Refuse what this locustfile cannot do.

    Args:
        options: as parsed, before Locust fills in its defaults.
        arrivals: whether they ask for an arrival rate and start a test without the web UI's form.

    Raises:
        UsageError: an option would have no effect; it is named.
    """
    refused = REFUSED + (REFUSED_WITH_ARRIVALS if arrivals else ())
    for attribute, option, why, then in refused:
        if getattr(options, attribute, None):
            variable = f"LOCUST_{option[2:].replace('-', '_').upper()}"
            raise UsageError(
                f"{option} (or {variable}) would have no effect: {why}",
                untouched=UNTOUCHED,
                then=then,
            )


def starts_by_itself(options: argparse.Namespace) -> bool:
    """Whether a test begins, and may end, without anybody at the web UI."""
    return bool(getattr(options, "headless", False) or getattr(options, "autostart", False))


class _Refusal(argparse.Action):
    """Ends the program where an option is given that Locust acts on before it asks anybody."""

    end: Callable[[PhasegateError], object]

    def __call__(self, _parser: Any, _options: Any, value: Any, _option: Any = None) -> None:
        if str(value).lower() in ("false", "0", "no", "off"):  # as a variable may have it
            return
        option = self.option_strings[0]
        why, then = {**REFUSED_AT_ONCE, **GONE}[option]
        error = UsageError(f"{option} is refused: {why}", untouched=UNTOUCHED, then=then)
        self.end(error)


def _holds_password(arguments: Sequence[str]) -> bool:
    """Whether an address with a password is among them; that of --host is read elsewhere."""
    return any(
        without_credentials(argument) != argument
        and not argument.startswith(("--host=", "-H"))
        and before not in ("--host", "-H")
        for before, argument in pairwise(("", *arguments))
    )


def adapt(parser: argparse.ArgumentParser, end: Callable[[PhasegateError], object]) -> None:
    """Have `--exit-code-on-error` tell whether it was given; refuse what Locust answers at once.

    Args:
        parser: Locust's.
        end: says why there is no test, and ends the program.
    """
    parser.set_defaults(exit_code_on_error=None)
    if _holds_password(sys.argv[1:]):
        end(PASSWORD_GIVEN)
    group = parser.add_argument_group("refused options", conflict_handler="resolve")
    for option in (*REFUSED_AT_ONCE, *GONE):
        variable: Any = {"env_var": VARIABLES[option]} if option in VARIABLES else {}
        action: Any = group.add_argument(
            option, action=_Refusal, nargs="?", default=False, **variable
        )
        action.include_in_web_ui = action.is_secret = False
        action.end = end


def exit_code_given(options: argparse.Namespace) -> int | None:
    """`--exit-code-on-error` if it was given; else None, and Locust gets its own default."""
    given: int | None = getattr(options, "exit_code_on_error", None)
    if given is None:
        options.exit_code_on_error = 1
    return given
