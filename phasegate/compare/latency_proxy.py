"""A TCP proxy that makes round trips longer, in a process of its own.

    python -m phasegate.compare.latency_proxy

Arguments: host and port to pass on to, milliseconds to hold back what the client sends. Prints the
port of 127.0.0.1 that it listens on; ends when its standard input does. All of the delay is in one
direction: PostgreSQL's protocol asks and answers in turn, so a round trip sees only the sum.

A blocking thread per direction and not an event loop: timers of loops count in whole milliseconds,
`time.sleep` is late by 0.05 to 0.1 ms. What a round trip really takes is measured and recorded
beside the result (`compare.connections`).
"""

from __future__ import annotations

import socket
import sys
import threading
import time

CHUNK_BYTES = 1 << 16


def _pass_on(source: socket.socket, target: socket.socket, delay_s: float) -> None:
    try:
        while chunk := source.recv(CHUNK_BYTES):
            if delay_s:
                time.sleep(delay_s)
            target.sendall(chunk)
    except OSError:
        pass  # either side hung up: the other hears of it below
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was down already


def _serve(listener: socket.socket, host: str, port: int, delay_s: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, port))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for ends in ((client, server, delay_s), (server, client, 0.0)):
            threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def main() -> None:
    """Listen, say where, and pass on until standard input ends."""
    host, port, delay_ms = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    serving = (listener, host, port, delay_ms / 1000)
    threading.Thread(target=_serve, args=serving, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
