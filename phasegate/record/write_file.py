"""The whole locustfile: imports, helpers, one class, a method for each kind of visit. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phasegate.record.expressions import Expressions
from phasegate.record.names import Names, identifier, request_name
from phasegate.record.planner import Planner
from phasegate.record.python_text import INDENT, literal
from phasegate.record.visit import Visit
from phasegate.record.write_request import RequestWriter, Shared
from phasegate.record.write_visit import VisitWriter

_HELPERS = {
    "pick": '''
def pick(rng: random.Random, rows: Any, *keys: str) -> Any:
    """One of the rows that have all of these; None where none has."""
    fit = [row for row in rows or () if all(row.get(key) is not None for key in keys)]
    return rng.choice(fit) if fit else None
''',
    "moment": '''
def moment(days: float = 0) -> str:
    """So many days from now, as the API writes times."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
''',
    "day": '''
def day(days: float = 0) -> str:
    """The date so many days from now."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
''',
}

DRAWN_ROWS = 100
"""As many rows as a visit draws from, where no answer of the recording named a key."""


@dataclass(frozen=True)
class Planned:
    """One kind of visit: what it does, how often it was recorded, what it was recorded as."""

    visit: Visit
    weight: int
    source: str
    """The file's name without its ending."""


def locustfile(planned: list[Planned]) -> tuple[str, list[str]]:
    """The text of a locustfile, and what its reader should know.

    Args:
        planned: kinds of visits.
    """
    shared = Shared()
    methods: list[str] = []
    drawing: dict[str, list[str]] = {}
    helpers: set[str] = set()
    secrets: set[str] = set()
    marks: set[str] = set()
    taken = Names()
    attributes = Names()
    for kind in planned:
        names = Names()
        expressions = Expressions(kind.visit, names, attributes)
        lines = VisitWriter(kind.visit, expressions, shared, names).lines()
        methods.append(_method(kind, taken.new(_method_name(kind)), lines))
        marks |= {"writes"} if kind.visit.writes else set()
        drawing |= _drawing(expressions, shared)
        helpers |= expressions.helpers
        secrets |= expressions.secrets
    signing = next((kind.visit for kind in planned if kind.visit.sign_in is not None), None)
    signs_in = [] if signing is None else _signing_in(signing, shared, helpers, secrets)
    on_start = _on_start(signs_in, drawing)
    body = "\n\n".join([on_start, *methods] if on_start else methods)
    shared.imports |= {"writes"} if marks else set()
    text = f"{_head(planned, shared, helpers, secrets, bool(drawing))}\n\n{_CLASS}{body}\n"
    return text, shared.findings


_CLASS = '''class AppUser(SessionUser):
    """Somebody with the app open."""

    think_s = 1.0
    """Before the next click, as recorded."""

    def wait_time(self) -> float:
        """Think times as recorded."""
        return self.think_s

'''


def _method(kind: Planned, name: str, lines: list[str]) -> str:
    visit = kind.visit
    requests, clicks = len(visit.requests), len(visit.clicks)
    pad = INDENT
    head = [f'{pad}@tag("{"write" if visit.writes else "read"}")']
    if visit.writes:
        head.append(f"{pad}@writes")
    head += [
        f"{pad}@task({kind.weight})",
        f"{pad}def {name}(self) -> None:",
        f'{pad}{INDENT}"""{_count(clicks, "click")}, {_count(requests, "request")} as recorded."""',
    ]
    return "\n".join([*head, *lines])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _method_name(kind: Planned) -> str:
    """After the file, where its name says what was done; browsers call it after the host."""
    plain = kind.source
    if re.fullmatch(r"[A-Za-z][A-Za-z _-]{2,30}", plain) and plain.lower() not in (
        "localhost",
        "har",
    ):
        return identifier(plain)
    return "visit"


