"""One session before the load: what no load changes is found at once, and said with its cause.

Sends the clicks of one reading session as one user, without think time; records nothing. Where the
API refuses the user, one request more, with the key alone, tells the key from the token. The stack
level is asked of the reference API with one GET /ready.
"""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import jwt
from locust.env import Environment

from phasegate.load.answer_checks import AnswerChecks
from phasegate.load.arrivals import described
from phasegate.load.cache import start_caches
from phasegate.load.client import Budget, Client, Line, Removals
from phasegate.load.recorder import Recorder
from phasegate.load.session import Clock, Session
from phasegate.load.session_user import Choice, carry_out
from phasegate.load.settings import LoadSettings
from phasegate.load.timer import Timer
from phasegate.load.transport import Answer, Transport
from phasegate.load.users import TOKEN_LIFETIME_S, Listed, User
from phasegate.model.address import Address
from phasegate.model.api_refusals import (
    KEY_ADVICE,
    PERMISSION_CODE,
    RATE_LIMITED,
    REFUSALS,
    TOKEN_ADVICE,
    UNAUTHORISED,
    UNREACHABLE,
    USERS_TOKEN_ADVICE,
    advice,
    said,
)
from phasegate.model.errors import CannotMeasure, ConfigurationError, PhasegateError
from phasegate.model.population import user_key
from phasegate.project import Project
from phasegate.stack.tokens import mint

# Who waits longer for one answer of an API without load need not wait for its load.
TIMEOUT_S = 15.0

# How operators tell these requests from the load's.
# The reference API on this machine answers within a few milliseconds, or is in trouble.
LEVEL_TIMEOUT_S = 2.0
_LEVEL_BYTES_MAX = 10_000

CLIENT = "phasegate preflight"

NO_ANSWER_ADVICE = (
    "see that the API is up, and that --host (or SUPABASE_URL) is its address, with http or https "
    "as it is served"
)


def check(
    settings: LoadSettings, project: Project, environment: Environment, among: Sequence[Choice]
) -> int:
    """Try each session of `among`, all of which read; returns the number of requests sent.

    Raises:
        CannotMeasure: the API does not answer, refuses, or answers in a form that the session
            cannot go on with. Status, code, cause and remedy are named; no load was sent.
        ConfigurationError: the locustfile has a fault; file and line are named.
    """
    keeps = settings.connections == "keep-alive"
    transport = Transport(settings.host, timeout_s=TIMEOUT_S, keeps=keeps)
    ours = [choice for choice in among if choice.task is not None]
    try:
        if not ours:
            return _reach(transport, settings.host, project.api.ready)
        return _Preflight(settings, project, environment, transport).run(ours)
    finally:
        transport.close()


def _reach(transport: Transport, host: str, path: str) -> int:
    """See that something answers; what users of Locust's own send is known only as they send it."""
    head = transport.head({"User-Agent": CLIENT})
    answer = transport.request("GET", path, head)
    if answer.status == 0:
        raise CannotMeasure(
            f"INVALID before any load: no answer from {where(host)} ({answer.error})",
            untouched="No load was sent",
            then=NO_ANSWER_ADVICE[0].upper() + NO_ANSWER_ADVICE[1:],
        )
    return 1


