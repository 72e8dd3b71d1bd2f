"""Decides where each value of a visit comes from, and which requests are a loop. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from phasegate.record.personal import SOMEONE, is_secret_name
from phasegate.record.sources import (
    Sources,
    date_of,
    is_email,
    is_id_name,
    is_secret,
    own,
)
from phasegate.record.template import UUID, JsonPath, Many, Place, Request
from phasegate.record.visit import (
    Constant,
    Drawn,
    Each,
    Fresh,
    From,
    Over,
    Own,
    Secret,
    Step,
    Typed,
    Value,
    Visit,
)

Origin = tuple[int, JsonPath]
"""A step, and a path in its answer."""

_OWN_ID_KEYS = frozenset({"id", "uuid", "_id", "client_id", "clientId", "idempotency-key"})
_FREE_TEXT = re.compile(
    r"name|title|text|body|content|description|comment|message|subject|note|bio|address|summary|phone",
    re.IGNORECASE,
)
# One word, as an option of an app has: `open`, `#ff0000`, `en-GB`, `task.viewed`.
_OPTION = re.compile(r"[\w.:/#+-]{0,40}")
_GRAPHQL_KEYS = frozenset({"query", "operationName", "extensions"})


class Planner:
    """Makes the steps of one visit, click after click, in the order of time."""

    def __init__(self, visit: Visit, secrets: frozenset[str]) -> None:
        self._visit, self._secrets = visit, secrets
        self._sources = Sources(visit.requests)
        self._step_of: dict[int, int] = {}
        self._fresh: dict[str, Fresh] = {}
        self._picked: set[Origin] = set()

    def steps_of(self, numbers: Sequence[int]) -> list[int]:
        """Plan the requests `numbers`, which one click sent; the places of their steps."""
        groups: dict[Any, list[int]] = {}
        for number in numbers:
            groups.setdefault(self._visit.requests[number].shape, []).append(number)
        waiting = list(groups.values())
        made = []
        while waiting:
            waiting.sort(key=lambda group: group[0])
            group = waiting.pop(0)
            step = self._loop(group) if len(group) > 1 else None
            if step is None:
                step = Step(self._visit.requests[group[0]], [group[0]])
                if group[1:]:
                    waiting.append(group[1:])
            self._resolve(step)
            made.append(len(self._visit.steps))
            for number in step.numbers:
                self._step_of[number] = made[-1]
            self._visit.steps.append(step)
        return made

    # Loops.

    def _loop(self, group: Sequence[int]) -> Step | None:
        """One step for all of `group`, where one earlier answer has what differs among them."""
        requests = [self._visit.requests[number] for number in group]
        places = [list(request.places()) for request in requests]
        if len({len(each) for each in places}) != 1:
            return None
        columns = list(zip(*places, strict=True))
        sent_s = requests[0].exchange.started_s
        varying = {
            at: column
            for at, column in enumerate(columns)
            if len({place.value for place in column}) > 1 and date_of(column[0], sent_s) is None
        }
        step = Step(requests[0], list(group))
        if varying:
            found = self._common(group, varying)
            if found is None:
                return None
            source, paths = found
            step.over = self._over(group, varying, source, paths)
            if step.over is None:
                return None
            step.each = {
                at: Each(() if step.over.value is not None else path[len(step.over.rows) :])
                for at, path in paths.items()
            }
        return step

    def _common(
        self, group: Sequence[int], varying: dict[int, tuple[Place, ...]]
    ) -> tuple[int, dict[int, JsonPath]] | None:
        """The step whose answer has all that differs, and the general path of each such place."""
        candidates: list[list[Origin]] = []
        for column in varying.values():
            shared: list[Origin] | None = None
            for number, place in zip(group, column, strict=True):
                here = [(step, _general(path)) for step, path in self._origins(number, place)]
                shared = here if shared is None else [each for each in shared if each in here]
            candidates.append(list(dict.fromkeys(shared or ())))
        for source, _ in candidates[0]:
            paths = [next((p for s, p in each if s == source), None) for each in candidates]
            if all(path is not None and "*" in path for path in paths):
                return source, dict(zip(varying, (p for p in paths if p is not None), strict=True))
        return None

    def _over(
        self,
        group: Sequence[int],
        varying: dict[int, tuple[Place, ...]],
        source: int,
        paths: dict[int, JsonPath],
    ) -> Over | None:
        """How the loop goes over the answer: its rows, or a value of each."""
        if len(paths) == 1:
            ((at, path),) = paths.items()
            return self._values_over(source, path, [place.value for place in varying[at]])
        rows = {path[: _last_star(path) + 1] for path in paths.values()}
        if len(rows) != 1:
            return None
        (row_path,) = rows
        there = list(walk(self._answer(source), row_path))
        wanted = list(zip(*([p.value for p in column] for column in varying.values()), strict=True))
        has = [
            tuple(next(walk(row, path[len(row_path) :]), None) for path in paths.values())
            for row in there
        ]
        if not set(map(_texts, wanted)) <= set(map(_texts, has)):
            return None
        return Over(source, row_path, None, count=None if len(group) == len(there) else len(group))

    def _values_over(self, source: int, path: JsonPath, sent: list[Any]) -> Over:
        """How `sent` come from the values at `path`: all of them, each once, or the first few."""
        rows, value = path[: _last_star(path) + 1], path[_last_star(path) + 1 :]
        everywhere = list(walk(self._answer(source), path))
        there = [str(each) for each in everywhere if each is not None]
        texts = [str(each) for each in sent]
        if sorted(texts) == sorted(there):
            plain = len(there) == len(everywhere) and value
            return Over(source, rows, None if plain else value)
        if len(texts) == len(set(there)) and set(texts) == set(there):
            return Over(source, rows, value, distinct=True)
        return Over(source, rows, value, distinct=len(set(texts)) == len(texts), count=len(texts))

    def _answer(self, step: int) -> Any:
        """What a step's variable holds: an answer; a loop's answers in a list."""
        planned = self._visit.steps[step]
        answers = [self._visit.requests[number].exchange.answer for number in planned.numbers]
        return answers if planned.is_loop else answers[0]

    def _origins(self, number: int, place: Place) -> Iterator[Origin]:
        """Where the value of `place` may come from, of the steps planned so far; best first."""
        for link in self._sources.links(number, place):
            step = self._step_of.get(link.request)
            if step is not None:
                planned = self._visit.steps[step]
                turn = (planned.numbers.index(link.request),) if planned.is_loop else ()
                yield step, (*turn, *link.path)

    # Values.

    def _resolve(self, step: Step) -> None:
        number, places = step.numbers[0], list(step.request.places())
        for at, members in _lists(step.request):
            over = self._list(number, members)
            if over is not None:
                step.lists[at] = over
        in_lists = {
            at + n for at, ms in _lists(step.request) if at in step.lists for n in range(len(ms))
        }
        for at, place in enumerate(places):
            if at in step.each:
                step.values.append(step.each[at])
            elif at in in_lists:
                step.values.append(Constant(None))
            else:
                step.values.append(self._value(number, step.request, place))

    def _list(self, number: int, members: Sequence[Place]) -> Over | None:
        """Of what answer a list of values is made; None where not of one alone."""
        shared: list[Origin] | None = None
        for place in members:
            here = [(step, _general(path)) for step, path in self._origins(number, place)]
            shared = here if shared is None else [each for each in shared if each in here]
        found = next(((step, path) for step, path in shared or () if "*" in path), None)
        if found is None:
            return None
        over = self._values_over(*found, [place.value for place in members])
        path = found[1]
        return Over(over.step, over.rows, path[len(over.rows) :], over.distinct, over.count)

    def _value(self, number: int, request: Request, place: Place) -> Value:
        person = self._visit.person
        origin = self._best_origin(number, place)
        if is_secret(place, self._secrets):
            if origin is not None and not re.search("passw|pwd", place.key, re.IGNORECASE):
                return From(*origin)
            is_own = str(place.value) in request.exchange.header("authorization")
            return Own("token") if is_own else Secret(_variable(place.key))
        whose = own(place, person)
        if whose:
            return Own(whose)
        if origin is not None and not place.is_page:
            return From(*(self._as_cursor(origin) if _is_cursor(place) else origin))
        return self._without_source(request, place)

    def _as_cursor(self, origin: Origin) -> Origin:
        """`origin`, its row called the last one (-1) where it is that."""
        step, path = _row(origin)
        if not path or len(list(walk(self._answer(step), path[:-1]))) != 1:
            return origin
        (rows,) = walk(self._answer(step), path[:-1])
        is_last = isinstance(rows, list) and len(rows) - 1 == path[-1]
        return (step, (*path[:-1], -1, *origin[1][len(path) :])) if is_last else origin

    def _without_source(self, request: Request, place: Place) -> Value:
        """A value that neither the user nor an earlier answer explains."""
        text = str(place.value)
        if text in self._fresh:
            return self._fresh[text]
        if UUID.fullmatch(text) and place.key in _OWN_ID_KEYS and request.writes:
            return self._fresh.setdefault(text, Fresh(len(self._fresh) + 1))
        date = date_of(place, request.exchange.started_s)
        if date is not None:
            return date
        if _is_key(place):
            return Drawn(request.resource, place.column or place.key, place.value)
        if request.writes and self._is_typed(request, place):
            return Typed(len(text))
        return Constant(SOMEONE if is_email(place) else place.value)

    def _is_typed(self, request: Request, place: Place) -> bool:
        """Whether somebody wrote it, as far as one can see."""
        if not isinstance(place.value, str) or place.where not in ("json", "form"):
            return False
        if request.is_graphql and place.key in _GRAPHQL_KEYS:
            return False
        return bool(_FREE_TEXT.search(place.key)) or not _OPTION.fullmatch(place.value)

    def _best_origin(self, number: int, place: Place) -> Origin | None:
        """The best place that it may come from; of equal ones a row that is at hand already."""
        origins = list(self._origins(number, place))
        if not origins:
            return None
        general = (origins[0][0], _general(origins[0][1]))
        equal = [each for each in origins if (each[0], _general(each[1])) == general]
        best = next((each for each in equal if _row(each) in self._picked), equal[0])
        self._picked.add(_row(best))
        return best


def _general(path: JsonPath) -> JsonPath:
    return tuple("*" if isinstance(step, int) else step for step in path)


def _row(origin: Origin) -> Origin:
    step, path = origin
    last = max((at for at, key in enumerate(path) if isinstance(key, int)), default=-1)
    return step, path[: last + 1]


def _last_star(path: JsonPath) -> int:
    return max(at for at, step in enumerate(path) if step == "*")


def walk(value: Any, path: JsonPath) -> Iterator[Any]:
    """Each value at a general path."""
    if not path:
        yield value
        return
    step, *rest = path
    if step == "*" and isinstance(value, list):
        for inner in value:
            yield from walk(inner, tuple(rest))
    elif isinstance(step, int):
        if isinstance(value, list):
            yield from walk(value[step], tuple(rest))
    elif isinstance(value, dict) and step in value:
        yield from walk(value[step], tuple(rest))


def _texts(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(map(str, row))


def _lists(request: Request) -> Iterator[tuple[int, Sequence[Place]]]:
    """Each list of values in a request: the number of its first place, and its places."""
    at = 0
    for piece in request.pieces:
        if isinstance(piece, Many):
            yield at, piece.places
            at += len(piece.places)
        elif isinstance(piece, Place):
            at += 1
    yield from _body_lists(request.body, at + len(request.headers))


def _body_lists(body: Any, at: int) -> Iterator[tuple[int, Sequence[Place]]]:
    waiting: list[Any] = [body]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Place):
            at += 1
        elif isinstance(here, dict):
            waiting.extend(reversed(here.values()))
        elif isinstance(here, list):
            if len(here) > 1 and all(isinstance(inner, Place) for inner in here):
                yield at, here
            waiting.extend(reversed(here))


def _is_key(place: Place) -> bool:
    """Whether it is the key of a row that ought to exist."""
    text = str(place.value)
    if place.value is None or isinstance(place.value, bool) or place.is_page:
        return False
    if place.where == "path" or UUID.fullmatch(text):
        return True
    named = is_id_name(place.column or place.key) and place.where != "header"
    return named and text.isdigit() and (not place.operator or place.operator in ("eq.", "in."))


def _is_cursor(place: Place) -> bool:
    """Whether it asks for what lies behind a row: the last one of the page before."""
    return place.operator.removeprefix("not.") in ("lt.", "lte.", "gt.", "gte.") or bool(
        re.search("cursor|after|before|since", place.key, re.IGNORECASE)
    )


def _variable(key: str) -> str:
    """The environment's variable for a secret of that name."""
    name = re.sub(r"\W+", "_", key).strip("_").upper() or "SECRET"
    return name if is_secret_name(key) else f"{name}_SECRET"
