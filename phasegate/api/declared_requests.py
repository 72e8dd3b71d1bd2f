"""The project's requests to its API: filled with drawn values, and asked one after the other.

Reads what the API answers; writes what those requests ask for.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from phasegate.api.launch import Api
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import FollowUp, RequestFile

TIMEOUT_S = 60.0
CORRECT_IT = "Correct that request in [requests] of phasegate.toml, or what the API says of it"

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<name>\w+)\}")

Values = Mapping[str, str]
"""Drawn values, by column."""


def places_of(request: RequestFile | FollowUp) -> set[str]:
    """The columns that a request takes."""
    text = f"{request.path}\n{json.dumps([_texts(request.body), _texts(request.headers)])}"
    return {found["name"] for found in _PLACE.finditer(text) if found["name"]}


def check_places(id_: str, request: RequestFile, columns: set[str]) -> None:
    """Whether every column that a request takes is drawn, or of the answer before.

    Raises:
        ConfigurationError: one is not; it is named with its key.
    """
    steps: list[tuple[str, RequestFile | FollowUp, set[str]]] = [
        (f"requests.{id_}", request, columns)
    ]
    steps += [(f"requests.{id_}.then", step, columns | {step.each}) for step in request.then]
    for key, step, known in steps:
        unknown = sorted(places_of(step) - known)
        if unknown:
            raise ConfigurationError(
                f"phasegate.toml: {key}: there is no column {unknown[0]!r} to take",
                untouched="Nothing was measured",
                then=f"benchmarks/draw.sql gives {', '.join(sorted(columns))}",
            )


def _texts(body: Any) -> list[str]:
    if isinstance(body, str):
        return [body]
    if isinstance(body, dict):
        return [text for value in body.values() for text in _texts(value)]
    if isinstance(body, list):
        return [text for value in body for text in _texts(value)]
    return []


def _filled(text: str, values: Values, *, in_url: bool) -> str:
    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0][0]
        return quote(values[name], safe="") if in_url else values[name]

    return _PLACE.sub(value, text)


def _filled_body(body: Any, values: Values) -> Any:
    if isinstance(body, str):
        return _filled(body, values, in_url=False)
    if isinstance(body, dict):
        return {key: _filled_body(value, values) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled_body(value, values) for value in body]
    return body


class Client:
    """One connection to the API."""

    def __init__(self, api: Api) -> None:
        where = urlsplit(api.url)
        self._connection = http.client.HTTPConnection(
            where.hostname or "", where.port, timeout=TIMEOUT_S
        )
        self._key = api.anon_key

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def carry_out(self, request: RequestFile, token: str, values: Values) -> None:
        """Ask a request of the project, and what follows from its answer.

        Raises:
            CannotMeasure: the API refuses, fails or hangs up; or the answer has not the rows that
                the next request is to be made of.
        """
        answer = self._step(request, token, values)
        for step in request.then:
            try:
                found = dict.fromkeys(row[step.each] for row in answer)
            except (KeyError, TypeError):
                raise CannotMeasure(
                    f"{request.method} {urlsplit(request.path).path} does not answer rows with "
                    f"{step.each!r}",
                    then=CORRECT_IT,
                ) from None
            for value in found:
                if value is not None:
                    self._step(step, token, {**values, step.each: str(value)})

    def _step(self, step: RequestFile | FollowUp, token: str, values: Values) -> Any:
        path = _filled(step.path, values, in_url=True)
        more = _filled_body(step.headers, values)
        if step.prefer:
            more["Prefer"] = step.prefer
        return self.ask(token, step.method, path, _filled_body(step.body, values), more)

    def ask(
        self,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        """What one request answers, decoded; `more` are further headers.

        Raises:
            CannotMeasure: the API refuses, fails or hangs up.
        """
        headers = {"apikey": self._key, "Authorization": f"Bearer {token}"}
        sent = None
        if body is not None:
            sent = json.dumps(body)
            headers["Content-Type"] = "application/json"
        headers |= more or {}
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise CannotMeasure(
                f"{method} {urlsplit(path).path} is not answered: {error}", then=CORRECT_IT
            ) from error
        if answer.status >= http.client.BAD_REQUEST:
            raise CannotMeasure(
                f"{method} {urlsplit(path).path} is answered {answer.status}", then=CORRECT_IT
            )
        return json.loads(told) if told else None
