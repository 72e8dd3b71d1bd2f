"""Which requests may be sent to another machine, where only reads are allowed. Pure.

A request reads by its method, or because it is a GraphQL query, or because whoever started the
test says so (`--reads "POST /login,POST /rest/v1/rpc/*"`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from phasegate.load.answers import graphql_operation
from phasegate.model.address import Address
from phasegate.model.errors import UsageError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NAMED_MAX = 5
"""Requests that are named in a line."""


class NotSent(BaseException):
    """A request that may write was not sent.

    No `Exception`, so that a locustfile's own `except Exception` lets it through.
    """


@dataclass(frozen=True)
class ReadsOnly:
    """What holds a process to reads.

    Args:
        prefix: path of `--host`, which patterns may leave out.
        allowed: patterns of requests that read whatever their method, as `POST /login`.
    """

    prefix: str = ""
    allowed: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: str, said: str) -> ReadsOnly:
        """Read `said`, the value of `--reads`.

        Raises:
            UsageError: a pattern has no method or no path.
        """
        patterns = tuple(" ".join(one.split()) for one in said.split(",") if one.strip())
        for pattern in patterns:
            method, _, path = pattern.partition(" ")
            if not method.isalpha() or not path.startswith(("/", "*")):
                raise UsageError(
                    f"--reads: {pattern!r} is no method and path",
                    untouched="No request was sent",
                    then='Write it as "POST /login,POST /rest/v1/rpc/*"',
                )
        return cls(Address.of(host).prefix, patterns)

    def check(self, method: str, url: str, body: str | bytes | None) -> None:
        """Let a request pass.

        Raises:
            NotSent: it may write; which one, and what allows it, is said.
        """
        method, path = method.upper(), urlsplit(url).path or "/"
        if self._reads(method, path):
            return
        operation = graphql_operation(body)
        if operation is not None and operation[0] == "query":
            return
        what = f"{method} {path.removeprefix(self.prefix) or '/'}"
        named = f" (GraphQL {operation[0]} {operation[1]})" if operation else ""
        raise NotSent(
            f"{what}{named} is not sent, since it may write: allow writes (--allow-writes, no "
            f'--reads-only), or give --reads "{what}" where it changes nothing'
        )

    def written(self, accepted: Mapping[str, int]) -> str:
        """Which requests may have written, the most frequent first; empty where none has.

        Args:
            accepted: how many of each name, as `POST /orders`, were answered without an error.
        """
        found = {
            name: count
            for name, count in accepted.items()
            if count and not self._reads(*name.split(" ")[:2])
        }
        most = sorted(found, key=lambda name: (-found[name], name))
        named = [f"{name} {found[name]:,}" for name in most[:NAMED_MAX]]
        more = [f"{len(most) - NAMED_MAX} more"] if len(most) > NAMED_MAX else []
        return ", ".join(named + more)

    def _reads(self, method: str, path: str) -> bool:
        return method in SAFE or self._is_allowed(method, path)

    def _is_allowed(self, method: str, path: str) -> bool:
        paths = {path, path.removeprefix(self.prefix)}
        return any(
            fnmatchcase(f"{method} {one}", pattern) for one in paths for pattern in self.allowed
        )
