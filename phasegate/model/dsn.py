"""Addresses of databases, as drivers, ORMs and dashboards write them, read once for every verb.

Reads the text, libpq's variables where the text leaves something open (PGHOST, PGSSLMODE,
PGSSLROOTCERT), and whether a certificate that it names is there. What comes out means the same to
asyncpg, libpq and psql. The password is quoted nowhere; a text that cannot be read is described
(`model.address`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from phasegate.model import address
from phasegate.model.address import UNREAD, decoded, refuse
from phasegate.model.errors import ConfigurationError

DATABASE_URL = "DATABASE_URL"
EXAMPLE = "postgresql://user:password@host:5432/name"
SCHEMES = ("postgresql", "postgres")

# What a server on another machine is asked with: encrypted, or not at all.
REMOTE_SSLMODE = "require"
# Trusts the certificates of this machine instead of a file of the server's own.
SYSTEM_CERTIFICATES = "system"
ROOT_CERTIFICATE = (
    "Download the server's certificate (Supabase: Database Settings, SSL Configuration) and give "
    f"sslrootcert=FILE, or sslrootcert={SYSTEM_CERTIFICATES} where a public authority signed it"
)
USERS_ROOT_CERTIFICATE = Path(".postgresql", "root.crt")

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING = ("verify-ca", "verify-full")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CHOICES = {
    "sslmode": SSLMODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": (
        "any",
        "read-write",
        "read-only",
        "primary",
        "standby",
        "prefer-standby",
    ),
}

# Where the address itself may be said behind the question mark, and what it is called there.
_PLACES = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "database": "database",
}
# What libpq and asyncpg both know by that name.
_KEPT = (
    "application_name",
    "options",
    "passfile",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslrootcert",
)
# What is passed over, by the reason that the user is told.
_PASSED_OVER = {
    "of another client's pool, statements or sockets": (
        *("connection_limit", "pool_timeout", "pool_max_conns", "pool_min_conns", "pool_mode"),
        *("max_idle_connection_lifetime", "single_use_connections", "pgbouncer"),
        *("statement_cache_size", "prepared_statements", "preparethreshold"),
        *("default_query_exec_mode", "socket_timeout", "sockettimeout", "binary_parameters"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "client_encoding", "fallback_application_name"),
        *("uselibpqcompat", "supa", "workaround", "sslidentity", "sslfactory"),
    ),
    "phasegate works in schema public": ("schema", "currentschema", "search_path"),
    "TLS is used without it": ("channel_binding",),
    "such a limit belongs to the role: alter role … set …": ("statement_timeout", "lock_timeout"),
}
_NO_GSS = "phasegate encrypts by TLS (sslmode)"
# By functions of their own, below.
_READ_ELSEWHERE = {"ssl", "sslaccept", "gssencmode", "connect_timeout", "connecttimeout"}
_READ_ELSEWHERE |= {"sslcert"}  # which sslaccept may have renamed
_REASONS = {name: why for why, names in _PASSED_OVER.items() for name in names}
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True)
class Dsn:
    """Where a database is, and how to reach it."""

    user: str | None
    password: str | None = field(repr=False)
    host: str
    """Without brackets; a folder with a socket; empty where the driver looks for a local one."""
    port: int | None
    database: str | None
    parameters: Mapping[str, str] = field(repr=False)
    """What libpq and asyncpg both understand, and `connect_timeout` (s) and `gssencmode`."""
    remarks: tuple[str, ...] = ()
    """What was passed over, in sentences for the user; no value is quoted."""

    @classmethod
    def of(
        cls,
        text: str,
        name: str = "The database URL",
        environment: Mapping[str, str] | None = None,
    ) -> Dsn:
        """The address in `text`.

        Args:
            text: as somebody pasted it.
            name: of the setting that holds it, for the messages.
            environment: where libpq's variables are; the process's own if None.

        Raises:
            ConfigurationError: it is no address of a database, or names a certificate that is not
                there. Nothing of it is quoted.
        """
        environment = os.environ if environment is None else environment
        plain, words = address.bare(text)
        remarks = list(address.left_out(name, words))
        parts = address.split(plain.removeprefix("jdbc:"), name, EXAMPLE)
        if parts.scheme.partition("+")[0] not in SCHEMES:
            refuse(name, "it does not begin with postgresql://", f"Write it as {EXAMPLE}")
        given = _pairs(parts.query, name)
        found = {
            "user": _decoded(parts.user, name, "the user's name"),
            "password": _decoded(parts.password, name, "the password", secret=True),
            "database": _decoded(parts.path.removeprefix("/"), name, "the database's name"),
        }
        host, port = parts.host, parts.port
        for alias, part in _PLACES.items():
            value = given.pop(alias, "")
            if part == "host" and value:
                host = address.host_of(quote(value), name)
            elif part == "port" and value:
                port = address.port_of(value, name)
            elif value:
                found[part] = value
        if found["password"] in ("[YOUR-PASSWORD]", "YOUR_PASSWORD", "YOUR-PASSWORD"):
            refuse(name, "its password is still the placeholder", "Put the password there")
        host = host or environment.get("PGHOST", "")
        parameters, more = _parameters(given, name)
        return cls(
            **found,
            host=host,
            port=port,
            parameters=_encrypted(parameters, host, name, environment),
            remarks=(*remarks, *more),
        )

    @property
    def url(self) -> str:
        """The address as every driver reads it. The password is in it."""
        user = quote(self.user or "", safe="")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        at = "@" if user or password else ""
        said = dict(self.parameters)
        if self._is_socket:
            said |= {"host": self.host} if self.host else {}
            said |= {"port": str(self.port)} if self.port is not None else {}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items())
        place = f"{user}{password}{at}{self._place}"
        return f"postgresql://{place}{self._path}{'?' if query else ''}{query}"

    @property
    def shown(self) -> str:
        """The address without password and parameters: fit for logs and screens."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        return f"postgresql://{user}{self._place}{self._path}"

    @property
    def _place(self) -> str:
        if self._is_socket:
            return ""
        return address.bracketed(self.host) + ("" if self.port is None else f":{self.port}")

    @property
    def _is_socket(self) -> bool:
        return not self.host or self.host.startswith("/")

    @property
    def _path(self) -> str:
        return "" if self.database is None else f"/{quote(self.database, safe='')}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return address.is_loopback(self.host)

    def at(
        self, *, host: str | None = None, port: int | None = None, database: str | None = None
    ) -> Dsn:
        """The same with another host, port or database."""
        return replace(
            self,
            host=self.host if host is None else host,
            port=self.port if port is None else port,
            database=self.database if database is None else database,
        )

    def keywords(self) -> dict[str, str]:
        """The address as libpq's keywords and values. The password is in it."""
        said = {
            "host": self.host,
            "port": "" if self.port is None else str(self.port),
            "user": self.user or "",
            "password": self.password or "",
            "dbname": self.database or "",
        }
        return {name: value for name, value in said.items() if value} | dict(self.parameters)


