"""How what a visit creates is removed after the test: a line behind each such request. Pure."""

from __future__ import annotations

from phasegate.record.expressions import TAG, Expressions
from phasegate.record.python_text import INDENT, Code, call, string
from phasegate.record.template import Many, Place, Request
from phasegate.record.visit import Fresh, From, Own, Step, Typed, Value, Visit
from phasegate.record.write_request import Shared


class TakingBack:
    """Writes `self.created(…)` for what one visit creates."""

    def __init__(self, visit: Visit, expressions: Expressions, shared: Shared) -> None:
        self._visit, self._expressions, self._shared = visit, expressions, shared

    def lines(self, at: int, step: Step, pad: str) -> list[str]:
        """Behind step `at`; none where it creates nothing, or the visit removes it itself."""
        request = step.request
        if request.method != "POST" or not request.writes or request.is_call or request.is_graphql:
            return []
        named = {
            place.key: (value, place)
            for value, place in zip(step.values, request.places(), strict=True)
            if place.where in ("json", "form")
        }
        value = named["id"][0] if "id" in named else None
        if isinstance(value, From) or "resolution=" in request.exchange.header("prefer"):
            return []  # it changes a row that is there
        if self._is_removed(at) and not request.is_postgrest:
            return []  # a second DELETE of a row would be refused
        base = self._path(request, step.values)
        if isinstance(value, Fresh):
            return self._created(pad, base, request, Code(self._expressions.fresh[value.number]))
        if at in self._expressions.answers and step.creates_row:
            return self._by_answer(at, request, base, pad)
        return self._by_text(request, named, base, pad)

    def _is_removed(self, at: int) -> bool:
        """Whether the visit deletes it itself."""
        return any(
            later.request.method == "DELETE"
            and any(isinstance(value, From) and value.step == at for value in later.values)
            for later in self._visit.steps
        )

    def _path(self, request: Request, values: list[Value]) -> list[str | Code]:
        """The request's path without its query."""
        parts: list[str | Code] = []
        places = iter(values)
        for piece in request.pieces:
            if isinstance(piece, str):
                parts.append(piece.partition("?")[0])
                if "?" in piece:
                    break
            elif isinstance(piece, Place):
                parts += self._expressions.in_url(next(places), piece)
            elif isinstance(piece, Many):
                break
        return parts

    def _created(self, pad: str, base: list[str | Code], request: Request, key: Code) -> list[str]:
        between = "?id=eq." if request.is_postgrest else "/"
        return call("self.created(", [string([*base, between, key])[0]], ")", len(pad))

    def _by_answer(self, at: int, request: Request, base: list[str | Code], pad: str) -> list[str]:
        name = self._expressions.answers[at]
        guess = [] if request.is_postgrest else [f"{pad}# A guess: DELETE of what POST made."]
        if isinstance(request.exchange.answer, list):
            lines = self._created(pad + INDENT, base, request, Code("row['id']"))
            return [*guess, f"{pad}for row in {name}:", *lines]
        return [*guess, *self._created(pad, base, request, Code(f"{name}['id']"))]

    def _by_text(
        self,
        request: Request,
        named: dict[str, tuple[Value, Place]],
        base: list[str | Code],
        pad: str,
    ) -> list[str]:
        """Where no answer names the row: by a text that only load tests write, and its owner."""
        typed = next((key for key, (value, _) in named.items() if isinstance(value, Typed)), None)
        owner = next((key for key, (value, _) in named.items() if value == Own("id")), None)
        if request.is_postgrest and typed and owner and isinstance(request.body, dict):
            own: list[str | Code] = [f"?{owner}=eq.", Code("self.user.id"), f"&{typed}=like."]
            path = string([*base, *own, f"{TAG.replace(' ', '%20')}*"])[0]
            return call("self.created(", [path], ")", len(pad))
        self._shared.findings.append(
            f"POST {self._shared.request_name(request)} creates rows that stay: "
            "its answer does not name them"
        )
        return [f"{pad}# What this creates stays: its answer does not tell which row it is."]
