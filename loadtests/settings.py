"""What a test is asked to do: Locust's arguments, ours beside them, and the environment.

Reads the parsed options and SUPABASE_ANON_KEY, SUPABASE_JWT_SECRET. Secrets are no arguments:
they would show in the process list, in the web UI's form and in messages between processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from loadtests.address import Address
from loadtests.clients import ARMS, arm_of
from loadtests.stages import Stage, modelled, parse_size
from phases.catalogue import Catalogue
from phases.errors import ConfigurationError, Refused, UsageError

ANON_KEY = "SUPABASE_ANON_KEY"
JWT_SECRET = "SUPABASE_JWT_SECRET"  # noqa: S105 - the variable's name

# Where nobody says how many users are registered: the upper bound of phase 1.
USERS_DEFAULT = 1_000

# A stage of `--stages` and of the web UI: long enough for the slowest think times to show.
STAGE_DURATION_S = 60.0


def add_arguments(parser: Any, **_: Any) -> None:
    """Our arguments, in Locust's parser; all of them appear in the web UI's form.

    Zero and empty stand for "not given": the web UI keeps the type of the default.
    """
    group = parser.add_argument_group(
        "phasegate options",
        "Without --users-registered, --arrival-rate or --stages, -u users click one session after "
        "the other (closed model). With one of them, sessions arrive whatever the server does.",
    )

    def add(name: str, *, in_web_ui: bool = True, **options: Any) -> None:
        action = group.add_argument(name, **options)
        # What Locust's own `add_argument` would set; an argument group's does not.
        action.include_in_web_ui = in_web_ui
        action.is_secret = action.is_required = action.is_multiple = False

    add(
        "--users-registered",
        type=int,
        default=0,
        metavar="N",
        env_var="PHASEGATE_USERS_REGISTERED",
        help=f"registered users of the data set; sessions arrive at their modelled peak "
        f"(closed model: {USERS_DEFAULT})",
    )
    add(
        "--arrival-rate",
        type=float,
        default=0.0,
        metavar="PER_S",
        env_var="PHASEGATE_ARRIVAL_RATE",
        help="sessions per second, over all workers, instead of the modelled peak",
    )
    add(
        "--stages",
        default="",
        metavar="SIZES",
        env_var="PHASEGATE_STAGES",
        help="1k,10k,100k: one stage at the modelled peak of each number of registered users",
    )
    add(
        "--stage-duration",
        type=float,
        default=0.0,
        metavar="S",
        env_var="PHASEGATE_STAGE_DURATION",
        help=f"seconds of each stage ({STAGE_DURATION_S:g} with --stages; else until stopped)",
    )
    add(
        "--ramp",
        type=float,
        default=0.0,
        metavar="S",
        env_var="PHASEGATE_RAMP",
        help="seconds over which the arrival rate of a stage rises from 0",
    )
    add(
        "--warm-up",
        type=float,
        default=0.0,
        metavar="S",
        env_var="PHASEGATE_WARM_UP",
        help="seconds of the first stage's load before it, which are not recorded",
    )
    add(
        "--level",
        type=int,
        default=2,
        choices=(1, 2, 3),
        env_var="PHASEGATE_LEVEL",
        help="stack level of the target; says which client is used",
    )
    add(
        "--arm",
        default="",
        choices=("", *ARMS),
        env_var="PHASEGATE_ARM",
        help="the client's way to read, instead of the level's",
    )
    add(
        "--seed",
        type=int,
        default=2026,
        env_var="PHASEGATE_SEED",
        help="of the data set, whose users sign in, and of the arrivals",
    )
    add(
        "--think-time-scale",
        type=float,
        default=1.0,
        metavar="X",
        env_var="PHASEGATE_THINK_TIME_SCALE",
        help="think times and the cache's TTL are multiplied by it",
    )
    add(
        "--allow-writes",
        action="store_true",
        env_var="PHASEGATE_ALLOW_WRITES",
        help="also create and complete tasks on a host that is not this machine; they are removed",
    )
    add(
        "--stage-name",
        default="",
        env_var="PHASEGATE_STAGE_NAME",
        help="name of the record, where there is one stage",
    )
    add(
        "--out",
        default="",
        metavar="DIR",
        env_var="PHASEGATE_OUT",
        in_web_ui=False,
        help="write DIR/<stage>.json when the test ends",
    )


@dataclass(frozen=True)
class Settings:
    """A checked set of options. `host` has no credentials in it."""

    host: str
    anon_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    stages: tuple[Stage, ...]
    warm_up: bool
    """The first of `stages` is not recorded."""
    level: int
    arm: str
    seed: int
    think_time_scale: float
    allow_writes: bool
    out: Path | None

    @property
    def is_open(self) -> bool:
        """Whether sessions arrive whatever the server does."""
        return self.stages[0].sessions_per_s > 0


def keys_from(environment: Mapping[str, str]) -> tuple[str, str]:
    """Anon key and JWT secret.

    Raises:
        ConfigurationError: one is missing.
        Refused: the key is not an anonymous user's.
    """
    for name in (ANON_KEY, JWT_SECRET):
        if not environment.get(name):
            raise ConfigurationError(
                f"{name} is not set in the environment",
                untouched="No request was sent",
                then="Set it to your project's (Supabase: Settings → API), or run `phasegate up`, "
                "which prints both",
            )
    anon_key = environment[ANON_KEY]
    refuse_service_key(anon_key)
    return anon_key, environment[JWT_SECRET]


def refuse_service_key(key: str) -> None:
    """service_role bypasses row-level security: what it measures, no user will ever see.

    Raises:
        Refused: `key` is such a key, of the old form (JWT) or the new (`sb_secret_…`).
    """
    role = None
    if key.count(".") == 2:
        try:
            role = jwt.decode(key, options={"verify_signature": False}).get("role")
        except jwt.InvalidTokenError:
            role = None
    if role == "service_role" or key.startswith("sb_secret_"):
        raise Refused(
            f"{ANON_KEY} holds a service_role key, which bypasses row-level security",
            untouched="No request was sent",
            then="Put the project's anon (publishable) key there",
        )


def settings_from(
    options: argparse.Namespace,
    *,
    host: str | None,
    environment: Mapping[str, str],
    catalogue: Catalogue,
) -> Settings:
    """The options, checked.

    Raises:
        ConfigurationError: a secret is missing, or no host was named.
        UsageError: a value makes no sense; the option is named.
    """
    if not host:
        raise ConfigurationError(
            "No host to test was named", then="Give --host URL, or set LOCUST_HOST"
        )
    address = Address.of(host)
    for name in ("users_registered", "arrival_rate", "stage_duration", "ramp", "warm_up"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name.replace('_', '-')} must not be negative")
    if options.think_time_scale <= 0:
        raise UsageError("--think-time-scale must be positive")
    anon_key, jwt_secret = keys_from(environment)
    stages = _stages(options, catalogue)
    if options.warm_up and stages[0].sessions_per_s > 0:
        first = stages[0]
        warm_up = Stage(
            name="warm-up",
            users=first.users,
            sessions_per_s=first.sessions_per_s,
            duration_s=options.warm_up,
        )
        stages = (warm_up, *stages)
    return Settings(
        host=host.rstrip("/"),
        anon_key=anon_key,
        jwt_secret=jwt_secret,
        stages=stages,
        warm_up=stages[0].name == "warm-up",
        level=options.level,
        arm=arm_of(options.arm, options.level),
        seed=options.seed,
        think_time_scale=options.think_time_scale,
        allow_writes=address.is_loopback or options.allow_writes,
        out=Path(options.out) if options.out else None,
    )


def _stages(options: argparse.Namespace, catalogue: Catalogue) -> tuple[Stage, ...]:
    if options.stages:
        if options.arrival_rate:
            raise UsageError("--stages and --arrival-rate contradict each other", then="Drop one")
        sizes = tuple(parse_size(size) for size in options.stages.split(","))
        return modelled(
            sizes,
            catalogue.workload,
            duration_s=options.stage_duration or STAGE_DURATION_S,
            ramp_s=options.ramp,
        )
    users = options.users_registered or USERS_DEFAULT
    rate = options.arrival_rate
    if options.users_registered and not rate:
        rate = catalogue.workload.arrival_rate_per_s(users)
    stage = Stage(
        name=options.stage_name or ("open" if rate else "closed"),
        users=users,
        sessions_per_s=rate,
        duration_s=options.stage_duration or float("inf"),
        ramp_s=options.ramp,
    )
    return (stage,)
