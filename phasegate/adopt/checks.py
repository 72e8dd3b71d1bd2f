"""CHECK constraints as limits of columns: values, ranges, lengths, patterns, one against another.

Pure. Reads expressions as `pg_get_expr` writes them, through sqlglot. A check is turned into
alternatives, each a list of conditions that make it hold; `seeding` needs one that fits the others.
A check holds where it is null, so a condition says nothing of rows in which its column is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from phasegate.adopt.expressions import (
    Condition,
    Unreadable,
    Value,
    call_of,
    column_of,
    is_literal,
    literal_of,
    unwrapped,
)

ALTERNATIVES_MAX = 64
"""More than this of one check are not looked through."""


Alternative = tuple[Condition, ...]

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_PREDICATES = (
    exp.Is, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In,
    exp.Between, exp.RegexpLike, exp.RegexpILike, exp.Like, exp.ILike,
)  # fmt: skip
_NOW = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Localtimestamp)
_LENGTHS = ("octet_length", "char_length", "character_length", "bit_length")
_SIZES = ("cardinality", "array_length", "jsonb_array_length", "json_array_length")


def alternatives(text: str) -> list[Alternative]:
    """The ways in which the expression `text` holds; empty where it never does.

    Raises:
        Unreadable: it says something else than the kinds of `Condition`.
    """
    try:
        tree = sqlglot.parse_one(text, dialect="postgres")
    except SqlglotError as error:
        raise Unreadable(text) from error
    return _ways(tree, wanted=True)


def _ways(  # noqa: C901, a case a kind of node
    node: exp.Expr, *, wanted: bool
) -> list[Alternative]:
    node = unwrapped(node) if isinstance(node, exp.Paren) else node
    if isinstance(node, exp.Paren):
        return _ways(node.this, wanted=wanted)
    if isinstance(node, exp.Not):
        return _ways(node.this, wanted=not wanted)
    if isinstance(node, exp.And | exp.Or):
        left, right = _ways_or_none(node.left, wanted), _ways_or_none(node.right, wanted)
        if isinstance(node, exp.And) == wanted:
            if left is None or right is None:
                raise Unreadable(node.sql("postgres"))
            return _both(left, right)
        return _either(node, left, right)
    if isinstance(node, exp.Boolean):
        return [()] if bool(node.this) == wanted else []
    bare = unwrapped(node)
    if isinstance(bare, exp.Boolean):
        return [()] if bool(bare.this) == wanted else []
    if isinstance(bare, exp.Column):
        return [(Condition(bare.name, "in", (wanted,)),)]
    if isinstance(node, exp.Is):
        return _null(node, wanted)
    if isinstance(node, exp.Between):
        low = exp.GTE(this=node.this, expression=node.args["low"])
        high = exp.LTE(this=node.this, expression=node.args["high"])
        return _ways(exp.And(this=low, expression=high), wanted=wanted)
    if isinstance(node, exp.In):
        values = tuple(literal_of(one) for one in node.expressions)
        return [(Condition(column_of(node.this), "in" if wanted else "not in", values),)]
    if isinstance(node, exp.RegexpLike | exp.RegexpILike | exp.Like | exp.ILike):
        return _pattern(node, wanted)
    if isinstance(node, exp.Binary) and type(node) in _OPERATORS:
        return _comparison(node, wanted)
    raise Unreadable(node.sql("postgres"))


def _ways_or_none(node: exp.Expr, wanted: bool) -> list[Alternative] | None:
    try:
        return _ways(node, wanted=wanted)
    except Unreadable:
        return None


def _either(
    node: exp.Expr, left: list[Alternative] | None, right: list[Alternative] | None
) -> list[Alternative]:
    """The ways of an OR: one side that is understood is enough."""
    if left is None and right is None:
        raise Unreadable(node.sql("postgres"))
    found = [*(left or []), *(right or [])]
    merged = _one_list(found)
    return [merged] if merged is not None else found[:ALTERNATIVES_MAX]


def _one_list(found: list[Alternative]) -> Alternative | None:
    """`a = 1 or a = 2` as one condition."""
    if not found or any(len(way) != 1 or way[0].kind != "in" for way in found):
        return None
    if len({way[0].column for way in found}) != 1:
        return None
    values = tuple(dict.fromkeys(value for way in found for value in way[0].value))
    return (Condition(found[0][0].column, "in", values),)


def _both(left: list[Alternative], right: list[Alternative]) -> list[Alternative]:
    if len(left) * len(right) > ALTERNATIVES_MAX:
        raise Unreadable("too many alternatives")
    return [(*one, *other) for one in left for other in right]


def _null(node: exp.Is, wanted: bool) -> list[Alternative]:
    value = node.expression
    is_wanted = wanted != bool(node.args.get("negate"))
    if isinstance(value, exp.Null):
        return [(Condition(column_of(node.this), "null", is_wanted),)]
    if isinstance(value, exp.Boolean):
        truth = bool(value.this)
        if is_wanted:
            return _ways(node.this, wanted=truth)
        return _ways(node.this, wanted=not truth)
    raise Unreadable(node.sql("postgres"))


def _pattern(node: exp.Expr, wanted: bool) -> list[Alternative]:
    text = literal_of(node.expression)
    if not wanted:
        # Most texts match no pattern that is forbidden: empty ones, blanks, control characters.
        forbidden = _from_like(str(text)) if isinstance(node, exp.Like | exp.ILike) else str(text)
        return [(Condition(column_of(node.this), "pattern", forbidden, "!"),)]
    if isinstance(node, exp.Like | exp.ILike):
        text = _from_like(str(text))
    is_blind = isinstance(node, exp.RegexpILike | exp.ILike)
    return [(Condition(column_of(node.this), "pattern", str(text), "i" if is_blind else ""),)]


def _from_like(text: str) -> str:
    found = "".join({"%": ".*", "_": "."}.get(letter) or re.escape(letter) for letter in text)
    return f"^{found}$"


def _comparison(node: exp.Binary, wanted: bool) -> list[Alternative]:
    operator = _OPERATORS[type(node)]
    operator = operator if wanted else _NEGATED[operator]
    left, right = node.left, node.right
    if isinstance(right, exp.Any | exp.All):
        return _list(left, right, operator)
    if isinstance(unwrapped(left), _PREDICATES) or isinstance(unwrapped(right), _PREDICATES):
        return _same_truth(left, right, operator)
    if is_literal(left) and not is_literal(right):
        left, right, operator = right, left, _FLIPPED[operator]
    for read in (_against_literal, _against_now, _same_case, _against_column, _computed):
        found = read(left, right, operator)
        if found is not None:
            return found
        if read is not _same_case and (
            (found := read(right, left, _FLIPPED[operator])) is not None
        ):
            return found
    raise Unreadable(node.sql("postgres"))


def _list(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative]:
    """`= any (array[…])`, `<> all (array[…])`."""
    array = unwrapped(right.this)
    if isinstance(array, exp.Array):
        values = tuple(literal_of(one) for one in array.expressions)
    else:
        text = literal_of(array)
        if not (isinstance(text, str) and text.startswith("{") and '"' not in text):
            raise Unreadable(right.sql("postgres"))
        values = tuple(text.strip("{}").split(","))
    if isinstance(right, exp.Any) and operator == "=":
        return [(Condition(column_of(left), "in", values),)]
    if isinstance(right, exp.All) and operator == "<>":
        return [(Condition(column_of(left), "not in", values),)]
    raise Unreadable(right.sql("postgres"))


def _same_truth(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative]:
    """Two predicates that are to be equally true, or not."""
    if operator not in ("=", "<>"):
        raise Unreadable(left.sql("postgres"))
    found = []
    for truth in (True, False):
        other = truth if operator == "=" else not truth
        found += _both(_ways(left, wanted=truth), _ways(right, wanted=other))
    return found


def _against_literal(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative] | None:
    if not is_literal(right):
        return None
    value = literal_of(right)
    bare = unwrapped(left)
    name, arguments = call_of(left)
    if isinstance(bare, exp.Column):
        return [(_limit(bare.name, value, operator),)]
    if isinstance(bare, exp.Length) or name in _LENGTHS:
        inner = bare.this if isinstance(bare, exp.Length) else arguments[0]
        trimmed = unwrapped(inner)
        inner = trimmed.this if isinstance(trimmed, exp.Trim) else inner
        return [(Condition(column_of(inner), "length", value, operator),)]
    if isinstance(bare, exp.ArraySize) or name in _SIZES:
        inner = bare.this if isinstance(bare, exp.ArraySize) else arguments[0]
        return [(Condition(column_of(inner), "size", value, operator),)]
    if isinstance(bare, exp.Trim) and value == "" and operator == "<>":
        return [(Condition(column_of(bare.this), "length", 1, ">="),)]
    if name in ("jsonb_typeof", "json_typeof") and operator == "=":
        return [(Condition(column_of(arguments[0]), "json", value),)]
    if name in ("num_nonnulls", "num_nulls"):
        return _counted(arguments, name == "num_nonnulls", value, operator)
    if isinstance(bare, exp.Extract) and str(bare.this).lower() == "year":
        return [_year(column_of(bare.expression), value, operator)]
    if isinstance(bare, exp.Coalesce):
        return _ways(_OF[operator](this=bare.this, expression=right), wanted=True)
    return None


_OF: dict[str, type[exp.Expr]] = {text: kind for kind, text in _OPERATORS.items()}


def _limit(column: str, value: Value, operator: str) -> Condition:
    if operator == "=":
        return Condition(column, "in", (value,))
    if operator == "<>":
        return Condition(column, "not in", (value,))
    kind = "low" if operator in (">", ">=") else "high"
    return Condition(column, kind, value, operator)


def _year(column: str, value: Value, operator: str) -> Alternative:
    year = int(value) + (operator in (">", "<="))
    day = f"{year:04d}-01-01"
    if operator == "=":
        end = f"{year + 1:04d}-01-01"
        return (Condition(column, "low", day, ">="), Condition(column, "high", end, "<"))
    if operator in (">", ">="):
        return (Condition(column, "low", day, ">="),)
    if operator in ("<", "<="):
        return (Condition(column, "high", day, "<"),)
    raise Unreadable(operator)


def _counted(
    arguments: list[exp.Expr], of_values: bool, value: Value, operator: str
) -> list[Alternative]:
    """`num_nonnulls(a, b) = 1`: each choice of columns that makes it so."""
    names = [column_of(one) for one in arguments]
    holds: dict[str, Callable[[int], bool]] = {
        "=": lambda n: n == value, "<>": lambda n: n != value, "<": lambda n: n < int(value),
        "<=": lambda n: n <= int(value), ">": lambda n: n > int(value),
        ">=": lambda n: n >= int(value),
    }  # fmt: skip
    found = []
    for number in range(1 << len(names)):
        filled = [bool(number >> place & 1) for place in range(len(names))]
        count = sum(filled) if of_values else len(names) - sum(filled)
        if holds[operator](count):
            found.append(
                tuple(
                    Condition(name, "null", not one)
                    for name, one in zip(names, filled, strict=True)
                )
            )
    return found[:ALTERNATIVES_MAX]


def _against_now(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative] | None:
    """A moment against the present, or so long before or after it."""
    moment = unwrapped(right)
    away = 0
    if isinstance(moment, exp.Add | exp.Sub):
        away = 1 if isinstance(moment, exp.Add) else -1
        moment = unwrapped(moment.left)
    if isinstance(moment, exp.Interval):
        return None
    if not (isinstance(moment, _NOW) or call_of(moment)[0] in ("now", "statement_timestamp")):
        return None
    if not isinstance(unwrapped(left), exp.Column):
        return None
    return [(Condition(column_of(left), "now", away, operator),)]


def _same_case(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative] | None:
    """`lower(a) = a`."""
    for one, other in ((unwrapped(left), unwrapped(right)), (unwrapped(right), unwrapped(left))):
        if (
            operator == "="
            and isinstance(one, exp.Lower | exp.Upper)
            and isinstance(other, exp.Column)
            and unwrapped(one.this) == other
        ):
            case = "lower" if isinstance(one, exp.Lower) else "upper"
            return [(Condition(other.name, "case", case),)]
        # The ends of a range are in order by themselves.
        if (
            isinstance(one, exp.Lower)
            and isinstance(other, exp.Upper)
            and unwrapped(one.this) == unwrapped(other.this)
        ):
            return [()]
    return None


def _against_column(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative] | None:
    one, other = unwrapped(left), unwrapped(right)
    if isinstance(one, exp.Column) and isinstance(other, exp.Column):
        return [(Condition(one.name, "order", other.name, operator),)]
    # `a < b + 1 day`: a ≤ b is enough; the other way round the distance would have to be known.
    if isinstance(one, exp.Column) and isinstance(other, exp.Add) and operator in ("<", "<="):
        base = unwrapped(other.left)
        if isinstance(base, exp.Column) and _is_positive(other.right):
            return [(Condition(one.name, "order", base.name, "<="),)]
    return None


def _is_positive(node: exp.Expr) -> bool:
    try:
        value = literal_of(node)
    except Unreadable:
        return isinstance(unwrapped(node), exp.Interval) and "-" not in node.sql("postgres")
    return not str(value).startswith("-")


def _computed(left: exp.Expr, right: exp.Expr, operator: str) -> list[Alternative] | None:
    """`total = price * pieces`, `total = net + tax`."""
    one, other = unwrapped(left), unwrapped(right)
    if operator != "=" or not isinstance(one, exp.Column):
        return None
    for kind, name in ((exp.Add, "sum"), (exp.Mul, "product")):
        if isinstance(other, kind):
            parts = tuple(_parts(other, kind))
            return [(Condition(one.name, name, parts),)]
    return None


def _parts(node: exp.Expr, kind: type[exp.Binary]) -> Iterable[str]:
    bare = unwrapped(node)
    if isinstance(bare, kind):
        yield from _parts(bare.left, kind)
        yield from _parts(bare.right, kind)
    else:
        yield column_of(bare)


def of_column(ways: list[Alternative], name: str) -> list[Alternative]:
    """The ways of a domain's check, which calls its value VALUE, for the column `name`."""
    return [tuple(replace(one, column=name) for one in way) for way in ways]
