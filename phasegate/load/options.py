"""Our additions to Locust's arguments: one table for the parser and for the web UI's form.

Pure. Secrets are no arguments: they would show in the process list, in the web UI's form and in
messages between processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Where nobody says how many users are registered: the upper bound of phase 1.
USERS_DEFAULT = 1_000

# A stage of `--stages` and of the web UI: long enough for the slowest think times to show.
STAGE_DURATION_S = 60.0

# What `supabase start` serves on every machine.
TARGETS = {"supabase-local": "http://127.0.0.1:54321"}

# A remote target is shared and billed: enough requests for twelve minutes of phase 3's peak, and a
# ramp, so that the load does not start at once.
REMOTE_BUDGET = 20_000
REMOTE_RAMP_S = 10.0


@dataclass(frozen=True)
class Argument:
    """One option. Its environment variable is PHASEGATE_ and its name; so is it in the options.

    Zero and empty stand for "not given": the web UI keeps the type of the default.
    """

    name: str
    default: Any
    help: str
    metavar: str | None = None
    choices: tuple[Any, ...] | None = None
    in_web_ui: bool = True

    def add_to(self, group: Any) -> None:
        """Enter it into an argument group of Locust's parser."""
        variable = f"PHASEGATE_{self.name.replace('-', '_').upper()}"
        options: dict[str, Any] = {"help": self.help, "env_var": variable}
        if self.default is False:
            options["action"] = "store_true"
        else:
            options |= {"type": type(self.default), "default": self.default}
            options |= {"metavar": self.metavar, "choices": self.choices}
        action = group.add_argument(f"--{self.name}", **options)
        # What the `add_argument` of Locust's parser would set; that of a group does not.
        action.include_in_web_ui = self.in_web_ui
        action.is_secret = action.is_required = action.is_multiple = False


ARGUMENTS = (
    Argument(
        "users-registered",
        0,
        "registered users of the data set; sessions arrive at their modelled peak (left out: "
        f"{USERS_DEFAULT:,}, and the closed model)",
        "N",
    ),
    Argument(
        "arrival-rate",
        0.0,
        "sessions per second, over all workers, instead of the modelled peak",
        "PER_S",
    ),
    Argument(
        "stages",
        "",
        "1k,10k,100k: one stage at the modelled peak of each number of registered users",
        "SIZES",
    ),
    Argument(
        "stage-duration",
        0.0,
        f"seconds of each stage ({STAGE_DURATION_S:g} with --stages; else until stopped)",
        "S",
    ),
    Argument(
        "ramp",
        0.0,
        f"seconds over which the arrival rate of a stage rises from 0 ({REMOTE_RAMP_S:g} where the "
        "host is not this machine; else 0)",
        "S",
    ),
    Argument(
        "warm-up",
        0.0,
        "seconds of load before the first stage, which are not recorded (0)",
        "S",
    ),
    Argument(
        "intervals",
        0.0,
        "seconds of the intervals whose clicks are kept as a histogram each, for what recurs",
        "S",
    ),
    Argument(
        "level",
        0,
        "stack level of the target, whose parts the sessions go by (the reference API is asked; "
        "else the highest that needs no part of the engine's)",
        "N",
    ),
    Argument("with", "", "parts that the target or its client has besides the level's", "A,B"),
    Argument("without", "", "parts of the level that the target or its client lacks", "A,B"),
    Argument(
        "connections",
        "keep-alive",
        "the client's HTTP connections: kept alive and reused (the default), or a new one for each "
        "request, as a serverless function opens it",
        choices=("keep-alive", "per-request"),
    ),
    Argument("seed", 2026, "seed of the data set, whose users sign in, and of the arrivals (2026)"),
    Argument(
        "think-time-scale",
        1.0,
        "think times and the TTL of client caches are multiplied by it (1)",
        "X",
    ),
    Argument(
        "tasks-per-session",
        0,
        "how often one arrival of an HttpUser or FastHttpUser carries out a @task "
        "(clicks_per_session of [workload]); a SequentialTaskSet is carried out to its end",
        "N",
    ),
    Argument(
        "allow-writes",
        False,
        "also drive sessions that write on a host that is not this machine; what a project's own "
        "sessions created is removed, what an HttpUser wrote is not",
    ),
    Argument("reads-only", False, "leave out sessions that write, on this machine too"),
    Argument(
        "reads",
        "",
        'requests that change nothing, though they are no GET: "POST /login,POST /rest/v1/rpc/*"',
        "LIST",
    ),
    Argument(
        "request-budget",
        0,
        f"cap on requests sent, over all workers ({REMOTE_BUDGET:,} where the host is not this "
        "machine; else none)",
        "N",
    ),
    Argument(
        "target",
        "",
        "supabase-local: the Supabase CLI's stack on this machine, instead of --host",
        choices=("", *TARGETS),
    ),
    Argument(
        "users-file",
        "",
        "act as the users in FILE (an id a line, or an id and a token, or CSV), not the seeder's",
        "FILE",
        in_web_ui=False,
    ),
    Argument("stage-name", "", "name of the record, where there is one stage", "NAME"),
    Argument(
        "out",
        "",
        "write DIR/<stage>.json when the test ends, never over one that is there",
        "DIR",
        in_web_ui=False,
    ),
)


def add_arguments(parser: Any, **_: Any) -> None:
    """Enter all of them into Locust's parser."""
    group = parser.add_argument_group(
        "phasegate options",
        "Without --users-registered, --arrival-rate or --stages, -u users click one session after "
        "the other (closed model). With one of them, sessions arrive whatever the server does.",
    )
    for argument in ARGUMENTS:
        argument.add_to(group)
