"""The method that carries out one visit, line by line, as a person would write it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from phasegate.record.expressions import Expressions, Pick
from phasegate.record.names import Names, click_name
from phasegate.record.python_text import INDENT, assigned
from phasegate.record.visit import (
    N_PLUS_1_MIN,
    Click,
    Drawn,
    Fresh,
    Over,
    Step,
    Visit,
)
from phasegate.record.write_request import RequestWriter, Shared
from phasegate.record.write_taking_back import TakingBack

BODY = INDENT * 2
"""Of a method."""


class VisitWriter:
    """Writes the clicks of one visit."""

    def __init__(
        self, visit: Visit, expressions: Expressions, shared: Shared, names: Names
    ) -> None:
        self._visit, self._expressions, self._shared = visit, expressions, shared
        self._requests = RequestWriter(expressions, shared)
        self._taking_back = TakingBack(visit, expressions, shared)
        self._names = names
        self._click_of = {
            step: number for number, click in enumerate(visit.clicks) for step in click.steps
        }
        self._chosen: set[Pick] = set()
        self._made: set[int] = set()
        self._click_names: dict[Any, str] = {}

    def lines(self) -> list[str]:
        """The body of the method."""
        lines = [f"{BODY}{name} = {empty}" for name, empty in self._outliving()]
        for number, click in enumerate(self._visit.clicks):
            if lines:
                lines.append("")
            lines += self._click(number, click)
        return lines

    def _outliving(self) -> Iterator[tuple[str, str]]:
        """Variables that are used in another click than the one they are made in."""
        for step, used in sorted(self._uses().items()):
            if any(click != self._click_of[step] for click in used):
                answer = self._visit.steps[step].request.exchange.answer
                rows = isinstance(answer, list) or self._visit.steps[step].is_loop
                name = self._expressions.answers[step]
                yield (f"{name}: list[Any]", "[]") if rows else (f"{name}: Any", "None")
        for pick, used in self._pick_uses().items():
            own = self._click_of[pick[0]]
            if own in used and any(click != own for click in used):
                yield f"{self._expressions.picks[pick][0]}: Any", "None"

    def _uses(self) -> dict[int, set[int]]:
        """The clicks that each step's answer is used in; of a chosen row the first."""
        found: dict[int, set[int]] = {}
        for at, step in enumerate(self._visit.steps):
            picks, steps = self._needed(step)
            for pick in picks:
                first = min(self._pick_uses()[pick])
                found.setdefault(pick[0], set()).add(first)
            for source in steps - {pick[0] for pick in picks}:
                found.setdefault(source, set()).add(self._click_of[at])
            for over in self._overs(step):
                found.setdefault(over.step, set()).add(self._click_of[at])
        return found

    def _pick_uses(self) -> dict[Pick, set[int]]:
        found: dict[Pick, set[int]] = {}
        for at, step in enumerate(self._visit.steps):
            for pick in self._needed(step)[0]:
                found.setdefault(pick, set()).add(self._click_of[at])
        return dict(sorted(found.items(), key=str))

    def _needed(self, step: Step) -> tuple[set[Pick], set[int]]:
        return self._expressions.needed(step.values, self._overs(step))

    @staticmethod
    def _overs(step: Step) -> list[Over]:
        return [*([step.over] if step.over else ()), *step.lists.values()]

    def _click(self, number: int, click: Click) -> list[str]:
        steps = [self._visit.steps[at] for at in click.steps]
        lines, guards = self._before(number, steps)
        pad = BODY
        if guards:
            lines.append(f"{pad}if {' and '.join(guards)}:")
            pad += INDENT
        if number:
            lines.append(f"{pad}self.think_s = {round(click.think_s, 1):g}")
        main = self._shown(steps)
        shows = ""
        if main is not None:
            shows = "ALWAYS" if main.request.writes else "USUALLY"
            self._shared.imports.add(shows)
        tells = main is not None and (main is not steps[-1] or main.is_loop)
        name = self._name(click, steps)
        told = f", shows={shows}" if shows else ""
        lines.append(f'{pad}with self.click("{name}"{told}){" as click" if tells else ""}:')
        for at, step in zip(click.steps, steps, strict=True):
            lines += self._step(at, step, pad + INDENT, told=tells and step is main, click=name)
        return lines

    def _before(self, number: int, steps: list[Step]) -> tuple[list[str], list[str]]:
        """What is chosen in front of a click, and what must be there for it to be carried out."""
        lines: list[str] = []
        guards: list[str] = []
        for step in steps:
            picks, sources = self._needed(step)
            for pick in sorted(picks, key=str):
                name = self._expressions.picks[pick][0]
                if self._click_of[pick[0]] == number:
                    continue
                if pick not in self._chosen:
                    self._chosen.add(pick)
                    lines.append(f"{BODY}{name} = {self._expressions.chosen(pick)}")
                guards.append(f"{name} is not None")
            for source in sorted(sources - {pick[0] for pick in picks}):
                answer = self._visit.steps[source].request.exchange.answer
                is_rows = isinstance(answer, list) or self._visit.steps[source].is_loop
                if self._click_of[source] != number and not is_rows:
                    guards.append(f"{self._expressions.answers[source]} is not None")
            for value in step.values:
                if isinstance(value, Drawn):
                    name = self._expressions.drawn[value.resource, value.column]
                    guards.append(f"self.{name} is not None")
                if isinstance(value, Fresh) and value.number not in self._made:
                    self._made.add(value.number)
                    self._expressions.helpers.add("uuid")
                    name = self._expressions.fresh[value.number]
                    bits = "self.rng.getrandbits(128)"
                    lines.append(f"{BODY}{name} = str(uuid.UUID(int={bits}, version=4))")
        return lines, list(dict.fromkeys(guards))

    def _shown(self, steps: list[Step]) -> Step | None:
        """The step whose answer the user sees: rows; what was written first."""
        full = [
            step
            for step in steps
            if isinstance(step.request.exchange.answer, list) and step.request.exchange.answer
        ]
        return next((step for step in full if step.request.writes), full[0] if full else None)

    def _name(self, click: Click, steps: list[Step]) -> str:
        key = tuple(step.request.shape for step in steps)
        if key not in self._click_names:
            main = self._shown(steps)
            first = [] if main is None else [main.request]
            wanted = name = click_name([*first, *(step.request for step in steps)])
            number = 1
            while name in self._click_names.values():
                number += 1
                name = f"{wanted} ({number})"
            self._click_names[key] = name
        return self._click_names[key]

    def _step(self, at: int, step: Step, pad: str, *, told: bool, click: str) -> list[str]:
        lines: list[str] = []
        own_picks = [
            pick
            for pick in sorted(self._needed(step)[0], key=str)
            if self._click_of[pick[0]] == self._click_of[at]
        ]
        for pick in own_picks:
            if pick not in self._chosen:
                self._chosen.add(pick)
                name = self._expressions.picks[pick][0]
                lines.append(f"{pad}{name} = {self._expressions.chosen(pick)}")
        if own_picks:
            names = [self._expressions.picks[pick][0] for pick in own_picks]
            lines.append(f"{pad}if {' and '.join(f'{name} is not None' for name in names)}:")
            pad += INDENT
        joined: dict[int, str] = {}
        for place, over in step.lists.items():
            if list(step.request.places())[place].where == "query":
                joined[place] = self._names.new("wanted")
                rows = self._expressions.rows(over)
                lines += assigned(joined[place], rows, pad)
        name = self._expressions.answers.get(at, "")
        if not name and told:
            name = self._names.new("shown")
        if step.is_loop:
            lines += self._loop(at, step, pad, joined, name, click)
        else:
            lines += self._requests.lines(
                step, f"{name} = " if name else "", pad, joined=joined, at=at
            )
            lines += self._taking_back.lines(at, step, pad)
        return [*lines, f"{pad}click.saw({name})"] if told else lines

    def _loop(
        self,
        at: int,
        step: Step,
        pad: str,
        joined: dict[int, str],
        name: str,
        click: str,
    ) -> list[str]:
        times = len(step.numbers)
        title = f"{step.request.method} {self._shared.request_name(step.request)}"
        if step.over is None:
            turn, over, note = "_", f"range({times})", f"  # the same {times} times, as recorded"
            self._shared.findings.append(
                f'{times} × {title} in one click ("{click}"): all the same'
            )
        else:
            turn, over = self._expressions.turn_name(step.over), self._expressions.rows(step.over)
            note = ""
            if times >= N_PLUS_1_MIN:
                note = f"  # N+1: {times} in one click of the recording"
                self._shared.findings.append(f'{times} × {title} in one click ("{click}"): N+1')
        lines = [f"{pad}{name} = []"] if name else []
        lines.append(f"{pad}for {turn} in {over}:{note}")
        if len(lines[-1]) > 100 and note:
            lines[-1:] = [f"{pad}#{note.partition('#')[2]}", f"{pad}for {turn} in {over}:"]
        inner = pad + INDENT
        opening = "one = " if name else ""
        lines += self._requests.lines(step, opening, inner, joined=joined, turn=turn, at=at)
        return [*lines, f"{inner}{name}.append(one)"] if name else lines
