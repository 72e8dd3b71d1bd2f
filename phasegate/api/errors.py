"""PostgREST's errors: the body {code, details, hint, message} and the status of each.

Codes, wording and the map from SQLSTATE to status are those of PostgREST v16 (its Error.hs). Where
it sends more than one code for what this service does not tell apart, that is said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        code: PostgREST's code (`PGRST…`) or PostgreSQL's SQLSTATE.
        message, details, hint: as PostgREST words them; `details` may be a list of objects.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: str | Sequence[Mapping[str, str]] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint

    def body(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(
            {
                "code": self.code,
                "details": self.details,
                "hint": self.hint,
                "message": self.message,
            }
        )

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers beyond those of every answer."""
        if self.status != 401:
            return []
        if self.code.startswith("PGRST3"):
            described = f'Bearer error="invalid_token", error_description="{self.message}"'
            return [(b"www-authenticate", described.encode("latin-1", "replace"))]
        return [(b"www-authenticate", b"Bearer")]


def unparsable(what: str, text: str, position: int, *, unexpected: str, expecting: str) -> ApiError:
    """A query parameter that PostgREST's grammar does not know; `position` counts from 0."""
    return ApiError(
        400,
        "PGRST100",
        f'"failed to parse {what} ({text})" (line 1, column {position + 1})',
        details=f"unexpected {unexpected} expecting {expecting}",
    )


def wrong_rpc_method(method: str) -> ApiError:
    """A function called by another method than GET, HEAD or POST."""
    return ApiError(405, "PGRST101", f"Cannot use the {method} method on RPC")


def invalid_body(message: str) -> ApiError:
    """A body that cannot be used; `message` says why."""
    return ApiError(400, "PGRST102", message)


def invalid_range(details: str) -> ApiError:
    """No rows can lie in what limit, offset and Range ask for."""
    return ApiError(416, "PGRST103", "Requested range not satisfiable", details=details)


def wrong_put_filters() -> ApiError:
    """A PUT that does not name its row by the primary key."""
    return ApiError(
        405,
        "PGRST105",
        "Filters must include all and only primary key columns with 'eq' operators",
    )


def unknown_schema(schema: str, exposed: str) -> ApiError:
    """A profile header that names a schema which is not exposed."""
    return ApiError(
        406,
        "PGRST106",
        f"Invalid schema: {schema}",
        hint=f"Only the following schemas are exposed: {exposed}",
    )


def unacceptable(media_types: str) -> ApiError:
    """An Accept header without a form that this service has."""
    return ApiError(406, "PGRST107", f"None of these media types are available: {media_types}")


def not_embedded(resource: str, alias: str | None = None) -> ApiError:
    """A filter, order or limit for an embed that `select` does not have under that name."""
    message = f"'{resource}' is not an embedded resource in this request"
    if alias is None:
        hint = f"Verify that '{resource}' is included in the 'select' query parameter."
        return ApiError(400, "PGRST108", message, hint=hint)
    return ApiError(
        400,
        "PGRST108",
        message,
        details="Target names are not allowed in filters if they have an alias",
        hint=f"Change '{resource}' to '{alias}' in filters, orders or limits.",
    )


def put_with_limit() -> ApiError:
    """A PUT with limit or offset."""
    return ApiError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")


def put_key_differs() -> ApiError:
    """A PUT whose body has another key than its filters."""
    return ApiError(400, "PGRST115", "Payload values do not match URL in primary key column(s)")


def not_singular(rows: int) -> ApiError:
    """One object was asked for, and the result is not one row."""
    return ApiError(
        406,
        "PGRST116",
        "Cannot coerce the result to a single JSON object",
        details=f"The result contains {rows} rows",
    )


def unsupported_method(method: str) -> ApiError:
    """A method that tables do not have."""
    return ApiError(405, "PGRST117", f"Unsupported HTTP method: {method}")


def order_not_to_one(origin: str, target: str) -> ApiError:
    """An order by a column of an embed that brings many rows."""
    return ApiError(
        400,
        "PGRST118",
        f"A related order on '{target}' is not possible",
        details=f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship",
    )


def bad_embed_filter(target: str) -> ApiError:
    """Anything but `is.null` and `not.is.null` asked of an embed."""
    return ApiError(
        400,
        "PGRST120",
        f"Bad operator on the '{target}' embedded resource",
        details="Only is null or not is null filters are allowed on embedded resources",
    )


def invalid_preferences(preferences: Sequence[str]) -> ApiError:
    """`Prefer: handling=strict` beside something unknown."""
    return ApiError(
        400,
        "PGRST122",
        "Invalid preferences given with handling=strict",
        details=f"Invalid preferences: {', '.join(preferences)}",
    )


def no_aggregates() -> ApiError:
    """An aggregate in `select`: switched off by default, as on Supabase."""
    return ApiError(400, "PGRST123", "Use of aggregate functions is not allowed")


def too_many_affected(rows: int) -> ApiError:
    """More rows than `Prefer: max-affected` allows."""
    return ApiError(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details=f"The query affects {rows} rows",
    )


def unknown_path() -> ApiError:
    """A path below no route."""
    return ApiError(404, "PGRST125", "Invalid path specified in request URL")


def no_openapi() -> ApiError:
    """The root, which would describe the schema."""
    return ApiError(404, "PGRST126", "Root endpoint metadata is disabled")


def not_implemented(details: str) -> ApiError:
    """A form that is PostgREST's, but not this service's."""
    return ApiError(400, "PGRST127", "Feature not implemented", details=details)


