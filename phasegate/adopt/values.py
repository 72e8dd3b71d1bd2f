"""How a column without a foreign key is drawn: by its type, its name, and what the checks leave.

Pure. Gives a declaration of `seed/population.toml` as plain values, or says why there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from phasegate.adopt.expressions import Value
from phasegate.adopt.facts import ColumnFacts
from phasegate.adopt.limits import LENGTH_MAX, Limits
from phasegate.adopt.shape import Column, Type
from phasegate.adopt.spans import INTEGERS, NUMBERS, Unfilled, number_span
from phasegate.adopt.texts import SECRETS, Wanted, choices_for, snake, text_for

Declaration = str | dict[str, Any]
"""What stands behind a column's name in `population.toml`."""

TEXTS = ("text", "varchar", "bpchar", "citext", "name", "char", "xml")
MOMENTS = ("timestamptz", "timestamp", "date")
RANGES = ("int4", "int8", "num", "date", "ts", "tstz")
SEEDED = ("2025-01-01", "2025-12-31")
"""Days that rows are spread over."""
FEW_VALUES_MAX = 12
"""A text with so few different values in the source is one of a list."""
VARIED = 2_000
"""A text with more different values in the source is put together of several words."""

IN_ORDER = 0.9
"""A correlation with the order on disk above this is that of keys in the order of time."""
BIRTHS = re.compile(r"birth|dob$|born")
FUTURE = re.compile(
    r"expir|due|deadline|start|begin|end|until|valid_to|scheduled|trial|renew|next|from|to$"
)
RARE = re.compile(r"delet|archiv|cancel|ban|suspend|remov|revok|block|fail|refund")


@dataclass(frozen=True)
class Asked:
    """What is asked of a column.

    Attributes:
        column: of the schema.
        limits: of the checks.
        facts: of the source, where there are any.
        unique: `table` or `owner` where no value may come twice there; empty elsewhere.
        of: name of its table.
        has_moment: whether rows of its table have a moment of their own, which keys can follow.
    """

    column: Column
    limits: Limits
    facts: ColumnFacts | None = None
    unique: str = ""
    of: str = ""
    has_moment: bool = False

    @property
    def name(self) -> str:
        """Of the column, in small letters."""
        return snake(self.column.name)

    @property
    def is_in_order(self) -> bool:
        """Whether the source's rows lie in the order of its values: keys that follow time."""
        return self.facts is not None and (self.facts.correlation or 0.0) > IN_ORDER


def value_for(asked: Asked) -> Declaration:
    """How the column is drawn, nulls aside.

    Raises:
        Unfilled: nothing is known that it would take.
    """
    kind, limits = asked.column.type, asked.limits
    if limits.computed is not None:
        return {limits.computed[0]: list(limits.computed[1])}
    if limits.values is not None:
        return _choice(asked, limits.values)
    if kind.name == "enum":
        return _choice(asked, kind.labels)
    for names, make in _BY_TYPE:
        if kind.name in names:
            return make(asked)
    if (
        kind.kind in ("r", "m")
        and kind.name.removesuffix("multirange").removesuffix("range") in RANGES
    ):
        return _range(asked)
    if kind.category == "A" and kind.element is not None:
        return _array(asked, kind.element)
    return _literals(asked)


def _choice(asked: Asked, values: tuple[Value, ...]) -> Declaration:
    if asked.column.type.name == "bool":
        if asked.unique:
            return {"by_number": list(values)}
        return {"value": values[0]} if len(values) == 1 else _boolean(asked)
    if asked.unique == "table":
        return {"choice": list(values), "unique": True}
    if asked.unique == "owner":
        return {"choice": list(values), "unique": "owner"}
    if len(values) == 1:
        return {"value": values[0]}
    default = re.match(r"'?(.*?)'?(::|$)", asked.column.default)
    usual = default[1] if default is not None else ""
    if all(isinstance(value, str) and value for value in values) and usual in values:
        return {"choice": {str(value): 3 if value == usual else 1 for value in values}}
    return {"choice": list(values)}


def _boolean(asked: Asked) -> Declaration:
    if asked.unique:
        return {"by_number": [True, False]}
    default = asked.column.default
    return {"share": 0.2 if default == "false" else 0.8 if default == "true" else 0.5}


def _uuid(asked: Asked) -> Declaration:
    """In the order of time where the default or the source's pages say so."""
    return "uuid7" if asked.is_in_order or "v7" in asked.column.default.lower() else "uuid4"


