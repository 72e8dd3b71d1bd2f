"""The call that sends one request: path, name, body, headers, what it expects. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from phasegate.record.expressions import Expressions
from phasegate.record.names import request_name
from phasegate.record.python_text import INDENT, WIDTH, Code, call, literal, string
from phasegate.record.sources import Date, is_email, is_id_name
from phasegate.record.template import Many, Place, Request
from phasegate.record.visit import Constant, Over, Own, Step, Typed


@dataclass
class Shared:
    """What the visits of one file have together.

    Attributes:
        names: of requests, by method and shape: the same shape has the same name everywhere.
        imports: names of `phasegate.load` that are used.
        findings: what a reader should know: N+1, rows that stay.
    """

    names: dict[Any, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=lambda: {"SessionUser"})
    findings: list[str] = field(default_factory=list)

    def request_name(self, request: Request) -> str:
        """The name of a request; another shape of the same name gets a number."""
        key = request.shape
        if key not in self.names:
            wanted = name = request_name(request)
            taken = {(shape[0], given) for shape, given in self.names.items()}
            if (request.method, name) in taken:
                name = wanted = request_name(request, with_columns=True)
            number = 1
            while (request.method, name) in taken:
                number += 1
                name = f"{wanted} ({number})"
            self.names[key] = name
        return self.names[key]


class RequestWriter:
    """Writes the calls of one visit."""

    def __init__(self, expressions: Expressions, shared: Shared) -> None:
        self._expressions, self._shared = expressions, shared

    def lines(
        self,
        step: Step,
        opening: str,
        pad: str,
        *,
        joined: dict[int, str],
        at: int,
        turn: str = "",
        decoded: bool = True,
    ) -> list[str]:
        """The call that sends it.

        Args:
            step: it, or the loop's first.
            opening: in front of the call: `notes = `.
            pad: the indentation.
            joined: variables of lists that are one parameter, by their first place.
            at: the step's number.
            turn: the loop's variable.
            decoded: whether the opening is given the answer's JSON, or the whole response.
        """
        request = step.request
        method = request.method.lower()
        plain = method in ("get", "post", "put", "patch", "delete")
        called = f"self.client.{method}(" if plain else "self.client.request("
        arguments: list[str | list[str]] = [] if plain else [f'"{request.method}"']
        indent = len(pad) + len(INDENT)
        arguments.append(self._url(step, joined, turn, indent))
        arguments.append("name=" + string([self._shared.request_name(request)])[0])
        body, headers = self._body_and_headers(step, turn)
        if body is not None:
            key = "data" if request.is_form else "json"
            arguments.append(f"{key}={literal(body, indent, len(key) + 2)}")
        if headers:
            arguments.append(f"headers={literal(headers, indent, 9)}")
        expects = self._expects(at, request)
        if expects:
            arguments.append(f"expects={expects}")
        closing = ").json()" if opening and decoded else ")"
        return [
            *(f"{pad}# {guess}" for guess in self._guesses(step)),
            *call(opening + called, arguments, closing, len(pad)),
        ]

    def _guesses(self, step: Step) -> Iterator[str]:
        """What a reader should check, in words."""
        request = step.request
        if request.method == "POST" and not request.writes and not request.is_graphql:
            yield "Taken as reading, by its name."
        said: set[str] = set()
        for value, place in zip(step.values, request.places(), strict=True):
            guess = ""
            if isinstance(value, Typed):
                guess = f"What was typed into {place.key} is replaced, as long as it was."
            elif isinstance(value, Own) and value.what in ("email", "claim"):
                guess = f"{place.key} was the user's own; seeded users have no other."
            elif isinstance(value, Date):
                guess = f"{place.column or place.key}: relative to now, as recorded."
            elif isinstance(value, Constant) and is_email(place):
                guess = f"{place.key} was somebody's address."
            if guess and guess not in said:
                said.add(guess)
                yield guess

    def _url(self, step: Step, joined: dict[int, str], turn: str, indent: int) -> list[str]:
        parts: list[str | Code] = []
        at = 0
        for piece in step.request.pieces:
            if isinstance(piece, str):
                parts.append(piece)
            elif isinstance(piece, Place):
                parts += self._expressions.in_url(step.values[at], piece, turn)
                at += 1
            else:
                parts += self._many(piece, step, at, joined, turn)
                at += len(piece.places)
        return string(parts, room=WIDTH - indent)

    def _many(
        self, many: Many, step: Step, at: int, joined: dict[int, str], turn: str
    ) -> Iterator[str | Code]:
        if at in joined:
            yield Code(f"','.join(map(str, {joined[at]}))")
            return
        for number, place in enumerate(many.places):
            if number:
                yield ","
            yield from self._expressions.in_url(step.values[at + number], place, turn)

    def _body_and_headers(self, step: Step, turn: str) -> tuple[Any, dict[str, Any]]:
        request = step.request
        at = sum(
            len(piece.places) if isinstance(piece, Many) else 1
            for piece in request.pieces
            if not isinstance(piece, str)
        )
        values = iter(enumerate(step.values[at:], at))
        headers = {}
        for place in request.headers:
            _, value = next(values)
            headers[place.key.title()] = self._expressions.of(value, place, turn)

        def filled(node: Any) -> Any:
            if isinstance(node, dict):
                return {key: filled(inner) for key, inner in node.items()}
            if isinstance(node, list):
                inner = [filled(each) for each in node]
                found = [each for each in inner if isinstance(each, Over)]
                return Code(f"list({self._expressions.rows(found[0])})") if found else inner
            number, value = next(values)
            if number in step.lists:
                return step.lists[number]
            return self._expressions.of(value, node, turn)

        return filled(request.body) if request.body is not None else None, headers

    def _expects(self, at: int, request: Request) -> str:
        """The form of the answer, as far as the recording and what is used of it tell."""
        answer = request.exchange.answer
        columns = self._expressions.columns.get(at, set())
        if isinstance(answer, list) and all(isinstance(row, dict) for row in answer):
            form, found = "Rows", answer
        elif isinstance(answer, dict):
            form, found = "Fields", [answer]
        else:
            return ""
        self._shared.imports.add(form)
        types = {key: self._types(key, [row.get(key) for row in found]) for key in sorted(columns)}
        inner = ", ".join(f'"{key}": {kind}' for key, kind in types.items())
        return f"{form}({{{inner}}})" if inner or form == "Fields" else "Rows()"

    def _types(self, key: str, values: list[Any]) -> str:
        there = [value for value in values if value is not None]
        if there and all(isinstance(value, dict) for value in there):
            kind = "OBJECT"
        elif there and is_id_name(key) and all(isinstance(value, str | int) for value in there):
            kind = "ID"
        elif there and all(isinstance(value, str) for value in there):
            kind = "TEXT"
        else:
            self._shared.imports.add("ANY")
            return "ANY"
        self._shared.imports.add(kind)
        if key == "id" and len(there) == len(values):
            return kind
        self._shared.imports.add("NONE")
        return f"{kind} + NONE"