def no_relationship(parent: str, child: str, hint: str | None, suggested: str | None) -> ApiError:
    """An embed of what no foreign key leads to."""
    using = f"' using the hint '{hint}" if hint else ""
    return ApiError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{parent}' and '{child}' in the schema cache",
        details=(
            f"Searched for a foreign key relationship between '{parent}' and '{child}{using}'"
            " in the schema 'public', but no matches were found."
        ),
        hint=f"Perhaps you meant '{suggested}' instead of '{child}'." if suggested else None,
    )


def ambiguous_relationship(
    parent: str, child: str, found: Sequence[Mapping[str, str]], hints: Sequence[str]
) -> ApiError:
    """An embed of what several foreign keys lead to."""
    return ApiError(
        300,
        "PGRST201",
        "Could not embed because more than one relationship was found"
        f" for '{parent}' and '{child}'",
        details=found,
        hint=f"Try changing '{child}' to one of the following: {', '.join(hints)}."
        " Find the desired relationship in the 'details' key.",
    )


def unknown_function(name: str, arguments: Sequence[str], suggested: str | None) -> ApiError:
    """A call of a function that is not there, or not with these arguments."""
    listed = ", ".join(arguments)
    signature = f"({listed})" if arguments else " without parameters"
    plural = "s" if len(arguments) > 1 else ""
    searched = f" with parameter{plural} {listed}" if arguments else " without parameters"
    return ApiError(
        404,
        "PGRST202",
        f"Could not find the function public.{name}{signature} in the schema cache",
        details=f"Searched for the function public.{name}{searched} or with a single unnamed"
        " json/jsonb parameter, but no matches were found in the schema cache.",
        hint=f"Perhaps you meant to call the function public.{suggested}" if suggested else None,
    )


def ambiguous_function(candidates: Sequence[str]) -> ApiError:
    """A call that several functions of one name would take."""
    return ApiError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {', '.join(candidates)}",
        hint="Try renaming the parameters or the function itself in the database so function"
        " overloading can be resolved",
    )


def unknown_payload_column(relation: str, column: str) -> ApiError:
    """A key of the payload that is no column."""
    return ApiError(
        400,
        "PGRST204",
        f"Could not find the '{column}' column of '{relation}' in the schema cache",
    )


def unknown_relation(name: str, suggested: str | None) -> ApiError:
    """A path that names no table or view."""
    return ApiError(
        404,
        "PGRST205",
        f"Could not find the table 'public.{name}' in the schema cache",
        hint=f"Perhaps you meant the table 'public.{suggested}'" if suggested else None,
    )


def invalid_token(message: str, details: str | None = None) -> ApiError:
    """A token that is not accepted, for whatever reason.

    PostgREST up to v12 sends PGRST301 for all of them, and so does this service; later versions
    send PGRST303 for a claim (expired, other audience) of a token whose signature is right.
    """
    return ApiError(401, "PGRST301", message, details=details)


def database_unreachable(details: str) -> ApiError:
    """A connection could not be opened."""
    return ApiError(503, "PGRST000", "Database connection error.", details=details)


def database_lost(details: str) -> ApiError:
    """The connection broke while a request was using it."""
    return ApiError(
        503, "PGRST001", "Database client error. Retrying the connection.", details=details
    )


def no_catalogue() -> ApiError:
    """The database was never reachable so far."""
    return ApiError(503, "PGRST002", "Could not query the database for the schema cache. Retrying.")


def pool_exhausted() -> ApiError:
    """No connection became free in time."""
    return ApiError(504, "PGRST003", "Timed out acquiring connection from connection pool.")


def unknown_column(qualifier: str, column: str) -> ApiError:
    """As PostgreSQL would answer; names that the catalogue does not know are never sent to it."""
    return ApiError(400, "42703", f"column {qualifier}.{column} does not exist")


def unknown_type(name: str) -> ApiError:
    """A cast to what is not one of the types offered."""
    return ApiError(400, "42704", f'type "{name}" does not exist')


def no_where_clause(verb: str) -> ApiError:
    """Supabase loads pg-safeupdate: a change of every row must be asked for by a filter."""
    return ApiError(400, "21000", f"{verb} requires a WHERE clause")


def unknown_role(role: str) -> ApiError:
    """A token whose role is none of the API's."""
    return ApiError(401, "22023", f'role "{role}" does not exist')


def too_many_parameters(count: int) -> ApiError:
    """A request with more values than a statement can carry."""
    return ApiError(400, "54000", f"number of parameters must be between 0 and 65535, got {count}")


def too_large(limit_bytes: int) -> ApiError:
    """A body beyond the limit."""
    return ApiError(413, "PGRST102", f"The body is larger than {limit_bytes} bytes")


def no_api_key() -> ApiError:
    """What Supabase's gateway says before PostgREST is asked."""
    return ApiError(
        401,
        "PGRST301",
        "No API key found in request",
        hint="No `apikey` request header or url param was found.",
    )


def wrong_own_headers() -> ApiError:
    """The database set `response.headers` to what is not a list of headers."""
    return ApiError(
        500,
        "PGRST111",
        "response.headers guc must be a JSON array composed of objects with a single key and a"
        " string value",
    )


def wrong_own_status() -> ApiError:
    """The database set `response.status` to what is no status."""
    return ApiError(500, "PGRST112", "response.status guc must be a valid status code")


def gateway_timeout() -> ApiError:
    """What Supabase's gateway says when nothing else answers."""
    return ApiError(504, "PGRST003", "The upstream server is timing out")
