"""From PostgreSQL's SQLSTATE to an HTTP status: PostgREST v16, Error.hs, mapSQLtoHTTP. Pure."""

from __future__ import annotations

# By SQLSTATE, then by class. Everything else is the caller's: 400.
_STATUS_BY_STATE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
}
_STATUS_BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "21": 500,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


def status_of(sqlstate: str, message: str, *, anonymous: bool) -> int:
    """HTTP status for an error that PostgreSQL reports while a statement runs."""
    if sqlstate == "42501":
        return 401 if anonymous else 403
    if sqlstate == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    if sqlstate == "21000" and message.endswith("requires a WHERE clause"):
        return 400
    if sqlstate.startswith("PT"):  # raised on purpose, with the status in it
        chosen = sqlstate[2:]
        return int(chosen) if chosen.isdigit() and 200 <= int(chosen) < 600 else 500
    return _STATUS_BY_STATE.get(sqlstate) or _STATUS_BY_CLASS.get(sqlstate[:2], 400)
