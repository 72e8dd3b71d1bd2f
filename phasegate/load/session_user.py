"""What a project's `loadtests/locustfile.py` is written with: a user class, marks for each `@task`.

One arrival is one session: an instance of a class, drawn by the classes' weights, that acts as one
registered user and carries out one `@task`, drawn by its weight.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, TypeVar

import gevent
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from phasegate.load.client import Client
from phasegate.load.locust_hooks import tasks_of
from phasegate.load.session import Click, Completion, RequestFailed, Session, SessionOver
from phasegate.load.users import User as Registered
from phasegate.model.errors import ConfigurationError

TASK = TypeVar("TASK", bound=Callable[..., None])

RUNNING = "running"  # as Locust's runner asks for

NO_SESSION = "is there only while a session runs: in a @task, on_start and on_stop"


def writes(function: TASK) -> TASK:
    """Mark a `@task` that changes something: left out on other machines without --allow-writes."""
    function.phasegate_writes = True  # type: ignore[attr-defined]
    return function


def on_demand(function: TASK) -> TASK:
    """Mark a `@task` that is driven only where `--tags` names a tag of it."""
    function.phasegate_on_demand = True  # type: ignore[attr-defined]
    return function


class SessionUser(User):
    """A person with the app open: subclass it, and write sessions as `@task` methods.

    Open arrivals, latency from when a click was due, recording, tokens and the removal of what was
    written come with it. In the closed model (`-u` users) each of Locust's users carries out one
    session after the other.
    """

    abstract = True

    client: Client
    """Sends requests as the user."""
    user: Registered
    """Who is acted as: `id` and `token`."""
    rng: random.Random
    """Of this session alone: with it, the same seed gives the same sessions."""
    parts: frozenset[str]
    """What the stack under test and its client have: the level's parts, changed by --with and
    --without."""
    level: int
    """Stack level of the target."""

    carry_out_next: ClassVar[Callable[[type[SessionUser]], None] | None] = None
    """Carries out one session of a class, for Locust's own users; set as a test is prepared."""

    def wait_time(self) -> float:
        """Seconds between two clicks, and in the closed model between two sessions.

        Override it as in any Locust file, with `between(1, 5)` or a method. Without, think times
        are drawn from [workload], and the closed model goes on to the next session at once.
        """
        return 0.0

    def click(self, name: str, *, shows: float | None = None) -> Click:
        """A click, as a `with` block: what a user waits for. Think time passes before it.

        Args:
            name: of the click, as records call it.
            shows: the share of such clicks that show something at the least: `ALWAYS`, `USUALLY`.
                With `ALWAYS`, one that shows nothing has failed. None where it says nothing. What
                it shows is the last answer in the block, unless `saw` says otherwise.
        """
        return Click(self._session, name, shows)

    def completion(self, name: str, *, since: Click) -> Completion:
        """Work that the click `since` asked for and nobody waits for, as a `with` block.

        Requests in the block are no clicks. Its end is when the work was done.
        """
        return Completion(self._session, name, since)

    def pause(self, seconds: float) -> None:
        """Let time pass within a session; it counts for no latency and is not scaled."""
        self._session.pause(seconds)

    def uncounted(self) -> AbstractContextManager[None]:
        """A `with` block whose requests are recorded and are no clicks: a log-in, say."""
        return self._session.unwatched()

    def created(self, path: str, *, method: str = "DELETE", json: Any = None) -> None:
        """Say how to take back what this session wrote: that request is sent when the test is over.

        Args:
            path: as for `self.client.delete`.
            method: another one, for apps that do not delete.
            json: its body.
        """
        self.client.remove_at_end(method, path, json)

    def wait(self) -> None:
        """Pause for a `wait_time`."""
        self.pause(self.wait_time())

    def run(self) -> None:  # type: ignore[misc] # Locust's own other kind of user does so too
        """One of Locust's users: sessions one after the other, or none where they arrive."""
        self._state = RUNNING
        while True:
            if SessionUser.carry_out_next is None:
                gevent.sleep(1)
                continue
            SessionUser.carry_out_next(type(self))
            gevent.sleep(max(self.wait_time(), 0))

    def act_as(self, user: Registered, session: Session, client: Client) -> None:
        """A session begins."""
        self.user, self._session, self.client, self.rng = user, session, client, session.rng

    def __getattr__(self, name: str) -> NoReturn:
        if name in {"client", "user", "rng", "parts", "level", "_session"}:
            raise AttributeError(f"self.{name} {NO_SESSION}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclass(frozen=True)
class Choice:
    """A session that may be drawn."""

    user_class: type[User]
    task: Callable[[SessionUser], None] | None
    """None: a class of Locust's own, which carries out as many as a session has (`load.visit`)."""
    weight: float
    """Relative to the others'."""

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.task is not None and _is(self.task, "writes")


def choices(
    user_classes: Sequence[type[User]], *, tagged: bool, may_write: bool
) -> tuple[Choice, ...]:
    """Every task of `user_classes` that may be driven, with its share.

    Args:
        user_classes: as Locust has them, filtered by tags already.
        tagged: whether `--tags` named some: then those on demand that are left are meant.
        may_write: whether those that write are driven.

    Raises:
        ConfigurationError: a task is none that a session can carry out.

    Classes of Locust's own are driven whatever `may_write` says: requests that write are held back
    one by one.
    """
    found: list[Choice] = []
    for user_class in user_classes:
        if not issubclass(user_class, SessionUser):
            if user_class.tasks:
                found.append(Choice(user_class, None, user_class.weight))
            continue
        for task in user_class.tasks:
            _check(user_class, task)
        counted = Counter(task for task in user_class.tasks if _is_driven(task, tagged, may_write))
        whole = sum(counted.values())
        for task, count in counted.items():
            found.append(Choice(user_class, task, user_class.weight * count / whole))  # type: ignore[arg-type]
    return tuple(found)


def _check(user_class: type[User], task: Any) -> None:
    if isinstance(task, type):
        raise ConfigurationError(
            f"{task.__name__}: a session cannot carry out a TaskSet",
            untouched="No request was sent",
            then="Make each @task of it a method of the SessionUser",
        )
    if _is(task, "on_demand") and not getattr(task, "locust_tag_set", ()):
        raise ConfigurationError(
            f"{user_class.__name__}.{task.__name__} is on demand, and has no tag to ask for it by",
            untouched="No request was sent",
            then='Give it one: @tag("…")',
        )


def _is_driven(task: Any, tagged: bool, may_write: bool) -> bool:
    return (tagged or not _is(task, "on_demand")) and (may_write or not _is(task, "writes"))


def _is(task: Any, mark: str) -> bool:
    return bool(getattr(task, f"phasegate_{mark}", False))


def carry_out(
    choice: Choice,
    environment: Environment,
    session: Session,
    client: Client,
    *,
    user: Registered,
    parts: frozenset[str],
    level: int,
) -> None:
    """One session, to its end or until the test closes.

    What `on_start` and `on_stop` send is recorded, and is no click.
    """
    assert choice.task is not None  # noqa: S101 - others are `load.visit`'s
    acting: Any = choice.user_class(environment)
    acting.act_as(user, session, client)
    acting.parts, acting.level = parts, level
    if choice.user_class.wait_time is not SessionUser.wait_time:
        session.think_s = acting.wait_time
    try:
        if choice.user_class.on_start is not User.on_start:
            with session.unwatched():
                acting.on_start()
        choice.task(acting)
        if choice.user_class.on_stop is not User.on_stop:
            with session.unwatched():
                acting.on_stop()
    except (SessionOver, RequestFailed, StopUser):
        return  # recorded: the test closes, or the user gave up


def own_of_locust(user_classes: Collection[type[User]]) -> list[type[User]]:
    """Those that are not written for us, as `HttpUser` and `FastHttpUser`."""
    return [each for each in user_classes if not issubclass(each, SessionUser)]


def all_tags(user_classes: Collection[type[User]]) -> list[set[str]]:
    """The tags of each task, those of TaskSets too."""
    tasks = [task for user_class in user_classes for task in tasks_of(user_class)]
    return [set(getattr(task, "locust_tag_set", ())) for task in tasks]
