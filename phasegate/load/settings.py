"""What a test is asked to do: the options, checked, and the keys from the environment.

Reads the parsed options and SUPABASE_ANON_KEY, SUPABASE_JWT_SECRET. Secrets are no arguments:
they would show in the process list, in the web UI's form and in messages between processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import msgspec

from phasegate.load.options import (
    REMOTE_BUDGET,
    REMOTE_RAMP_S,
    STAGE_DURATION_S,
    TARGETS,
    USERS_DEFAULT,
)
from phasegate.load.reads import ReadsOnly
from phasegate.load.stages import Stage, modelled, parse_size
from phasegate.load.users import Listed
from phasegate.model.address import Address
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import ConfigurationError, Refused, UsageError
from phasegate.model.keys import ANON_KEY, JWT_SECRET, Key, read_key
from phasegate.project import Project
from phasegate.records.load import Connections
from phasegate.stack.tokens import mint_key

PROJECT_URL = "SUPABASE_URL"

# What `supabase start` uses on every machine (supabase/cli 1d1e719, pkg/config/apikeys.go); a
# project that configures another sets the variable. Its gateway lets a token of ours pass whatever
# the key beside it is, and its API trusts this secret beside the ES256 key that newer versions sign
# with, unless `auth.signing_keys_path` is set: then `model.api_refusals` says so.
LOCAL_JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"  # noqa: S105 - public

WARM_UP = "warm-up"

COUNTS = (
    "users_registered",
    "arrival_rate",
    "stage_duration",
    "ramp",
    "warm_up",
    "request_budget",
    "tasks_per_session",
    "intervals",
)


@dataclass(frozen=True)
class LoadSettings:
    """A checked set of options. `host` has no credentials in it."""

    host: str
    anon_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    stages: tuple[Stage, ...]
    warm_up: bool
    """The first of `stages` is not recorded."""
    level: int
    parts: frozenset[str]
    """Of the stack under test and its client."""
    client: tuple[str, ...]
    """Those of `parts` that are the client's."""
    seed: int
    think_time_scale: float
    allow_writes: bool
    request_budget: int | None
    """Over all processes; None for as many as it takes."""
    users_file: Path | None
    out: Path | None
    tasks_per_session: int
    """That a user of Locust's own carries out at the least."""
    reads: ReadsOnly
    """Which requests change nothing."""
    uses_own_client: bool = True
    """Whether every request goes through our own client."""
    connections: Connections = "keep-alive"
    interval_s: float = 0.0
    """Of the intervals that clicks are kept by; 0 for none."""

    @property
    def reads_only(self) -> ReadsOnly | None:
        """Which requests may be sent; None for all."""
        return None if self.allow_writes else self.reads

    @property
    def arm(self) -> str:
        """The client's parts, as records have them."""
        return "+".join(self.client)

    def headers(self, token: str) -> dict[str, str]:
        """The lines that each request of a user with `token` has, where there is one."""
        lines = {"apikey": self.anon_key} if self.anon_key else {}
        return lines | ({"Authorization": f"Bearer {token}"} if token else {})

    @property
    def is_open(self) -> bool:
        """Whether sessions arrive whatever the server does."""
        return self.stages[0].sessions_per_s > 0


def host_of(
    options: argparse.Namespace, host: str | None, environment: Mapping[str, str]
) -> Address | None:
    """The host under test: a target by name, --host, or the project of SUPABASE_URL.

    Raises:
        ConfigurationError: it is no address of an API; nothing of it is quoted.
    """
    if named := TARGETS.get(options.target) or host:
        return Address.of(named, "--host")
    project = environment.get(PROJECT_URL)
    return Address.of(project, PROJECT_URL) if project else None


def keys_read(environment: Mapping[str, str]) -> tuple[Key, Key]:
    """Anon key and JWT secret as the environment has them, cleaned; empty where it has none.

    Raises:
        ConfigurationError: one holds what cannot be sent.
    """
    anon_key, secret = (
        read_key(environment.get(name, ""), name) for name in (ANON_KEY, JWT_SECRET)
    )
    return anon_key, secret