def _decoded(text: str | None, name: str, part: str, *, secret: bool = False) -> str | None:
    return decoded(text, name, part, secret=secret) if text else None


def _pairs(query: str, name: str) -> dict[str, str]:
    """Names and values behind the question mark; of a name said twice the last."""
    pairs = {}
    for piece in query.split("&"):
        key, _, value = piece.partition("=")
        if piece:
            secret = key.lower() in ("password", "sslpassword")
            pairs[decoded(key, name, "a parameter's name")] = decoded(
                value, name, "a parameter's value", secret=secret
            )
    return pairs


def _parameters(given: Mapping[str, str], name: str) -> tuple[dict[str, str], list[str]]:
    """What is honoured, and words for what is not.

    A name that nobody knows is not quoted: it may be the end of a password with an & in it.
    """
    said = {key.lower(): value for key, value in given.items() if value}
    if {"service", "servicefile"} & said.keys():
        refuse(name, "it names a service file", f"Write the address itself, as {EXAMPLE}")
    kept = {key: value for key, value in said.items() if key in _CHOICES or key in _KEPT}
    kept |= _timeout(said, name)
    passed: dict[str, list[str]] = {}
    for key in said.keys() & _REASONS.keys():
        passed.setdefault(_REASONS[key], []).append(key)
    gss = said.get("gssencmode")
    if gss == "disable":
        kept["gssencmode"] = gss
    elif gss is not None:
        passed[_NO_GSS] = ["gssencmode"]
    _take_synonyms(kept, said)
    _check_choices(kept, name)
    remarks = [
        f"{name}: passed over {', '.join(sorted(keys))}: {why}"
        for why, keys in sorted(passed.items())
    ]
    if unknown := len(said.keys() - kept.keys() - _REASONS.keys() - _READ_ELSEWHERE):
        parameters = "a parameter" if unknown == 1 else f"{unknown} parameters"
        remarks.append(f"{name}: passed over {parameters} that PostgreSQL does not know")
    return kept, remarks


