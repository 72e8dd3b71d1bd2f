"""From a recording's exchanges to visits: whose they are, and which requests one click sent. Pure.

Requests belong to one click until nothing was under way for a while, or another page was opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from phasegate.record.har import Exchange
from phasegate.record.personal import Person, person_of, subject_of
from phasegate.record.planner import Planner
from phasegate.record.sign_in import sign_in_of
from phasegate.record.sources import leaves
from phasegate.record.template import Request, taken_apart
from phasegate.record.visit import Click, Visit

# With nothing under way for so long, what follows is the user's next click: an app's own code sends
# its next request within milliseconds, a person takes longer to read and to move.
IDLE_S = 0.5

# A session of web analytics ends after half an hour without a sign of the user.
VISIT_IDLE_S = 1800.0

# What a column with the user's own key is called, mostly: Chrome exports no tokens unless asked to.
_USERS_KEY = re.compile(
    r"(user|owner|account|profile|author|member|created_by)_?(id|uuid)?|uid", re.IGNORECASE
)


def visits(
    exchanges: Sequence[Exchange],
    signing_in: Sequence[Exchange],
    scripts: Sequence[Exchange],
    secrets: frozenset[str],
) -> list[Visit]:
    """The visits that a recording holds.

    Args:
        exchanges: the API's, in the order of time.
        signing_in: those that told who the user is.
        scripts: pages and code that were loaded: while they are, the click goes on.
        secrets: of the whole recording.
    """
    found = []
    for part in _by_visit(exchanges):
        begins, ends = part[0].started_s, part[-1].ended_s
        about = [each for each in signing_in if begins - VISIT_IDLE_S <= each.started_s <= ends]
        subjects = {subject for each in part if (subject := subject_of(each))}
        told = [each for each in about if not subjects or _same_user(each, subjects)]
        person = person_of((*told, *part))
        sign_in = sign_in_of(about, part, person)
        found.append(_visit(part, person, scripts, secrets))
        found[-1].sign_in = sign_in
    return found


def _same_user(exchange: Exchange, subjects: set[str]) -> bool:
    return any(subject in (exchange.answered or "") for subject in subjects)


def _by_visit(exchanges: Sequence[Exchange]) -> Iterator[list[Exchange]]:
    """Cut where another user signs in, or nobody did anything for half an hour."""
    part: list[Exchange] = []
    user, ends_s = "", 0.0
    for exchange in exchanges:
        subject = subject_of(exchange)
        other = bool(subject and user and subject != user)
        if part and (other or exchange.started_s - ends_s >= VISIT_IDLE_S):
            yield part
            part, ends_s = [], 0.0
        user = subject or user
        part.append(exchange)
        ends_s = max(ends_s, exchange.ended_s)
    if part:
        yield part


def _visit(
    part: Sequence[Exchange],
    person: Person,
    scripts: Sequence[Exchange],
    secrets: frozenset[str],
) -> Visit:
    slugs: set[str] = set()
    requests = []
    for exchange in part:
        requests.append(taken_apart(exchange, slugs))
        for path, value in leaves(exchange.answer):
            if path[-1] in ("slug", "handle", "username") and isinstance(value, str):
                slugs.add(value)
    visit = Visit(person, requests, [], [])
    if not person.ids:
        visit.own_id_guessed_by = _guess_own_id(person, requests)
    planner = Planner(visit, secrets)
    for think_s, numbers in clicks(part, scripts):
        visit.clicks.append(Click(think_s, planner.steps_of(numbers)))
    return visit


def _guess_own_id(person: Person, requests: Sequence[Request]) -> str:
    """The one value that stands where users' keys do; its name, empty where there are several."""
    found = {
        (str(place.value), place.column or place.key)
        for request in requests
        for place in request.places()
        if _USERS_KEY.fullmatch(place.column or place.key) and isinstance(place.value, str | int)
    }
    if len({value for value, _ in found}) != 1:
        return ""
    ((value, name), *_) = sorted(found)
    person.ids.add(value)
    return name


def clicks(
    part: Sequence[Exchange], scripts: Sequence[Exchange] = ()
) -> list[tuple[float, list[int]]]:
    """Which requests belong together, and the seconds without any before each group."""
    found: list[tuple[float, list[int]]] = []
    busy_s, page, at = 0.0, "", 0
    for number, exchange in enumerate(part):
        quiet_s = exchange.started_s - busy_s
        while at < len(scripts) and scripts[at].started_s <= exchange.started_s:
            if scripts[at].started_s - busy_s < IDLE_S:
                busy_s = max(busy_s, min(scripts[at].ended_s, exchange.started_s))
            at += 1
        turned = bool(page and exchange.page and exchange.page != page)
        if not found or turned or exchange.started_s - busy_s >= IDLE_S:
            found.append((max(quiet_s, 0.0) if found else 0.0, []))
        found[-1][1].append(number)
        busy_s, page = max(busy_s, exchange.ended_s), exchange.page or page
    return found
