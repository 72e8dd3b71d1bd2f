"""Looks at answers of status 200 as they come, and counts those that are none for their user.

Reads no clock and no socket. What an answer may be: `load.answers`; what follows from the counts:
`load.validity`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from phasegate.load.answers import (
    EMPTY_BYTES_MAX,
    LOOKED_EVERY,
    LOOKED_FIRST,
    SAME_BYTES_MIN,
    SameTally,
    has_foreign_rows,
    is_cut_short,
    is_short_page,
    owners_pattern,
    shows_nothing,
)
from phasegate.load.expectations import PAGE, Failure
from phasegate.load.recorder import Recorder
from phasegate.load.session import Session
from phasegate.load.transport import Answer
from phasegate.model.api_refusals import is_page
from phasegate.model.errors import ConfigurationError
from phasegate.model.verdict import Reason
from phasegate.project import Project

NO_CONTENT = 204


@dataclass(frozen=True)
class Asked:
    """A request, as its answer is held against it."""

    path: str
    """With its query."""
    user: str
    """Whose it was: what tells one user from another; empty where nothing does."""
    user_id: str = ""
    """As rows have it; empty where it is not known."""
    asks_json: bool = False
    is_users: bool = True
    """Whether a user sees the answer: not what a log-in is answered."""

    @property
    def names_user(self) -> bool:
        """Whether it asks for rows of the user who sends it."""
        return bool(self.user_id) and self.user_id in self.path


def checks_of(project: Project, recorder: Recorder) -> AnswerChecks:
    """Those of `project`, which says whose rows are by its population and `[api] owner_columns`."""
    own: tuple[str, ...] = ()
    with suppress(ConfigurationError):  # a project of sessions alone has none
        own = project.seed.population.owner_columns
    return AnswerChecks(recorder, owners_pattern(own), owners_pattern(project.api.owner_columns))


@dataclass
class AnswerChecks:
    """Of one process.

    Args:
        recorder: gets the counts.
        own: finds whose a row is, in answers to requests that name the user.
        always: the same, in every answer (`[api] owner_columns`).
    """

    recorder: Recorder
    own: re.Pattern[bytes] | None = None
    always: re.Pattern[bytes] | None = None
    _asked: dict[str, int] = field(default_factory=dict)
    _json: set[str] = field(default_factory=set)

    def is_due(self, name: str, session: Session, answer: Answer, *, is_users: bool) -> bool:
        """Whether an answer to `name` is looked at: to be asked once for each.

        `is_users` as in `Asked`.
        """
        count = self._asked[name] = self._asked.get(name, 0) + 1
        if count <= LOOKED_FIRST or count % LOOKED_EVERY == 0:
            return True
        if not session.shown and is_users and not session.says:
            # The rest of the look can wait; whether the session is shown anything cannot.
            self._shown(session, answer, len(answer.body))
        return False

    def look(self, session: Session, name: str, answer: Answer, asked: Asked) -> None:
        """Count what is odd about an answer that is no failure."""
        if not 200 <= answer.status < 300 or answer.status == NO_CONTENT or not answer.body:
            return
        try:
            body = answer.content()
        except ValueError:
            return  # not gzip: whoever decodes it fails
        tally = self.recorder.tally(session.stage)
        tally.looked[name] = tally.looked.get(name, 0) + 1
        begins = body.lstrip()[:1]
        if begins not in (b"[", b"{", b"n"):
            if begins == b"<" and is_page(answer) and (asked.asks_json or name in self._json):
                tally.failed(answer.status, Failure.NOT_JSON, PAGE)
            elif asked.is_users:
                session.shown = True
            return
        self._json.add(name)
        if is_cut_short(body) or is_short_page(asked.path, answer.headers):
            tally.odd(Reason.ANSWERS_TRUNCATED, name)
        if self._is_foreign(body, asked):
            tally.odd(Reason.ANSWERS_FOREIGN, name)
        if asked.is_users:
            self._look_at_users(session, name, answer, asked, body)

    def _is_foreign(self, body: bytes, asked: Asked) -> bool:
        owners = self.always or (self.own if asked.names_user else None)
        return bool(owners and asked.user_id and has_foreign_rows(body, owners, asked.user_id))

    def _look_at_users(
        self, session: Session, name: str, answer: Answer, asked: Asked, body: bytes
    ) -> None:
        """Whether it differs from what others are answered, and shows anything."""
        if asked.user and len(body) >= SAME_BYTES_MIN:
            same = self.recorder.tally(session.stage).same.setdefault(name, SameTally())
            same.names_user |= asked.names_user
            same.add(asked.user, body)
        if not session.shown:
            self._shown(session, answer, len(body))

    @staticmethod
    def _shown(session: Session, answer: Answer, length: int) -> None:
        nothing: bool | None = False
        if not answer.body:
            return
        if length <= EMPTY_BYTES_MAX:
            try:
                nothing = shows_nothing(answer.json())
            except (ValueError, RecursionError):
                nothing = None
        if nothing is not None:
            session.shown = not nothing

    def session_over(self, session: Session) -> None:
        """Count a session whose clicks do not say themselves what they show."""
        if session.shown is not None and not session.says:
            self.recorder.tally(session.stage).session_saw(empty=not session.shown)