def _drawing(expressions: Expressions, shared: Shared) -> dict[str, list[str]]:
    """By attribute: the lines of `on_start` that draw it."""
    found = {}
    for (resource, column), attribute in expressions.drawn.items():
        request = next(
            step.request for step in expressions.visit.steps if step.request.resource == resource
        )
        pad = INDENT * 2
        if request.is_postgrest and not request.is_call:
            base = request.exchange.path.rpartition("/")[0]
            path = f"{base}/{resource}"
            shared.imports.add("Rows")
            found[attribute] = [
                f"{pad}rows = self.client.get(",
                f'{pad}    "{path}?select={column}&limit={DRAWN_ROWS}",',
                f'{pad}    name="{path} (drawn)",',
                f"{pad}    expects=Rows(),",
                f"{pad}).json()",
                f'{pad}row = pick(self.rng, rows, "{column}")',
                f'{pad}self.{attribute} = row["{column}"] if row else None',
            ]
            shared.findings.append(
                f"{column} of {resource}: no earlier answer named it, so it is drawn from what the "
                "user may see (on_start)"
            )
        else:
            values = sorted(expressions.drawn_values[resource, column], key=str)
            kept = literal(values, 8, len(attribute) + 22)
            found[attribute] = [
                f"{pad}# No earlier answer named it: the recorded one. Put those of your data in.",
                f"{pad}self.{attribute} = self.rng.choice({kept})",
            ]
            shared.findings.append(
                f"{column or 'id'} of {resource}: no earlier answer named it; put keys of your "
                f"data into on_start ({attribute})"
            )
    return found


def _signing_in(visit: Visit, shared: Shared, helpers: set[str], secrets: set[str]) -> list[str]:
    """The lines of `on_start` that sign in."""
    sign_in = visit.sign_in
    assert sign_in is not None  # noqa: S101 - the caller chose a visit that has one
    alone = Visit(visit.person, [sign_in.request], [], [])
    Planner(alone, frozenset()).steps_of([0])
    expressions = Expressions(alone, Names(), Names())
    pad = INDENT * 2
    writer = RequestWriter(expressions, shared)
    by_cookie = sign_in.path is None
    kept = "" if by_cookie else "signed = "
    lines = writer.lines(alone.steps[0], kept, pad, joined={}, at=0, decoded=not by_cookie)
    helpers |= expressions.helpers
    secrets |= expressions.secrets
    if sign_in.path is None:
        lines.append(f"{pad}self.client.always({{}})  # the cookie alone, which is sent by itself")
    else:
        token = "signed" + "".join(f"[{key!r}]" for key in sign_in.path)
        value = f'f"{sign_in.prefix}{{{token}}}"'
        lines.append(f'{pad}self.client.always({{"{sign_in.header}": {value}}})')
    shared.findings.append(
        f"POST {request_name(sign_in.request)}: each user signs in (on_start), by the address and "
        "the password that stand there"
    )
    return lines


def _on_start(signs_in: list[str], drawing: dict[str, list[str]]) -> str:
    if not drawing and not signs_in:
        return ""
    what = [*(["Sign in"] if signs_in else []), *(["choose what it is about"] if drawing else [])]
    said = " and ".join(what)
    lines = [
        f"{INDENT}def on_start(self) -> None:",
        f'{INDENT * 2}"""{said[0].upper() + said[1:]}; nobody waits for it."""',
        *signs_in,
    ]
    return "\n".join([*lines, *(line for part in drawing.values() for line in part)])


def _head(
    planned: list[Planned], shared: Shared, helpers: set[str], secrets: set[str], draws: bool
) -> str:
    clicks = sum(len(kind.visit.clicks) for kind in planned)
    lines = [
        f'"""Sessions as recorded: {_count(len(planned), "visit")} of {_count(clicks, "click")}.',
        "",
        "    locust -f loadtests/locustfile.py --host URL",
        "",
        "docs/project/loadtests.md says what the class offers. Comments say what was guessed.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    text_of_all = helpers | ({"pick"} if draws else set())
    plain = {"os": bool(secrets), "random": "pick" in text_of_all}
    plain |= {name: name in helpers for name in ("time", "uuid")}
    lines += [f"import {name}" for name, used in sorted(plain.items()) if used]
    if helpers & {"moment", "day"}:
        lines.append("from datetime import UTC, datetime, timedelta")
    lines.append("from typing import Any")
    if "quote" in helpers:
        lines.append("from urllib.parse import quote")
    lines += ["", "from locust import tag, task", ""]
    lines += _imports(sorted(shared.imports, key=_as_ruff_sorts))
    if secrets:
        lines += ["", "# Secrets of the recording are in no file: the environment tells them."]
        lines += [f'{name} = os.environ["{name}"]' for name in sorted(secrets)]
    for name, text in _HELPERS.items():
        if name in text_of_all:
            lines += ["", text.rstrip("\n")]
    return "\n".join(lines) + "\n"


def _imports(names: list[str]) -> list[str]:
    one_line = f"from phasegate.load import {', '.join(names)}"
    if len(one_line) <= 100:
        return [one_line]
    return ["from phasegate.load import (", *(f"{INDENT}{name}," for name in names), ")"]


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)