class _Preflight:
    def __init__(
        self,
        settings: LoadSettings,
        project: Project,
        environment: Environment,
        transport: Transport,
    ) -> None:
        self._settings, self._project = settings, project
        self._environment, self._transport = environment, transport
        self._fault: CannotMeasure | None = None
        file = settings.users_file
        self._user = (
            User(_first_seeded(settings, project), "") if file is None else Listed(file).of_index(0)
        )
        self._token = self._user.token
        self._minted = not self._token and bool(settings.jwt_secret)
        if self._minted:
            self._token = mint(settings.jwt_secret, self._user.id, lifetime_s=TOKEN_LIFETIME_S)

    def run(self, among: Sequence[Choice]) -> int:
        settings, recorder, timer = self._settings, Recorder((0.0,)), Timer()
        budget = Budget(settings.request_budget, lambda: None)
        clock = Clock(
            recorder=recorder,
            workload=self._project.catalogue.workload,
            think_time_scale=0.0,
            timer=timer,
            stage_at=lambda _: 0,
        )
        removals = Removals(self._transport, recorder)
        checks = AnswerChecks(recorder)
        line = Line(self._transport, recorder, budget, removals, checks, self._judge)
        headers = self._headers(f"Bearer {self._token}" if self._token else None)
        start_caches(1.0)
        try:
            for choice in among:
                session = Session(clock, random.Random(0), time.perf_counter())
                self._try(choice, session, Client(line, session, dict(headers)))
        finally:
            removals.send()
            timer.close()
        return budget.sent

    def _try(self, choice: Choice, session: Session, client: Client) -> None:
        """Carry one session out; a fault of its code is the locustfile's."""
        try:
            carry_out(
                choice,
                self._environment,
                session,
                client,
                user=replace(self._user, token=self._token),
                parts=self._settings.parts,
                level=self._settings.level,
            )
        except PhasegateError:
            raise
        except Exception as error:
            if self._fault is None:
                raise ConfigurationError(
                    f"The locustfile has a fault: {described(error)}",
                    untouched="No load was sent",
                    then="Mend it and start again",
                ) from error
        if self._fault is not None:
            raise self._fault

    def _headers(self, authorization: str | None) -> dict[str, str]:
        lines = {"X-Client-Info": CLIENT}
        if self._settings.anon_key:
            lines["apikey"] = self._settings.anon_key
        if authorization:
            lines["Authorization"] = authorization
        return lines

    def _judge(self, name: str, answer: Answer, problem: str) -> None:
        """End it all where the answer is one that no load explains."""
        status = answer.status
        if status == 0:
            self._stop(name, f"no answer ({answer.error})", NO_ANSWER_ADVICE)
        if status in UNAUTHORISED:
            self._stop(name, f"{status} {problem}", self._advice_on_keys(status, problem))
        known = REFUSALS | UNREACHABLE | {RATE_LIMITED}
        if status < 400 or status in known:
            self._stop(name, f"{status} {problem}", advice(status, problem))

    def _advice_on_keys(self, status: int, problem: str) -> str:
        """Which of key and token is at fault: the key is asked about alone."""
        found = advice(status, problem)
        if problem.startswith(PERMISSION_CODE):
            return found
        if found is TOKEN_ADVICE and self._minted and self._key_is_of_the_same_secret():
            return found
        alone = self._transport.request(
            "GET", "/rest/v1/", self._transport.head(self._headers(None))
        )
        if alone.status in UNAUTHORISED and said(alone) == problem:
            return KEY_ADVICE
        if found is TOKEN_ADVICE and not self._minted:
            return USERS_TOKEN_ADVICE
        return TOKEN_ADVICE if found is KEY_ADVICE and self._minted else found

    def _key_is_of_the_same_secret(self) -> bool:
        """Whether key and token stand and fall together."""
        try:
            jwt.decode(
                self._settings.anon_key,
                self._settings.jwt_secret,
                algorithms=["HS256"],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return False
        return True

    def _stop(self, name: str, what: str, then: str) -> NoReturn:
        for secret in (self._token, self._settings.anon_key, self._settings.jwt_secret):
            if secret:
                what = what.replace(secret, "…")
        self._fault = CannotMeasure(
            f"INVALID before any load: {name} at {where(self._settings.host)} gives {what}",
            untouched="No load was sent",
            then=then[0].upper() + then[1:],
        )
        raise self._fault


def _first_seeded(settings: LoadSettings, project: Project) -> str:
    numbered = project.seed.population.users_are_numbered
    return user_key(settings.seed, 0, numbered=numbered)


def where(url: str) -> str:
    """The host and port in `url`, without path and credentials."""
    return Address.of(url).header


def level_told_by(host: str, levels: int) -> int | None:
    """The level that the reference API behind `host` says it is; None where it does not say.

    Args:
        host: its address.
        levels: how many there are.

    Only this machine is asked: the reference API listens nowhere else, and no other API has a word
    for it.
    """
    if not Address.of(host).is_loopback:
        return None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{host.rstrip('/')}/ready", timeout=LEVEL_TIMEOUT_S) as answer:
            said = json.loads(answer.read(_LEVEL_BYTES_MAX))
    except (OSError, ValueError):
        return None
    level = said.get("level") if isinstance(said, dict) else None
    known = isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= levels
    return level if known else None


def level_in_words(told: int | None, project: Project) -> str:
    """Where the level in force comes from, and what else to give."""
    if told is not None:
        return f"The target says that it runs stack level {told}"
    return (
        f"The target does not tell its stack level: level {project.level_assumed} is assumed; "
        f"give --level N, 1 to {len(project.levels)}, where it is another"
    )
