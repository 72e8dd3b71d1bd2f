"""Runs one stage of load in a child process and returns its record.

Spawns Locust (`phasegate.load`), headless, with the project's locustfile; hands everything over by
environment, so that no secret shows in the process list; writes `<out>/<stage>.json` and
`<out>/<stage>.log`. Imports no locust and no gevent: callers may use asyncio.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from phasegate.load.stages import rate_with_enough_sessions
from phasegate.model.errors import CannotMeasure, ConfigurationError, ExitCode, PhasegateError
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.load import Connections, LoadRecord

# Connections are opened and statements prepared before anything is counted.
WARM_UP_S = 2.0

# A stage of seconds with think times of minutes would see no session to its end. At a twentieth,
# a session of six clicks lasts 1.5 s; the load is that of the same arrivals all the same.
THINK_TIME_SCALE = 0.05

# Over and above the stage: start of the interpreter, drain, removal of rows.
OVERHEAD_S = 90.0

# In front of what the generator says when it does not begin (`load.locust_events`).
ERROR_MARK = "/ERROR/phasegate.load: "

# For a generator that was told to end: an interrupted drain, and the removal of rows.
END_S = 30.0


@dataclass(frozen=True)
class Target:
    """An API to drive."""

    url: str
    anon_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)


@dataclass(frozen=True)
class RemoteLimits:
    """How a target that somebody else runs, and pays for, is treated."""

    ramp_s: float
    """Seconds over which the arrival rate rises from 0."""
    request_budget: int
    """No more requests than that are sent."""
    allow_writes: bool = False
    """Whether sessions that write are driven too; what they wrote is removed."""
    users_file: Path | None = None
    """Users to act as; the seeder's if None."""
    reads: str = ""
    """Requests that change nothing, though they are no GET: `POST /login,POST /rest/v1/rpc/*`."""

    @property
    def options(self) -> dict[str, str]:
        """As the generator takes them."""
        options = {"RAMP": repr(self.ramp_s), "REQUEST_BUDGET": str(self.request_budget)}
        options["ALLOW_WRITES" if self.allow_writes else "READS_ONLY"] = "true"
        if self.reads:
            options["READS"] = self.reads
        if self.users_file is not None:
            options["USERS_FILE"] = str(self.users_file.resolve())
        return options


def run_stage(
    target: Target,
    *,
    stage: str,
    project: Project,
    level: int,
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
    users: int,
    seed: int,
    duration_s: float,
    arrival_rate_per_s: float,
    out: Path,
    think_time_scale: float = THINK_TIME_SCALE,
    warm_up_s: float = WARM_UP_S,
    processes: int = 1,
    enough_sessions: bool = True,
    limits: RemoteLimits | None = None,
    connections: Connections = "keep-alive",
    interval_s: float = 0.0,
) -> LoadRecord:
    """Drive `target` with sessions that arrive at `arrival_rate_per_s` for `duration_s`.

    Args:
        target: where, and the keys to it.
        stage: name of the record.
        project: whose sessions are driven.
        level: stack level of the target, whose parts the sessions go by.
        added: parts of the target or its client besides the level's.
        removed: parts of the level that they lack.
        users: registered users of the data set.
        seed: of the data set, and of the arrivals.
        duration_s: of the recorded part.
        arrival_rate_per_s: sessions per second.
        out: folder of the record.
        think_time_scale: think times and the cache's TTL are multiplied by it.
        warm_up_s: seconds of the same load before, not recorded.
        processes: generator processes; more than 1 are workers, with a master.
        enough_sessions: raise a rate at which too few sessions would come to judge by.
        connections: whether HTTP connections are used again, or opened for each request.
        interval_s: of the intervals that clicks are kept by; 0 for none.
        limits: towards a target of somebody else's; None for a stack of our own.

    Raises:
        CannotMeasure: locust wrote no record; what it said is quoted.
        ConfigurationError: the same, where a setting is wrong.
    """
    path, rate = out / f"{stage}.json", arrival_rate_per_s
    rate = rate_with_enough_sessions(rate, duration_s) if enough_sessions else rate
    out.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    options = {
        "PROJECT": str(project.root),
        "USERS_REGISTERED": str(users),
        "ARRIVAL_RATE": repr(rate),
        "STAGE_DURATION": repr(duration_s),
        "STAGE_NAME": stage,
        "WARM_UP": repr(warm_up_s),
        "LEVEL": str(level),
        "WITH": ",".join(added),
        "WITHOUT": ",".join(removed),
        "SEED": str(seed),
        "THINK_TIME_SCALE": repr(think_time_scale),
        "OUT": str(out.resolve()),
        "CONNECTIONS": connections,
        "INTERVALS": repr(interval_s),
        **(limits.options if limits is not None else {}),
    }
    command, limit_s = _command(project, target, processes), warm_up_s + duration_s + OVERHEAD_S
    return _driven(command, target, options, path, limit_s)


def _driven(
    command: list[str], target: Target, options: dict[str, str], path: Path, limit_s: float
) -> LoadRecord:
    """What `command` wrote to `path`; what it said lies beside that."""
    log = path.with_suffix(".log")
    code = _spawn(command, _environment(target, options), log, limit_s)
    if not path.exists():
        raise _nothing_written(path.stem, log, code)
    return store.read(path, LoadRecord)


def _nothing_written(stage: str, log: Path, exit_code: int) -> PhasegateError:
    """Why there is no record: in the generator's own words, where it said why it did not begin."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    own = [line.partition(ERROR_MARK)[2] for line in lines if ERROR_MARK in line]
    kind = ConfigurationError if exit_code == ExitCode.WRONG_CALL else CannotMeasure
    if own:
        return kind(own[0])
    return kind(
        f"The load stage '{stage}' wrote no record: {lines[-1] if lines else 'no output'}",
        then=f"Read {log}",
    )


def _command(project: Project, target: Target, processes: int) -> list[str]:
    locustfile = project.locustfile
    if not locustfile.is_file():
        raise ConfigurationError(
            f"The project {project.about.name} has no {locustfile.relative_to(project.root)}",
            untouched="No request was sent",
            then="Write one (docs/project/loadtests.md)",
        )
    command = [sys.executable, "-m", "phasegate.load", "-f", str(locustfile), "--headless"]
    command += ["--only-summary", "--host", target.url]
    if processes > 1:
        # A port of its own, on this machine alone: two stages may run at the same time.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        command += ["--processes", str(processes), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", port, "--master-port", port]
    return command


def _environment(target: Target, options: dict[str, str]) -> dict[str, str]:
    """What the child sees: ours, without settings meant for somebody else's Locust."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOCUST_", "PHASEGATE_"))
    }
    ours = {f"PHASEGATE_{name}": value for name, value in options.items()}
    keys = {"SUPABASE_ANON_KEY": target.anon_key, "SUPABASE_JWT_SECRET": target.jwt_secret}
    return {**inherited, **ours, **keys}


def _spawn(command: list[str], environment: dict[str, str], log: Path, limit_s: float) -> int:
    """Run `command` to its end and return its exit code.

    On Ctrl-C it gets its own chance to clean up.
    """
    with log.open("wb") as said:
        # A session of its own: Ctrl-C is for us, who end it in order; and Linux, which shares the
        # processor among sessions first, then gives it a share beside the stack's.
        child = subprocess.Popen(
            command,
            env=environment,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return child.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end(child)
            raise CannotMeasure(
                f"The load generator did not end within {limit_s:.0f} s", then=f"Read {log}"
            ) from None
        except BaseException:
            _end(child)
            raise


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let it finish in order, remove its rows and write its record; then insist."""
    child.terminate()
    try:
        child.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
