"""The grammar of query parameters, after PostgREST's QueryParams.hs.

Text in, records of `api.query` out, or the error PGRST100 that names the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from phasegate.api import errors
from phasegate.api.query import (
    Column,
    Compare,
    Condition,
    Embed,
    Field,
    In,
    Is,
    JsonStep,
    Logic,
    Order,
    SelectItem,
    Term,
    Test,
    TextSearch,
    Value,
)
from phasegate.api.scanner import Scanner, element, elements_from, is_identifier, name, quoted

QUANTIFIABLE = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "isdistinct")
TEXT_SEARCH = ("fts", "plfts", "phfts", "wfts")
TRUTHS = ("null", "not_null", "true", "false", "unknown")

_OPERATOR = "operator (eq, gt, ...)"


def _json_path(scanner: Scanner) -> tuple[JsonStep, ...]:
    steps: list[JsonStep] = []
    while scanner.at("->"):
        as_text = scanner.take("->>")
        if not as_text:
            scanner.need("->")
        start = scanner.position
        sign = "-" if scanner.take("-") else ""
        digits = scanner.while_(str.isdecimal)
        if digits and (
            scanner.position == len(scanner.text) or scanner.text[scanner.position] in "-:.,)"
        ):
            steps.append(JsonStep(as_text, sign + digits, is_index=True))
            continue
        scanner.position = start
        if scanner.at('"'):
            key = quoted(scanner)
        else:
            key = scanner.while_(lambda character: character not in "(-:.,>)").strip()
        if not key:
            raise scanner.fail("any non reserved character different from: .,>()")
        steps.append(JsonStep(as_text, key, is_index=False))
    return tuple(steps)


def field(scanner: Scanner) -> Field:
    """A column and perhaps a path into it."""
    scanner.blanks()
    found = Field(name(scanner), _json_path(scanner))
    scanner.blanks()
    return found


def select(text: str) -> tuple[SelectItem, ...]:
    """The `select` parameter; empty means every column."""
    scanner = Scanner("select parameter", text)
    scanner.blanks()
    if not text.strip(" \t"):
        return ()
    items = _items(scanner)
    scanner.end('"," or end of input')
    return items


def _items(scanner: Scanner) -> tuple[SelectItem, ...]:
    scanner.blanks()
    if scanner.at(")"):
        return ()
    return scanner.separated(lambda: _item(scanner))


def _item(scanner: Scanner) -> SelectItem:
    scanner.blanks()
    if scanner.take("..."):
        return _embed(scanner, name(scanner), alias=None, spread=True)
    if scanner.take("*"):
        scanner.blanks()
        if scanner.position < len(scanner.text) and scanner.text[scanner.position] not in ",)":
            raise scanner.fail('")", "," or end of input')
        return Column(Field("*"))
    first = name(scanner)
    alias = None
    if scanner.at(":") and not scanner.at("::"):
        scanner.need(":")
        scanner.blanks()
        alias, first = first, name(scanner)
    if first == "count" and scanner.take("()"):
        raise errors.no_aggregates()
    if scanner.at("(") or scanner.at("!"):
        return _embed(scanner, first, alias=alias, spread=False)
    return _column(scanner, first, alias)


def _column(scanner: Scanner, column: str, alias: str | None) -> Column:
    path = _json_path(scanner)
    scanner.blanks()
    cast = _cast(scanner)
    if scanner.at("."):
        for aggregate in ("sum", "avg", "count", "max", "min"):
            if scanner.take(f".{aggregate}()"):
                raise errors.no_aggregates()
    scanner.blanks()
    if scanner.position < len(scanner.text) and scanner.text[scanner.position] not in ",)":
        raise scanner.fail('letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input')
    return Column(Field(column, path), alias, cast)


def _cast(scanner: Scanner) -> str | None:
    if not scanner.take("::"):
        return None
    cast = scanner.while_(is_identifier).strip()
    if not cast:
        raise scanner.fail("letter or digit")
    return cast


def _embed(scanner: Scanner, relation: str, *, alias: str | None, spread: bool) -> Embed:
    hint: str | None = None
    inner = False
    for _ in range(2):
        if not scanner.take("!"):
            break
        word = name(scanner)
        if word == "inner":
            inner = True
        elif word != "left":
            hint = hint or word
    items = scanner.inside(lambda: _items(scanner))
    scanner.blanks()
    return Embed(relation, items, alias, hint, inner, spread)


def order(text: str) -> tuple[Order, ...]:
    """The `order` parameter."""
    scanner = Scanner("order", text)
    terms = scanner.separated(lambda: _order_term(scanner))
    scanner.end('"," or end of input')
    return terms


def _order_term(scanner: Scanner) -> Order:
    found = field(scanner)
    relation: str | None = None
    if scanner.at("(") and not found.path:
        relation = found.name
        found = scanner.inside(lambda: field(scanner))
    direction: Literal["asc", "desc"] | None = None
    if scanner.take(".asc"):
        direction = "asc"
    elif scanner.take(".desc"):
        direction = "desc"
    nulls: Literal["first", "last"] | None = None
    if scanner.take(".nullsfirst"):
        nulls = "first"
    elif scanner.take(".nullslast"):
        nulls = "last"
    if scanner.at("."):
        scanner.need(".")
        raise scanner.fail('"asc", "desc", "nullsfirst" or "nullslast"')
    return Order(found, relation, direction, nulls)


def names(what: str, text: str) -> tuple[str, ...]:
    """The `columns` and `on_conflict` parameters."""
    scanner = Scanner(f"{what} parameter", text)

    def one() -> str:
        scanner.blanks()
        return name(scanner)

    found = scanner.separated(one)
    scanner.end('"," or end of input')
    return found


def path_of(text: str) -> tuple[tuple[str, ...], Field]:
    """The key of a filter, as `projects.name` or `data->>kind`: the embeds, then the column."""
    scanner = Scanner("tree path", text)
    parts = [name(scanner)]
    while scanner.take("."):
        parts.append(name(scanner))
    steps = _json_path(scanner)
    scanner.end('delimiter (.), "->>" or "->"')
    return tuple(parts[:-1]), Field(parts[-1], steps)


def test(text: str, pair: int | None) -> tuple[bool, Test]:
    """The value of a filter, as `not.eq.5`: whether it is negated, and what is asked."""
    scanner = Scanner("filter", text)
    negated = scanner.take("not.")
    found = _test(scanner, lambda: _rest(scanner, pair))
    scanner.end()
    return negated, found


def _rest(scanner: Scanner, pair: int | None) -> Value:
    value = Value(scanner.text[scanner.position :], pair)
    scanner.position = len(scanner.text)
    return value


def _test(scanner: Scanner, value: Callable[[], Value]) -> Test:
    if scanner.at("in."):
        scanner.need("in.")
        return In(_list(scanner, value))
    if scanner.take("is."):
        return _is(scanner)
    start = scanner.position
    operator = scanner.while_(str.isalpha)
    if operator in TEXT_SEARCH:
        language = scanner.inside(lambda: scanner.while_(is_identifier)) if scanner.at("(") else ""
        scanner.need(".", "delimiter (.)")
        return TextSearch(operator, Value(language) if language else None, value())
    if operator in SIMPLE:
        scanner.need(".", "delimiter (.)")
        return Compare(operator, value())
    if operator in QUANTIFIABLE:
        quantifier: Literal["any", "all"] | None = None
        if scanner.take("(any)"):
            quantifier = "any"
        elif scanner.take("(all)"):
            quantifier = "all"
        scanner.need(".", "delimiter (.)")
        return Compare(operator, value(), quantifier)
    scanner.position = start
    expecting = _OPERATOR if scanner.text[:start].endswith("not.") else f'"not" or {_OPERATOR}'
    raise scanner.fail(expecting)


def _is(scanner: Scanner) -> Is:
    start = scanner.position
    word = scanner.while_(lambda character: character.isalpha() or character == "_").lower()
    if word not in TRUTHS:
        scanner.position = start
        raise scanner.fail("isVal: (null, not_null, true, false, unknown)")
    return Is(word)


def _list(scanner: Scanner, value: Callable[[], Value]) -> Value:
    """A list is read to its end to know that it is one, and kept as text until it is bound."""
    start = scanner.position
    elements_from(scanner)
    end = scanner.position
    scanner.position = start
    kept = value()
    scanner.position = end
    return Value(scanner.text[start:end], kept.pair)


def logic(operator: str, text: str) -> Logic:
    """The `and` and `or` parameters: `operator` is `and`, `or`, `not.and` or `not.or`."""
    scanner = Scanner("logic tree", operator + text)
    found = _logic_term(scanner)
    scanner.blanks()
    scanner.end('"," or ")"')
    if not isinstance(found, Logic):  # as `or=der.eq.1`, which reads as column "order"
        scanner.position = len(operator)
        raise scanner.fail('"("')
    return found


def _logic_term(scanner: Scanner) -> Term:
    scanner.blanks()
    start = scanner.position
    negated = scanner.take("not.")
    for operator in ("and", "or"):
        after = scanner.position + len(operator)
        if scanner.at(operator) and scanner.text[after : after + 1].lstrip(" \t") in ("(", ""):
            scanner.position = after
            scanner.blanks()
            terms = scanner.inside(lambda: scanner.separated(lambda: _logic_term(scanner)))
            return Logic("and" if operator == "and" else "or", terms, negated)
    scanner.position = start
    found = field(scanner)
    scanner.need(".", "delimiter (.)")
    negated = scanner.take("not.")
    return Condition(found, _test(scanner, lambda: _logic_value(scanner)), negated)


def _logic_value(scanner: Scanner) -> Value:
    """A quoted text, an array literal, or whatever stands before `,` or `)`."""
    start = scanner.position
    if scanner.at("{"):
        closing = scanner.text.find("}", start)
        opening = scanner.text.find("{", start + 1)
        if closing > 0 and not start < opening < closing:
            scanner.position = closing + 1
            return Value(scanner.text[start : closing + 1])
    return Value(element(scanner))
