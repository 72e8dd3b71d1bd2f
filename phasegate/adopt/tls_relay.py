"""TLS for `pg_dump`: the one in the embedded server's wheel has none.

Listens on a free port of 127.0.0.1 while it lasts, and passes each connection on to the server,
encrypted as the address asks for it. Reads certificates that the address names; writes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from phasegate.model.dsn import SYSTEM_CERTIFICATES, USERS_ROOT_CERTIFICATE, Dsn
from phasegate.model.errors import CannotMeasure

# PostgreSQL manual, "SSLRequest": length, then the number that stands for the request.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
# PostgreSQL manual, "Message Formats": AuthenticationOk, AuthenticationSASL.
_AUTHENTICATED, _SASL = 0, 10
_BOUND = b"SCRAM-SHA-256-PLUS\0"
_CHUNK = 1 << 16
PORT = 5432
PLAIN = ("", "disable")
MAY_BE_PLAIN = ("allow", "prefer")


def is_needed(dsn: Dsn) -> bool:
    """Whether the address asks for TLS."""
    return dsn.parameters.get("sslmode", "") not in PLAIN


@asynccontextmanager
async def tls_relay(dsn: Dsn) -> AsyncIterator[int]:
    """The port of 127.0.0.1 behind which the server of `dsn` is.

    Raises:
        CannotMeasure: a certificate that the address names cannot be used.
    """
    context = _context(dsn)
    opened: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            there, back = await _connect(dsn, context)
            opened.append(back)
            await asyncio.gather(_pump(reader, back), _answer(there, writer))
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in opened:  # which ends those that still read
            writer.close()
        await asyncio.sleep(0)


def _context(dsn: Dsn) -> ssl.SSLContext:
    mode = dsn.parameters.get("sslmode", "")
    root = dsn.parameters.get("sslrootcert", "")
    verifies = mode in ("verify-ca", "verify-full")
    try:
        if not verifies:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif root == SYSTEM_CERTIFICATES:
            context = ssl.create_default_context()
        else:
            file = root or str(USERS_ROOT_CERTIFICATE.expanduser())
            context = ssl.create_default_context(cafile=file)
            context.check_hostname = mode == "verify-full"
        if dsn.parameters.get("sslcert"):
            context.load_cert_chain(
                dsn.parameters["sslcert"],
                dsn.parameters.get("sslkey"),
                dsn.parameters.get("sslpassword"),
            )
    except OSError as error:
        raise CannotMeasure(
            f"A certificate that the database URL names cannot be used: {error.strerror}",
            untouched="Nothing was written",
            then="Correct sslrootcert, sslcert or sslkey in the URL",
        ) from error
    return context


async def _connect(
    dsn: Dsn, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(dsn.host, dsn.port or PORT)
    writer.write(_SSL_REQUEST)
    if await reader.readexactly(1) == b"S":
        await writer.start_tls(context, server_hostname=dsn.host)
    elif dsn.parameters.get("sslmode") not in MAY_BE_PLAIN:
        writer.close()
        raise ConnectionError("the server has no TLS")
    return reader, writer


async def _answer(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """As `_pump`, without the offer of SCRAM that is bound to the channel.

    Libpq refuses that offer on a connection that is not encrypted, as the one to us is not.
    """
    is_offer = False
    while not is_offer:
        head = await source.readexactly(5)
        kind, length = struct.unpack("!cI", head)
        body = await source.readexactly(length - 4)
        is_offer = kind != b"R" or struct.unpack("!I", body[:4])[0] in (_AUTHENTICATED, _SASL)
        body = body.replace(_BOUND, b"") if kind == b"R" else body
        target.write(struct.pack("!cI", kind, len(body) + 4) + body)
    await _pump(source, target)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
    target.close()
