"""From where a value comes from to the expression that a locustfile has for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from phasegate.record.names import Names, identifier
from phasegate.record.planner import walk
from phasegate.record.python_text import Code
from phasegate.record.sources import Date, singular
from phasegate.record.template import UUID, JsonPath, Place
from phasegate.record.visit import (
    Constant,
    Drawn,
    Each,
    Fresh,
    From,
    Over,
    Own,
    Secret,
    Typed,
    Value,
    Visit,
)

# A moment within five minutes of the request is "now".
NOW_S = 300.0
DAY_S = 86400.0

TAG = "phasegate load test"
_DOMAIN = "phasegate.local"

Pick = tuple[int, JsonPath]
"""A row of a step's answer that is chosen once: the step, and the path to the row."""


class Expressions:
    """What the values of one visit are called, and which helpers they need.

    Attributes:
        answers: variables of steps' answers, by step.
        picks: variables of chosen rows, and the keys that such a row must have.
        fresh: variables of ids that the client makes.
        drawn: what a visit begins by asking for: resource and column, and its attribute.
        helpers: names of helpers that were used.
        secrets: variables of the environment.
    """

    def __init__(self, visit: Visit, names: Names, attributes: Names) -> None:
        self.visit, self._names, self._attributes = visit, names, attributes
        self.answers: dict[int, str] = {}
        self.picks: dict[Pick, tuple[str, set[str]]] = {}
        self.fresh: dict[int, str] = {}
        self.drawn: dict[tuple[str, str], str] = {}
        self.drawn_values: dict[tuple[str, str], set[Any]] = {}
        self.helpers: set[str] = set()
        self.secrets: set[str] = set()
        self.columns: dict[int, set[str]] = {}
        for number, step in enumerate(visit.steps):
            if step.creates_row:
                self.answer(number)
                self.columns.setdefault(number, set()).add("id")
            for value in step.values:
                self._learn(value)
            for over in (*([step.over] if step.over else ()), *step.lists.values()):
                self._needs(over.step, (*over.rows, *(over.value or ())))
            if step.over is not None:
                for each in step.each.values():
                    self._needs(step.over.step, (*step.over.rows, *each.path))

    def _learn(self, value: Value) -> None:
        if isinstance(value, From):
            self._needs(value.step, value.path)
        elif isinstance(value, Fresh) and value.number not in self.fresh:
            self.fresh[value.number] = self._names.new("new_id")
        elif isinstance(value, Drawn):
            key = (value.resource, value.column)
            if key not in self.drawn:
                self.drawn[key] = self._attributes.new(f"drawn_{identifier(value.resource)}")
            self.drawn_values.setdefault(key, set()).add(value.value)

    def answer(self, step: int) -> str:
        """The variable of a step's answer; made where there is none yet."""
        if step not in self.answers:
            request = self.visit.steps[step].request
            plural = isinstance(request.exchange.answer, list) or self.visit.steps[step].is_loop
            one = singular(identifier(request.resource))
            name = identifier(request.resource) if plural else one
            self.answers[step] = self._names.new(name)
        return self.answers[step]

    def _needs(self, step: int, path: JsonPath) -> None:
        self.answer(step)
        in_rows = isinstance(self.visit.steps[step].request.exchange.answer, list)
        turn = 1 if self.visit.steps[step].is_loop else 0
        keys = path[turn + (1 if in_rows else 0) :]
        if keys and isinstance(keys[0], str) and keys[0] != "*":
            self.columns.setdefault(step, set()).add(keys[0])
        for at, key in enumerate(path):
            if not isinstance(key, int):
                continue
            pick = (step, path[: at + 1])
            if pick not in self.picks:
                about = next((k for k in reversed(path[:at]) if isinstance(k, str)), None)
                name = identifier(about or self.visit.steps[step].request.resource)
                chosen = f"last_{singular(name)}" if key == -1 else singular(name)
                self.picks[pick] = (self._names.new(chosen), set())
            if at + 1 < len(path) and isinstance(path[at + 1], str):
                self.picks[pick][1].add(str(path[at + 1]))

    def at(self, step: int, path: JsonPath) -> str:
        """The expression for what lies at `path` of a step's answer; without `*`."""
        last = max((at for at, key in enumerate(path) if isinstance(key, int)), default=-1)
        base = self.picks[step, path[: last + 1]][0] if last >= 0 else self.answers[step]
        return base + "".join(f"['{key}']" for key in path[last + 1 :])

    def chosen(self, pick: Pick) -> str:
        """The expression that chooses a row."""
        step, path = pick
        rows, keys = self.at(step, path[:-1]), sorted(self.picks[pick][1])
        if path[-1] == -1:
            return f"{rows}[-1] if {rows} else None"
        self.helpers.add("pick")
        return f"pick(self.rng, {', '.join([rows, *(_quoted(key) for key in keys)])})"

    def needed(self, values: Iterable[Value], overs: Iterable[Over]) -> tuple[set[Pick], set[int]]:
        """Rows that must be chosen for these, and steps whose answers must be there."""
        picks: set[Pick] = set()
        steps: set[int] = set()
        paths = [(value.step, value.path) for value in values if isinstance(value, From)]
        paths += [(over.step, over.rows) for over in overs]
        for step, path in paths:
            steps.add(step)
            picks |= {(step, path[: at + 1]) for at, key in enumerate(path) if isinstance(key, int)}
        return picks, steps

    def rows(self, over: Over) -> str:
        """What a loop goes over, or a list is made of."""
        base = next(at for at, key in enumerate(over.rows) if key == "*")
        source = self.at(over.step, over.rows[:base])
        rest = (*over.rows[base + 1 :], *(over.value or ()))
        if not rest:
            return source if over.count is None else f"{source}[:{over.count}]"
        row = self._row_name(over)
        loops, here = [f"for {row} in {source}"], row
        for key in rest:
            if key == "*":
                loops.append(f"for inner in {here}")
                here = "inner"
            else:
                here += f"['{key}']"
        plain = here.replace("'", '"')
        found = f"{plain} {' '.join(loops)} if {plain} is not None".replace("'", '"')
        if over.distinct and over.count is None:
            return f"dict.fromkeys({found})"
        listed = f"list(dict.fromkeys({found}))" if over.distinct else f"[{found}]"
        return listed if over.count is None else f"{listed}[:{over.count}]"

    def _row_name(self, over: Over) -> str:
        taken = {name for name, _ in self.picks.values()} | set(self.answers.values())
        name = singular(self.answers[over.step])
        return "row" if name in taken else name

    def turn_name(self, over: Over) -> str:
        """The variable of a loop's turn."""
        if over.value is None:
            return self._row_name(over)
        key = next((each for each in reversed(over.value) if isinstance(each, str)), "value")
        name = identifier(key)
        return "one" if name in {"the_id", *self.answers.values()} else name

    def of(self, value: Value, place: Place, turn: str = "") -> Any:
        """What a body or a header has for a value: the value, or `Code`."""
        if isinstance(value, Constant):
            return value.value
        if isinstance(value, Typed):
            return _filled(value.length)
        if isinstance(value, Own) and value.what != "id":
            return Code("self.user.token" if value.what == "token" else f'f"{self.email()}"')
        expression = self.expression(value, place, turn)
        if isinstance(value, From | Each) and place.where == "json":
            expression = self._as_sent(value, place, expression)
        elif place.where in ("form", "header") and isinstance(value, From | Each):
            expression = f"str({expression})"
        return Code(expression.replace("'", '"'))

    def email(self) -> str:
        """The user's, as the reference API has it."""
        return f"{{self.user.id}}@{_DOMAIN}"

    def expression(self, value: Value, place: Place, turn: str = "") -> str:
        """The expression for a value, with single quotes, so that it fits into an f-string."""
        match value:
            case Own("id"):
                return "self.user.id"
            case Own("token"):
                return "self.user.token"
            case From(step, path):
                return self.at(step, path)
            case Each(path):
                return turn + "".join(f"['{key}']" for key in path)
            case Fresh(number):
                return self.fresh[number]
            case Secret(name):
                self.secrets.add(name)
                return name
            case Drawn(resource, column):
                self.helpers.add("pick")
                return f"self.{self.drawn[resource, column]}"
            case Date(seconds, form):
                return self._date(seconds, form, place)
        raise AssertionError(f"unreachable: {value!r} has no expression")

    def in_url(self, value: Value, place: Place, turn: str = "") -> list[str | Code]:
        """The parts that a value has in a path or query."""
        if isinstance(value, Constant):
            return [_encoded(str(value.value), place)]
        if isinstance(value, Typed):
            return [_encoded(_filled(value.length), place)]
        if isinstance(value, Own) and value.what in ("email", "claim"):
            return [Code("self.user.id"), f"%40{_DOMAIN}"]
        expression = self.expression(value, place, turn)
        text = str(place.value)
        if isinstance(value, From | Each) and not (UUID.fullmatch(text) or text.isdigit()):
            self.helpers.add("quote")
            expression = f"quote(str({expression}), safe='')"
        return [Code(expression)]

    def _as_sent(self, value: From | Each, place: Place, expression: str) -> str:
        """The expression with the type that the request had, where the answer had another."""
        if isinstance(value, Each):
            return expression
        step, path = value.step, value.path
        planned = self.visit.steps[step]
        answers = [self.visit.requests[number].exchange.answer for number in planned.numbers]
        found = next(walk(answers if planned.is_loop else answers[0], path), place.value)
        if isinstance(place.value, str) and not isinstance(found, str):
            return f"str({expression})"
        if isinstance(place.value, int) and isinstance(found, str):
            return f"int({expression})"
        return expression

    def _date(self, seconds: float, form: str, place: Place) -> str:
        if form in ("s", "ms"):
            self.helpers.add("time")
            if form == "ms":
                return f"int(time.time() * 1000){_added(seconds * 1000)}"
            return f"int(time.time()){_added(seconds)}"
        self.helpers.add(form)
        if form == "day":
            days = round(seconds / DAY_S + 0.5)
            return f"day({days or ''})"
        if abs(seconds) < NOW_S:
            return "moment()"
        return f"moment(days={round(seconds / DAY_S, 3):g})"


def _added(number: float) -> str:
    whole = round(number)
    return f" {'+' if whole > 0 else '-'} {abs(whole)}" if abs(number) >= NOW_S else ""


def _encoded(text: str, place: Place) -> str:
    safe = "*,.:()!-_~" if place.operator else ""
    return quote(text, safe=safe)


def _filled(length: int) -> str:
    """So many characters that say what they are."""
    times = length // (len(TAG) + 1) + 1
    return " ".join([TAG] * times)[: max(length, len(TAG))].strip()


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