def keys_from(
    environment: Mapping[str, str], options: argparse.Namespace, *, needed: bool = True
) -> tuple[str, str]:
    """Anon key and JWT secret; the secret is empty where every user brings a token.

    Where they are not `needed` (an API that is not Supabase's, or users of Locust's own, who log in
    themselves), either may be empty.

    Raises:
        ConfigurationError: one is missing or cannot be sent, or the file of users is wrong.
        Refused: the key is not an anonymous user's.
    """
    anon_key, secret = (key.value for key in keys_read(environment))
    if options.target == "supabase-local":
        secret = secret or LOCAL_JWT_SECRET
        anon_key = anon_key or mint_key(secret)
    listed = Listed(Path(options.users_file)) if options.users_file else None
    minted = listed is None or not listed.all_have_tokens
    for name, value, used in ((ANON_KEY, anon_key, True), (JWT_SECRET, secret, minted)):
        if needed and used and not value:
            raise ConfigurationError(
                f"{name} is not set in the environment",
                untouched="No request was sent",
                then="Set it to your project's (Supabase: Settings → API Keys, JWT Keys; its CLI: "
                "`supabase status -o env`), or run `phasegate up`, which prints both",
            )
    if anon_key:
        refuse_service_key(anon_key, ANON_KEY, "Put the project's anon (publishable) key there")
    if listed is not None:
        for user in map(listed.of_index, range(len(listed))):
            refuse_service_key(
                user.token, f"The token of user {user.id}", "Give one that the user got"
            )
    return anon_key, secret


def refuse_service_key(key: str, name: str, then: str) -> None:
    """service_role bypasses row-level security: what it measures, no user will ever see.

    Args:
        key: or a user's token.
        name: of the variable or place that it is from.
        then: what belongs there.

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
            f"{name} is a service_role key, which bypasses row-level security",
            untouched="No request was sent",
            then=then,
        )


def settings_from(
    options: argparse.Namespace,
    *,
    host: str | None,
    environment: Mapping[str, str],
    project: Project,
    own_of_locust: bool = False,
    keys_needed: bool = True,
) -> LoadSettings:
    """The options, checked.

    Args:
        options: as Locust parsed them.
        host: of `--host`, or of the locustfile.
        environment: for keys, and the host where none is named.
        project: its workload, levels and parts.
        own_of_locust: whether a user class is Locust's own (`HttpUser`, …).
        keys_needed: whether requests cannot do without Supabase's keys.

    Raises:
        ConfigurationError: a secret is missing, or no host was named.
        UsageError: a value makes no sense; the option is named.
    """
    address = host_of(options, host, environment)
    if address is None:
        raise ConfigurationError(
            "No host to test was named", then=f"Give --host URL, or set {PROJECT_URL}"
        )
    for name in COUNTS:
        if getattr(options, name) < 0:
            raise UsageError(
                f"--{name.replace('_', '-')} must not be negative", then="Give 0 or more"
            )
    if options.think_time_scale <= 0:
        raise UsageError(
            "--think-time-scale must be positive", then="For next to no pauses give 0.001"
        )
    anon_key, jwt_secret = keys_from(environment, options, needed=keys_needed)
    may_write = _may_write(options, is_loopback=address.is_loopback)
    ramp_s = options.ramp or (0.0 if address.is_loopback else REMOTE_RAMP_S)
    stages = _stages(options, project.catalogue, ramp_s)
    level = options.level or project.level_assumed
    added, removed = (_names(getattr(options, name)) for name in ("with", "without"))
    parts = project.parts_in_force(level, added, removed)
    if options.warm_up and stages[0].sessions_per_s > 0:
        same = msgspec.structs.replace(stages[0], name=WARM_UP, ramp_s=0.0)
        stages = (msgspec.structs.replace(same, duration_s=options.warm_up), *stages)
    return LoadSettings(
        host=address.url,
        anon_key=anon_key,
        jwt_secret=jwt_secret,
        stages=stages,
        warm_up=stages[0].name == WARM_UP,
        level=level,
        parts=parts,
        client=project.client_of(parts),
        seed=options.seed,
        think_time_scale=options.think_time_scale,
        request_budget=options.request_budget or (None if address.is_loopback else REMOTE_BUDGET),
        users_file=Path(options.users_file) if options.users_file else None,
        allow_writes=may_write,
        tasks_per_session=options.tasks_per_session
        or project.catalogue.workload.clicks_per_session,
        reads=ReadsOnly.of(address.url, options.reads),
        uses_own_client=not own_of_locust,
        out=Path(options.out) if options.out else None,
        connections=options.connections,
        interval_s=options.intervals,
    )


def _may_write(options: argparse.Namespace, *, is_loopback: bool) -> bool:
    if options.allow_writes and options.reads_only:
        raise UsageError("--allow-writes and --reads-only contradict each other", then="Drop one")
    return bool((is_loopback and not options.reads_only) or options.allow_writes)


def _names(said: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in said.split(",") if name.strip())


def _stages(options: argparse.Namespace, catalogue: Catalogue, ramp_s: float) -> tuple[Stage, ...]:
    if options.stages:
        if options.arrival_rate:
            raise UsageError("--stages and --arrival-rate contradict each other", then="Drop one")
        sizes = tuple(parse_size(size) for size in options.stages.split(","))
        return modelled(
            sizes,
            catalogue.workload,
            duration_s=options.stage_duration or STAGE_DURATION_S,
            ramp_s=ramp_s,
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
        ramp_s=ramp_s,
    )
    return (stage,)
