"""What an answer of status 200 may still be: nothing, cut short, or somebody else's. Pure.

Nothing here knows an app: rows are what arrays hold, owners are values of named columns, and whose
request it was is told by whoever sent it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

# Below it a body is a number or a flag, which may well be the same for everybody.
SAME_BYTES_MIN = 32
# Different users who got one and the same body; as many as a handful of test accounts has not.
SAME_USERS_MIN = 20

# Of each request so many answers are looked at, then every tenth: enough to find one in a hundred,
# and cheap.
LOOKED_FIRST = 100
LOOKED_EVERY = 10

# Longer answers show something: an array of nothing is short.
EMPTY_BYTES_MAX = 400

_CONTENT_RANGE = re.compile(rb"(?:\w+ )?(\d+)-(\d+)/(\d+)")
_LOCATION = re.compile(r"^(?:https?://[^/?#]*)?([^?#]*)")
_ID = re.compile(
    r"\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=.*\d)[0-9a-z_-]{16,}",
    re.IGNORECASE,
)
_OPERATION = re.compile(r"\b(query|mutation|subscription)\b\s*(\w*)")
_NO_CODE = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*')


class SameTally(msgspec.Struct):
    """Bodies of one request by whom they were sent to, until two of them differ."""

    names_user: bool = False
    """Whether the request names the user who sends it."""
    users: set[int] = msgspec.field(default_factory=set)
    bodies: set[int] = msgspec.field(default_factory=set)

    def add(self, user: str, body: bytes) -> None:
        """Count an answer; of many users some are kept."""
        if len(self.bodies) < 2:
            self.bodies.add(zlib.crc32(body))
        if len(self.users) < SAME_USERS_MIN:
            self.users.add(zlib.crc32(user.encode()))

    def merge(self, other: SameTally) -> None:
        """Add what `other` counted."""
        self.names_user |= other.names_user
        self.bodies |= other.bodies
        if len(self.users) < SAME_USERS_MIN:
            self.users |= other.users

    @property
    def has_enough(self) -> bool:
        """Whether so many users asked that one body says something."""
        return len(self.users) >= SAME_USERS_MIN

    @property
    def is_same(self) -> bool:
        """Whether everybody got the same bytes."""
        return self.has_enough and len(self.bodies) == 1


def same_for_all(tallies: Mapping[str, SameTally]) -> tuple[str, ...]:
    """Names of requests whose answers should differ by user, and do not.

    Those that name the user who sends them; or, where none names one, all of them, if not a single
    request of the test was ever answered differently.
    """
    enough = {name: tally for name, tally in tallies.items() if tally.has_enough}
    named = tuple(sorted(name for name, one in enough.items() if one.names_user and one.is_same))
    if named or not enough or not all(one.is_same for one in tallies.values()):
        return named
    return tuple(sorted(enough))


def shows_nothing(body: Any) -> bool | None:
    """Whether a decoded `body` shows a user nothing: no row anywhere, no text.

    `[]`, `null`, `{"data": {"notes": []}}` and `{"items": [], "total": 0, "page": 1}` show nothing.
    None where it cannot be told: a number, a flag, a text, an object without any array.
    """
    if body is None or body == {}:
        return True
    if isinstance(body, list):
        return all(one is None or one == [] for one in body)
    if not isinstance(body, dict):
        return None
    parts = [shows_nothing(value) for value in body.values() if isinstance(value, list | dict)]
    if any(part is False for part in parts):
        return False
    if any(isinstance(value, str) and value for value in body.values()):
        return None
    return True if any(part is True for part in parts) else None


def is_cut_short(body: bytes) -> bool:
    """Whether a body that begins as a JSON array or object does not end as one."""
    begins, ends = body.lstrip()[:1], body.rstrip()[-1:]
    return (begins == b"[" and ends != b"]") or (begins == b"{" and ends != b"}")


def is_short_page(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a list is shorter than was asked for, though there is more of it.

    By `Content-Range: 0-999/12000` and the `limit` of the query; without a `limit` (or a `Range`),
    all of it was asked for. A list whose whole length is not told (`0-999/*`) cannot be judged.
    """
    found = _CONTENT_RANGE.fullmatch(headers.get(b"content-range", b""))
    if found is None:
        return False
    first, last, whole = (int(part) for part in found.groups())
    try:
        limit = int(parse_qs(path.partition("?")[2]).get("limit", [str(whole)])[0])
    except ValueError:
        return False
    return last + 1 < whole and last + 1 - first < limit


def owners_pattern(columns: tuple[str, ...]) -> re.Pattern[bytes] | None:
    """Finds whose a row is in JSON text, by any of `columns`; None without any."""
    if not columns:
        return None
    names = b"|".join(re.escape(column.encode()) for column in columns)
    return re.compile(rb'"(?:' + names + rb')"\s*:\s*(?:"([^"\\]*)"|(\d+))')


def has_foreign_rows(body: bytes, owners: re.Pattern[bytes], user_id: str) -> bool:
    """Whether a row in `body` belongs to somebody else than that user."""
    own = user_id.encode().lower()
    return any((text or number).lower() != own for text, number in owners.findall(body))


def graphql_operation(body: str | bytes | None) -> tuple[str, str] | None:
    """Kind (`query`, `mutation`, …) and name of the GraphQL operation in a request's body.

    The name is empty where it has none. None: the body is no GraphQL request.
    """
    if not body or b'"query"' not in (body.encode() if isinstance(body, str) else body):
        return None
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return None
    document = _NO_CODE.sub("", asked["query"])
    top = "".join(_outside_braces(document))
    operations = _OPERATION.findall(top)
    wanted = asked.get("operationName")
    named = [one for one in operations if one[1] == wanted] if wanted else operations[:1]
    if named:
        return str(named[0][0]), str(named[0][1])
    return ("query", "") if document.lstrip().startswith("{") else ("unknown", str(wanted or ""))


def _outside_braces(document: str) -> list[str]:
    depth, kept = 0, []
    for one in document:
        depth += one == "{"
        if depth <= 0:
            kept.append(one)
        depth -= one == "}"
    return kept


def graphql_error(body: bytes) -> str:
    """What a GraphQL answer says went wrong; empty where nothing did."""
    if b'"errors"' not in body:
        return ""
    try:
        said = json.loads(body)
        return str(said["errors"][0]["message"]) if said["errors"] else ""
    except (ValueError, LookupError, TypeError):
        return ""


def template(path: str) -> str:
    """`path` without host, query and ids: what requests of one kind have in common."""
    found = _LOCATION.match(path)
    bare = found[1] if found else path
    return "/".join("{id}" if _ID.fullmatch(part) else part for part in bare.split("/")) or "/"