def _text(asked: Asked) -> Declaration:
    column, facts = asked.column, asked.facts
    kind = column.type
    if kind.name == "xml":
        return {"text": "<text>{word}</text>"}
    if kind.name == "char":
        return {"choice": ["a", "b", "c"]}
    if (
        asked.name == "locale"
        and not asked.unique
        and asked.limits == Limits()
        and not kind.length_max
    ):
        return "locale"
    is_short = not asked.limits.patterns and asked.limits.length == (0, LENGTH_MAX)
    if not asked.unique and is_short:
        few = _few(asked)
        if few and all(not kind.length_max or len(value) <= kind.length_max for value in few):
            return _choice(
                asked, tuple(value for value in few if value not in asked.limits.excluded)
            )
    width = None if facts is None else facts.avg_width
    varied = facts is not None and not 0 <= facts.n_distinct <= VARIED
    wanted = Wanted(kind.length_max, asked.limits, bool(asked.unique), width, varied)
    if SECRETS.search(asked.name) and is_short and wanted.most >= 32:
        size = min(max(32, (width or 41) - 1), wanted.most, 512)
        return {"pattern": f"[0-9a-f]{{{size}}}", **({"unique": True} if asked.unique else {})}
    found = text_for(column.name, asked.of, wanted)
    if found is None:
        raise Unfilled("no text is known that it takes")
    return found


def _few(asked: Asked) -> tuple[str, ...]:
    """Values that the name suggests, as many as the source has, where these are few."""
    facts = asked.facts
    if facts is not None and 0 < facts.n_distinct <= FEW_VALUES_MAX:
        found = choices_for(asked.column.name, round(facts.n_distinct))
        short = sum(map(len, found)) / len(found) + 4 < facts.avg_width
        return tuple(f"{asked.name}.{value}" for value in found) if short else found
    if facts is not None:
        return ()
    default = re.match(r"'([^']+)'", asked.column.default)
    found = choices_for(asked.column.name)
    if default is not None and (found or len(default[1]) <= FEW_VALUES_MAX):
        return (default[1], *(value for value in found if value != default[1]))
    return found


def _number(asked: Asked) -> Declaration:
    kind = asked.column.type
    is_whole = kind.name in INTEGERS
    low, high = number_span(kind, asked.limits, asked.name)
    if asked.unique and asked.limits.order == () and low <= 1 and (high > 1e6 or _is_open(asked)):
        if asked.unique == "owner":
            return "number"
        ordered = asked.column.is_numbered or asked.is_in_order
        in_order = ordered and kind.name == "int8" and asked.has_moment
        return "snowflake" if in_order and asked.limits.high is None else "identity"
    decimals = 0 if is_whole else 2 if kind.scale < 0 else min(kind.scale, 9)
    declared: dict[str, Any] = {"uniform": [_plain(low), _plain(high)]}
    if not is_whole and decimals != 2:
        declared["decimals"] = decimals
    if asked.unique:
        declared["unique"] = True if asked.unique == "table" else "owner"
    return declared


def _is_open(asked: Asked) -> bool:
    return asked.limits.high is None


def _plain(number: float) -> int | float:
    return int(number) if float(number).is_integer() else round(number, 9)


def _moment(asked: Asked) -> Declaration:
    """A moment that stands for itself; those along the owner's life are `adopt.moments`'."""
    limits = asked.limits
    if asked.unique:
        whole_days = asked.column.type.name == "date"
        return {"every_h": 24.0 if whole_days else 1.0, "unique": True}
    low, high = SEEDED
    if BIRTHS.search(asked.name):
        low, high = "1950-01-01", "2006-12-31"
    for operator, away in limits.now:
        if operator in (">", ">="):
            low, high = "2090-01-01", "2095-01-01"
        elif away < 0:
            low, high = "1950-01-01", "2000-01-01"
    least = str(limits.low)[:10] if limits.low is not None else low
    most = str(limits.high)[:10] if limits.high is not None else high
    if not least < most:
        least, most = (
            (least, f"{int(least[:4]) + 1}{least[4:]}")
            if limits.high is None
            else (f"{int(most[:4]) - 1}{most[4:]}", most)
        )
    if limits.low_open and limits.low is not None:
        least = f"{least}T00:00:01" if asked.column.type.name != "date" else _next_day(least)
    return {"between": [least, most]}


def _next_day(day: str) -> str:
    import datetime as dt

    return str(dt.date.fromisoformat(day) + dt.timedelta(days=1))


def _seconds(asked: Asked) -> Declaration:
    if asked.unique:
        return {"uniform": [0, 86_400], "unique": True}
    return {"uniform": [0, 86_399]}


def _json(asked: Asked) -> Declaration:
    if asked.unique:
        raise Unfilled("it is to be unique, and is json")
    match asked.limits.json:
        case "array":
            fewest = max(asked.limits.size[0], 0)
            return {"json": [{"text": "{word}"}] * min(max(fewest, 1), asked.limits.size[1])}
        case "string" | "number" | "boolean":
            return {"value": {"string": "text", "number": 1, "boolean": True}[asked.limits.json]}
    if asked.limits.size[0] > 0 or asked.column.default.startswith("'[]'"):
        return {"json": [{"text": "{word}"}] * max(asked.limits.size[0], 1)}
    return {"json": {"note": {"text": "{word}"}, "count": {"uniform": [0, 100]}}}


