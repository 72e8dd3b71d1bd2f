"""A small server that answers as a host's metrics endpoint does, on figures that a test sets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LABELS = 'supabase_project_ref="abcdefghijklmnopqrst",service_type="db"'


def text(
    second: float,
    *,
    busy: float = 0.35,
    iowait: float = 0.0,
    steal: float = 0.0,
    iops: float = 200.0,
    mb_s: float = 2.0,
    more: str = "",
) -> str:
    """What a host of two cores says after `second` seconds at those shares and rates."""
    modes = {"user": busy, "iowait": iowait, "steal": steal, "idle": 1 - busy - iowait - steal}
    cpu = "\n".join(
        f'node_cpu_seconds_total{{{LABELS},cpu="{core}",mode="{mode}"}} {1000 + share * second}'
        for core in (0, 1)
        for mode, share in modes.items()
    )
    return f"""# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
{cpu}
# TYPE node_disk_reads_completed_total counter
node_disk_reads_completed_total{{{LABELS},device="nvme0n1"}} {500 + iops * second}
node_disk_reads_completed_total{{{LABELS},device="loop3"}} {9e6 * second}
# TYPE node_disk_written_bytes_total counter
node_disk_written_bytes_total{{{LABELS},device="nvme1n1"}} {mb_s * 1e6 * second}
# TYPE node_memory_MemTotal_bytes gauge
node_memory_MemTotal_bytes{{{LABELS}}} 2e+09
# TYPE node_memory_MemAvailable_bytes gauge
node_memory_MemAvailable_bytes{{{LABELS}}} 5e+08
# TYPE pgbouncer_pools_client_active_connections gauge
pgbouncer_pools_client_active_connections{{{LABELS},database="postgres",user="a"}} 7
pgbouncer_pools_client_active_connections{{{LABELS},database="postgres",user="b"}} 5
{more}
"""


@dataclass
class Replay:
    """What was asked of the server, and what it answers."""

    port: int
    status: int = 200
    bodies: list[str] = field(default_factory=list)
    """In turn; the last one again and again."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Authorization."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"


@contextmanager
def replaying(*bodies: str, status: int = 200) -> Iterator[Replay]:
    """A server on a free port of loopback while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = min(len(replay.asked), len(replay.bodies) - 1)
            replay.asked.append((self.path, self.headers.get("Authorization")))
            body = replay.bodies[at].encode() if replay.bodies else b""
            self.send_response(replay.status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    replay = Replay(server.server_port, status, list(bodies))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield replay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
