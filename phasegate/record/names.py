"""What requests, clicks, variables and sessions are called. Pure."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from phasegate.record.sources import singular
from phasegate.record.template import Many, Place, Request

# Names that a written file has already.
TAKEN = {
    "self",
    "rng",
    "click",
    "row",
    "pick",
    "day",
    "moment",
    "quote",
    "os",
    "random",
    "time",
    "uuid",
}

WORDS_MAX = 5


def request_name(request: Request, *, with_columns: bool = False) -> str:
    """As statistics call it, behind the method: the route without ids, PostgREST's filters kept.

    Args:
        request: it.
        with_columns: also what is selected, and in which order.
    """
    path, _, query = "".join(_placeholder(piece) for piece in request.pieces).partition("?")
    if request.is_graphql:
        return f"{path} {request.resource}"
    pairs = [pair for pair in query.split("&") if pair]
    kept = [
        pair
        for pair in pairs
        if _is_kept(request, pair) or (with_columns and pair.startswith(("select=", "order=")))
    ]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _placeholder(piece: str | Place | Many) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Many):
        return f"{{{piece.places[0].column}}}"
    return "{id}" if piece.where == "path" else f"{{{piece.column or piece.key}}}"


def _is_kept(request: Request, pair: str) -> bool:
    """Whether a parameter says what is asked for; a page's length and columns do not."""
    key = pair.partition("=")[0].rpartition(".")[2]
    if request.is_postgrest:
        return key not in ("select", "order", "limit", "offset", "columns", "on_conflict")
    return "{" in pair and key not in ("limit", "offset", "page", "per_page", "pageSize")


def click_name(requests: Iterable[Request]) -> str:
    """What the user did: `open notes`, `create note`, `change note`."""
    requests = list(requests)
    main = next((each for each in requests if each.writes), requests[0])
    if main.is_call or main.is_graphql:
        return words(main.resource)
    one = words(singular(main.resource))
    verb = {"POST": "create", "PATCH": "change", "PUT": "change", "DELETE": "delete"}.get(
        main.method
    )
    if verb and main.writes:
        return f"{verb} {one}"
    return f"open {one if is_of_one(main) else words(main.resource)}"


def is_of_one(request: Request) -> bool:
    """Whether it asks for a single row."""
    last = request.pieces[-1] if request.pieces else ""
    if isinstance(last, Place) and last.where == "path":
        return True
    if "pgrst.object" in request.exchange.header("accept"):
        return True
    return any(place.column == "id" and place.operator == "eq." for place in request.places())


def words(name: str) -> str:
    """`getOrderTotals` and `get_order_totals` are both `get order totals`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    found = re.findall(r"[A-Za-z0-9]+", spaced)[:WORDS_MAX]
    return " ".join(found).lower() or "root"


def identifier(name: str) -> str:
    """A name of Python's for `name`."""
    plain = words(name).replace(" ", "_")
    if (
        not plain[0].isalpha()
        or keyword.iskeyword(plain)
        or plain in TAKEN
        or hasattr(builtins, plain)
    ):
        plain = f"the_{plain}"
    return plain


class Names:
    """Hands out names, each once: the second `notes` is `notes_2`."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def new(self, wanted: str) -> str:
        """`wanted`, or it with the next number."""
        name = wanted
        while name in self._count:
            self._count[wanted] += 1
            name = f"{wanted}_{self._count[wanted]}"
        self._count[name] = 1
        return name