def _random(asked: Asked) -> Declaration:
    kind = asked.column.type
    size = {"bit": kind.length_max or 1, "varbit": min(kind.length_max or 16, 64)}.get(kind.name)
    if size is None:
        size = kind.dimensions or 16
    if asked.unique and kind.name != "bytea":
        raise Unfilled(f"it is to be unique, and is of type {kind.name}")
    fewest, most = asked.limits.length
    if kind.name == "bytea" and (fewest, most) != (0, LENGTH_MAX):
        size = min(max(size, fewest), most)
    return {"random": size}


def _address(asked: Asked) -> Declaration:
    prefix = {"inet": "10.0.0.0/8", "cidr": "10.0.0.0/8"}.get(asked.column.type.name, "02:42")
    if asked.unique:
        raise Unfilled(f"it is to be unique, and is of type {asked.column.type.name}")
    return {"address": prefix}


def _geometric(_: Asked) -> Declaration:
    return {"uniform": [0, 100]}


def _words(asked: Asked) -> Declaration:
    if asked.unique:
        raise Unfilled(f"it is to be unique, and is of type {asked.column.type.name}")
    text = {"tsvector": "{word} {word} {word}", "tsquery": "{word}", "ltree": "top.{first_name}"}
    return {"text": text[asked.column.type.name]}


def _range(asked: Asked) -> Declaration:
    if asked.unique:
        # One behind the other: the type has an end, so the next begins soon.
        return {"range": {"low": [0, 0], "size": [1, 4]}, "unique": True}
    return {"range": {"low": [0, 10_000], "size": [1, 10]}}


def _array(asked: Asked, element: Type) -> Declaration:
    if asked.unique:
        raise Unfilled("it is to be unique, and is an array")
    name = asked.column.name.removesuffix("s")
    inner = value_for(Asked(Column(name, element), Limits()))
    if isinstance(inner, str) or "json" in inner or "array" in inner:
        inner = {"text": "{word}"} if element.name in TEXTS else {"value": _example(element)}
    fewest, most = asked.limits.size
    fewest = min(fewest, 64)
    return {"array": inner, "length": [fewest, min(most, max(4, fewest))]}


_EXAMPLES = {
    "uuid": "00000000-0000-4000-8000-000000000000", "hstore": "a=>1", "pg_lsn": "0/16B3748",
    "jsonpath": "$.a", "txid_snapshot": "10:20:10,14,15", "pg_snapshot": "10:20:10,14,15",
    "cube": "(1,2,3)", "isbn": "0-306-40615-7", "regclass": "pg_class", "bool": "true",
    "geometry": "SRID=4326;POINT(13.4 52.5)", "geography": "SRID=4326;POINT(13.4 52.5)",
    "date": "2025-06-01", "timestamptz": "2025-06-01T12:00:00", "timestamp": "2025-06-01T12:00:00",
    "time": "12:00", "timetz": "12:00+00", "interval": "1 day", "money": "12.50", "bit": "1",
    "varbit": "1", "bytea": "abc", "inet": "10.0.0.1", "json": "{}", "jsonb": "{}",
    "point": "(1,2)",
    "macaddr": "02:42:00:00:00:01", "tsvector": "word", "lquery": "a.*", "ltxtquery": "a",
}  # fmt: skip


def _example(kind: Type) -> str:
    """A value of a type, as PostgreSQL reads it."""
    if kind.labels:
        return kind.labels[0]
    if kind.fields:
        return "(" + ",".join(_example(field) for _, field in kind.fields) + ")"
    if kind.name in NUMBERS:
        return "1"
    if kind.name in TEXTS:
        return "a"
    found = _EXAMPLES.get(kind.name)
    if found is None:
        raise Unfilled(f"no value of type {kind.name} is known")
    return found


def _literals(asked: Asked) -> Declaration:
    if asked.unique:
        raise Unfilled(f"it is to be unique, and is of type {asked.column.type.name}")
    if asked.column.type.checks:
        raise Unfilled(f"its domain has a check, and is of type {asked.column.type.name}")
    return {"value": _example(asked.column.type)}


_BY_TYPE = (
    (TEXTS, _text),
    (("bool",), _boolean),
    (("uuid",), _uuid),
    (NUMBERS, _number),
    (MOMENTS, _moment),
    (("time", "timetz", "interval"), _seconds),
    (("json", "jsonb"), _json),
    (("bytea", "bit", "varbit", "vector", "halfvec"), _random),
    (("inet", "cidr", "macaddr", "macaddr8"), _address),
    (("point", "line", "lseg", "box", "path", "polygon", "circle"), _geometric),
    (("tsvector", "tsquery", "ltree"), _words),
)
