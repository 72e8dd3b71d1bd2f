"""Master and workers on several machines, played by network namespaces without a way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram

from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.stack.tokens import mint_key

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

SECRET = "a-secret-of-the-tests-that-is-32-bytes-long"  # noqa: S105 - opens nothing
MASTER, WORKERS = "10.77.0.1", ("10.77.0.2", "10.77.0.3")


def ip(*arguments: str, inside: str | None = None) -> None:
    where = ["-n", inside] if inside else []
    subprocess.run(["ip", *where, *arguments], check=True, capture_output=True)


@pytest.fixture
def machines() -> Iterator[tuple[str, str, str]]:
    """Names of three namespaces on one bridge: the master's and two workers'."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` program (Debian: apt-get install iproute2)")
    names = tuple(f"phasegate-{os.getpid()}-{n}" for n in range(3))
    with ExitStack() as undo:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode()}")
            undo.callback(ip, "netns", "del", name)
            ip("link", "set", "lo", "up", inside=name)
        ip("link", "add", "bridge", "type", "bridge", inside=names[0])
        ip("addr", "add", f"{MASTER}/24", "dev", "bridge", inside=names[0])
        ip("link", "set", "bridge", "up", inside=names[0])
        for n, address in enumerate(WORKERS, 1):
            ip("link", "add", f"to{n}", "type", "veth", "peer", "name", "eth0", inside=names[0])
            ip("link", "set", "eth0", "netns", names[n], inside=names[0])
            ip("link", "set", f"to{n}", "master", "bridge", "up", inside=names[0])
            ip("addr", "add", f"{address}/24", "dev", "eth0", inside=names[n])
            ip("link", "set", "eth0", "up", inside=names[n])
        yield names  # type: ignore[misc]


def test_what_two_machines_measured_is_merged_to_the_sum(
    machines: tuple[str, str, str], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "SUPABASE_ANON_KEY": mint_key(SECRET),
        "SUPABASE_JWT_SECRET": SECRET,
    }
    with ExitStack() as undo:

        def start(machine: str, *command: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                ["ip", "netns", "exec", machine, sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            undo.callback(process.wait)
            undo.callback(process.kill)
            return process

        program = str(Path(__file__).with_name("tiny_server.py"))
        server = start(machines[0], program, "--host", MASTER)
        assert server.stdout is not None
        url = f"http://{MASTER}:{int(server.stdout.readline())}"
        locust = ("-m", "locust", "-f", str(LOCUSTFILE))
        for machine in machines[1:]:
            start(machine, *locust, "--worker", "--master-host", MASTER)
        master = start(
            machines[0],
            *(*locust, "--master", "--headless", "--expect-workers", "2", "--host", url),
            *("--arrival-rate", "40", "--stage-duration", "2.5", "--think-time-scale", "0.05"),
            *("--ramp", "0.01", "--allow-writes", "--out", str(tmp_path), "--stage-name", "s"),
        )
        said, _ = master.communicate(timeout=60)
        assert master.returncode in (0, 3), said
        asked = "import sys,urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        counted = json.loads(start(machines[0], "-c", asked, f"{url}/counts").communicate()[0])
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert record.workers == 2
    assert record.workers_lost == 0
    by_machine = [counted["clients"][address] for address in WORKERS]
    assert min(by_machine) > 20
    requests = sum(endpoint.requests for endpoint in record.endpoints)
    assert requests == sum(by_machine) - counted["requests"]["DELETE tasks"]
    for endpoint in record.endpoints:
        merged = HdrHistogram.decode(endpoint.latency_hdr)
        assert merged.get_total_count() == endpoint.requests
