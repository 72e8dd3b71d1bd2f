"""`/rest/v1`: which route a request takes."""

from __future__ import annotations

from phasegate.api import errors
from phasegate.api import mutate_handler as changing
from phasegate.api import rpc_handler as calling
from phasegate.api import select_handler as reading
from phasegate.api.catalogue import Catalogue
from phasegate.api.context import Context, Statements
from phasegate.api.database import Database
from phasegate.api.http import Answer, Request
from phasegate.api.identity import Identity
from phasegate.api.parameters import shape, split
from phasegate.api.preferences import media, preferences

STALE = frozenset({"42703", "PGRST200", "PGRST202", "PGRST204", "PGRST205"})
"""Errors that a table, column or function made a moment ago would explain."""

PREFIX_CALL = "rpc/"


class Rest:
    """The routes under `/rest/v1`."""

    def __init__(self, *, rows_max: int) -> None:
        self._rows_max = rows_max
        self._statements = Statements()

    async def answer(
        self, request: Request, identity: Identity, database: Database, path: str
    ) -> Answer:
        """Answer `request` for what follows `/rest/v1/`.

        Raises:
            ApiError: PostgREST's.
        """
        catalogue = await database.catalogue()
        try:
            return await self._route(request, identity, database, catalogue, path)
        except errors.ApiError as error:
            if error.code not in STALE:
                raise
            fresh = await database.catalogue(fresh=True)
            if fresh is catalogue:
                raise
        return await self._route(request, identity, database, fresh, path)

    async def _route(
        self,
        request: Request,
        identity: Identity,
        database: Database,
        catalogue: Catalogue,
        path: str,
    ) -> Answer:
        _check_profile(request)
        pairs = split(request.query)
        context = Context(
            request,
            identity,
            database,
            catalogue,
            self._statements,
            self._rows_max,
            pairs,
            shape(pairs),
            preferences(request.header(b"prefer")),
            media(request.header(b"accept")),
        )
        if path.startswith(PREFIX_CALL):
            return await calling.answer(context, path[len(PREFIX_CALL) :])
        if "/" in path:
            raise errors.unknown_path()
        if not path:
            raise errors.no_openapi()
        relation = catalogue.relations.get(path)
        if relation is None:
            raise errors.unknown_relation(path, catalogue.similar_relation(path))
        if request.method in ("GET", "HEAD"):
            return await reading.answer(context, relation)
        if request.method in ("POST", "PATCH", "PUT", "DELETE"):
            return await changing.answer(context, relation)
        if request.method == "OPTIONS":
            return Answer(200, headers=[(b"allow", b"OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE")])
        raise errors.unsupported_method(request.method)


def _check_profile(request: Request) -> None:
    name = b"accept-profile" if request.method in ("GET", "HEAD") else b"content-profile"
    schema = request.header(name)
    if schema and schema != "public":
        raise errors.unknown_schema(schema, "public")
