"""The headers that shape an answer: Prefer, Accept, Range, the profiles.

Pure; PostgREST's Preferences.hs, MediaType.hs and RangeQuery.hs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

from phasegate.api import errors
from phasegate.api.compiler import Count, Format

_KNOWN = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
_OPEN = ("timezone", "max-affected")


@dataclass(frozen=True, slots=True)
class Preferences:
    """The Prefer header; the first mention of each counts."""

    resolution: Literal["merge-duplicates", "ignore-duplicates"] | None = None
    representation: Literal["representation", "minimal", "headers-only"] | None = None
    count: Count | None = None
    missing: Literal["default", "null"] | None = None
    strict: bool = False
    lenient: bool = False
    max_affected: int | None = None
    invalid: tuple[str, ...] = ()

    def applied(self, *names: str) -> str:
        """The Preference-Applied header: those of `names` that were asked for."""
        values = {
            "resolution": self.resolution,
            "missing": self.missing,
            "return": self.representation,
            "count": self.count,
            "handling": "strict" if self.strict else "lenient" if self.lenient else None,
            "max-affected": self.max_affected if self.strict else None,
        }
        return ", ".join(f"{name}={values[name]}" for name in names if values[name] is not None)


@lru_cache(maxsize=256)
def preferences(header: str) -> Preferences:
    """What a Prefer header asks for.

    Raises:
        ApiError: PGRST122, `handling=strict` and something unknown.
    """
    found: dict[str, str] = {}
    invalid: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if value in _KNOWN.get(name, ()) or (name in _OPEN and value):
            found.setdefault(name, value)
        elif part.strip():
            invalid.append(part.strip())
    if found.get("handling") == "strict" and invalid:
        raise errors.invalid_preferences(invalid)
    most = found.get("max-affected", "")
    return Preferences(
        found.get("resolution"),  # type: ignore[arg-type]
        found.get("return"),  # type: ignore[arg-type]
        found.get("count"),  # type: ignore[arg-type]
        found.get("missing"),  # type: ignore[arg-type]
        found.get("handling") == "strict",
        found.get("handling") == "lenient",
        int(most) if most.isascii() and most.isdigit() else None,
        tuple(invalid),
    )


@dataclass(frozen=True, slots=True)
class Media:
    """The form of the answer."""

    format: Format
    strip_nulls: bool
    content_type: bytes


_ARRAY = Media("array", strip_nulls=False, content_type=b"application/json; charset=utf-8")
_OBJECT = b"application/vnd.pgrst.object+json"
_STRIPPED = b"; nulls=stripped"
_CHARSET = b"; charset=utf-8"


@lru_cache(maxsize=256)
def media(accept: str) -> Media:
    """The first form in an Accept header that this service has.

    Raises:
        ApiError: PGRST107.
    """
    if not accept.strip():
        return _ARRAY
    for part in accept.split(","):
        kind, *options = (piece.strip().lower() for piece in part.split(";"))
        stripped = "nulls=stripped" in options
        if kind in ("*/*", "application/json", "application/*"):
            return _ARRAY
        if kind in ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array"):
            if not stripped:
                return _ARRAY
            array = b"application/vnd.pgrst.array+json"
            return Media("array", strip_nulls=True, content_type=array + _STRIPPED + _CHARSET)
        if kind in ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object"):
            shown = _OBJECT + (_STRIPPED if stripped else b"") + _CHARSET
            return Media("object", strip_nulls=stripped, content_type=shown)
    raise errors.unacceptable(accept)


_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{0,18})")


class Window(msgspec.Struct, frozen=True):
    """Rows `offset` … `offset + limit - 1`; `limit` None for all."""

    offset: int = 0
    limit: int | None = None


def window(header: str, limit: int | None, offset: int | None, rows_max: int | None) -> Window:
    """The rows that `limit`, `offset` and a Range header have in common, at most `rows_max`.

    Raises:
        ApiError: PGRST103, they have none, or a limit is negative.
    """
    start, end = offset or 0, None if limit is None else (offset or 0) + limit
    if start < 0 or (limit is not None and limit < 0):
        raise errors.invalid_range("Limit should be greater than or equal to zero.")
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is not None and limit != 0:
        first, last = int(found[1]), int(found[2]) + 1 if found[2] else None
        if last is not None and last <= first:
            raise errors.invalid_range(
                "The lower boundary must be lower than or equal to the upper boundary in the"
                " Range header."
            )
        start = max(start, first)
        end = last if end is None else end if last is None else min(end, last)
        if end is not None and end <= start:
            raise errors.invalid_range("Limit should be greater than or equal to zero.")
    wanted = None if end is None else end - start
    if rows_max is not None:
        wanted = rows_max if wanted is None else min(wanted, rows_max)
    return Window(start, wanted)


def content_range(first: int, rows: int, total: int | None) -> str:
    """`0-19/312`, `0-19/*`, `*/0`."""
    shown = "*" if total is None else str(total)
    if rows == 0 or total == 0:
        return f"*/{shown}"
    return f"{first}-{first + rows - 1}/{shown}"


def range_status(first: int, rows: int, total: int | None) -> int:
    """206 only where a count was asked for and the page is short of it; 416 past the end."""
    if total is None:
        return 200
    if first > total:
        return 416
    return 206 if rows < total else 200