def _timeout(said: Mapping[str, str], name: str) -> dict[str, str]:
    """Seconds; 0, libpq's "for ever", leaves the limit that each verb has of its own."""
    value = said.get("connect_timeout") or said.get("connecttimeout") or "0"
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        refuse(name, "connect_timeout is not a number of seconds", "Write it as connect_timeout=10")
    return {"connect_timeout": str(int(value))} if int(value) else {}


def _take_synonyms(kept: dict[str, str], said: Mapping[str, str]) -> None:
    """What others call sslmode: `ssl` (JDBC, node-postgres), `sslaccept` (Prisma)."""
    ssl = said.get("ssl", "").lower()
    if kept.get("sslmode") == "no-verify":  # node-postgres
        kept["sslmode"] = "require"
    if "sslmode" not in kept and ssl in (*_TRUE, *SSLMODES, "no-verify"):
        kept["sslmode"] = ssl if ssl in SSLMODES else "require"
    elif "sslmode" not in kept and ssl in _FALSE:
        kept["sslmode"] = "disable"
    if said.get("sslaccept") == "strict":
        if "sslcert" in kept and "sslkey" not in kept:  # Prisma's word for the root's
            kept["sslrootcert"] = kept.pop("sslcert")
        kept["sslmode"] = "verify-full"
        kept.setdefault("sslrootcert", SYSTEM_CERTIFICATES)


def _check_choices(kept: Mapping[str, str], name: str) -> None:
    for key, choices in _CHOICES.items():
        if key in kept and kept[key] not in choices:
            refuse(name, f"{key} is not one of {', '.join(choices)}", f"Correct {key}")


def _encrypted(
    parameters: dict[str, str], host: str, name: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """`parameters` with the sslmode in force, whose certificate is there."""
    if not address.is_loopback(host):
        parameters.setdefault("sslmode", environment.get("PGSSLMODE") or REMOTE_SSLMODE)
        _check_choices(parameters, f"{name} with PGSSLMODE")
    mode = parameters.get("sslmode") or environment.get("PGSSLMODE", "")
    root = parameters.get("sslrootcert") or environment.get("PGSSLROOTCERT", "")
    if root == SYSTEM_CERTIFICATES:
        parameters["sslmode"] = "verify-full"  # libpq allows no weaker one with it
        return parameters
    if root and not os.access(root, os.R_OK):
        raise ConfigurationError(
            f"{name}: the root certificate that sslrootcert names cannot be read",
            untouched=UNREAD,
            then=ROOT_CERTIFICATE,
        )
    if mode in VERIFYING and not root and not _users_root_certificate(environment):
        raise ConfigurationError(
            f"{name}: sslmode={mode} needs a root certificate, and there is none",
            untouched="Nothing was sent",
            then=ROOT_CERTIFICATE,
        )
    return parameters


def _users_root_certificate(environment: Mapping[str, str]) -> bool:
    home = environment.get("HOME")
    return home is not None and os.access(Path(home) / USERS_ROOT_CERTIFICATE, os.R_OK)


def redact(text: str) -> str:
    """The address in `text` without its password; a description where it cannot be read."""
    try:
        return Dsn.of(text).shown
    except ConfigurationError:
        return "a database URL that cannot be read"


# Drivers' words where no server answered: by errno (asyncpg), by its text (libpq), or by time.
_NO_WAY = (
    *(f"[Errno {number}]" for number in (errno.ENETUNREACH, errno.EHOSTUNREACH)),
    *(os.strerror(number) for number in (errno.ENETUNREACH, errno.EHOSTUNREACH)),
    *("Cannot assign requested address", "TimeoutError", "timeout expired", "Address family"),
)


# What mends it, by words that are in asyncpg's and libpq's reason.
_MENDED = {
    f"[Errno {errno.ECONNREFUSED}]": "Start the server, or correct host and port",
    os.strerror(errno.ECONNREFUSED): "Start the server, or correct host and port",
    "password authentication failed": "Correct user and password",
    "does not exist": "Create it, or correct its name in the address",
}


def advice(dsn: Dsn, reason: str) -> str:
    """What to do where a connection to `dsn` failed with a driver's `reason`; empty: nobody knows.

    Asks the resolver; sends nothing to the server.
    """
    if "rejected SSL upgrade" in reason or "does not support SSL" in reason:
        return (
            "The server has no TLS, which a server on another machine is asked for: enable it, or "
            "add sslmode=disable to the address where the way there is private"
        )
    if "certificate verify failed" in reason:
        return ROOT_CERTIFICATE
    if any(words in reason for words in _NO_WAY) and address.is_ipv6_only(dsn.host):
        return address.POOLER_HINT
    return next((then for words, then in _MENDED.items() if words in reason), "")
