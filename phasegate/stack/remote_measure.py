"""Measuring in turns: a child process that measures when it is told to, and its parent.

The nightly has one such process per commit and lets them measure block by block in turn. A question
is one JSON object a line on the child's standard input, its answer one line on its standard output.

    {"do": "open", "with": {}}                 {"value": {"protocol": 1, "root": …, "series": […]}}
    {"do": "begin", "with": {"series": id}}    {"value": null}
    {"do": "rehearse", "with": {}}             {"value": ns per call}
    {"do": "block", "with": {"number": 0, "calls": 10, "warm_up": true}}
                                               {"value": ns per call}
    {"do": "evidence", "with": {}}             {"value": {"plan_hash": …, …}}
    {"do": "end", "with": {}}                  {"value": null}
    anything                                   {"error": sentence}

The child ends with its standard input. The two sides may be of different commits, so whatever
changes here without being understood by the other side needs another protocol number. DSN and seed
go by environment: arguments are visible to every local user.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from phasegate.model.errors import CannotMeasure, PhasegateError
from phasegate.project import VARIABLE as PROJECT_VARIABLE
from phasegate.records.night import Evidence
from phasegate.records.store import Part

PROTOCOL = 1

DSN_VARIABLE = "PHASEGATE_TURNS_DSN"
SEED_VARIABLE = "PHASEGATE_TURNS_SEED"

# The longest answer is a slow technique's set-up and rehearsal; beyond this the child hangs.
ANSWER_S_MAX = 300.0
# A child finishes the block it is in and closes what it opened.
STOP_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 5.0


class Named(Part, frozen=True, kw_only=True):
    """A series: an arm of a technique, a kind of request."""

    id: str
    """Stable over renames: results are kept under it."""
    name: str
    """As shown."""


class Opened(Part, frozen=True, kw_only=True):
    """What a child says first."""

    protocol: int
    root: str
    """Folder of the code that measures."""
    series: tuple[Named, ...]


class Instrument(Protocol):
    """What measures, in the child. One series at a time."""

    def all_series(self) -> tuple[Named, ...]:
        """All that it can measure."""

    def begin(self, series: str) -> None:
        """Set up for the series of this id."""

    def rehearse(self) -> float:
        """Calls that do not count; nanoseconds per call."""

    def block(self, number: int, calls: int, warm_up: bool) -> float:
        """Nanoseconds per call, over `calls` calls after one that does not count, if `warm_up`.

        Their parameters follow from `number` and the seed alone.
        """

    def evidence(self) -> Evidence:
        """What the server does for the calls of the last block."""

    def end(self) -> None:
        """Take the set-up back; nothing happens where there is none."""


Open = Callable[[str, int], AbstractContextManager[Instrument]]
"""Opens an instrument on a DSN, with a seed."""


def serve(opening: Open, root: Path) -> None:
    """The child's side: answer until standard input ends.

    Args:
        opening: of the instrument; called when asked to open.
        root: folder of the code that measures.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers, ExitStack() as stack:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anything prints is no answer
        instrument: Instrument | None = None

        def begin_all() -> Opened:
            nonlocal instrument
            dsn, seed = os.environ.pop(DSN_VARIABLE), int(os.environ[SEED_VARIABLE])
            instrument = stack.enter_context(opening(dsn, seed))
            stack.callback(instrument.end)
            return Opened(protocol=PROTOCOL, root=str(root), series=instrument.all_series())

        for line in sys.stdin.buffer:
            asked = msgspec.json.decode(line)
            do = begin_all if asked["do"] == "open" else getattr(instrument, asked["do"])
            try:
                answer: dict[str, Any] = {"value": do(**asked["with"])}
            except PhasegateError as error:
                answer = {"error": error.sentence()}
            answers.write(msgspec.json.encode(answer) + b"\n")
            answers.flush()


class ChildFault(CannotMeasure):
    """A child does not start, speaks another protocol, or ended; `who` names it."""

    def __init__(self, who: str, what: str) -> None:
        self.who = who
        super().__init__(f"{who}: {what}")


class Child:
    """The parent's side.

    Args:
        command: starts the child.
        root: checkout whose code it runs.
        who: how faults name it, as `the baseline`.
        dsn: of its copy of the data.
        seed: of what it draws.
        project: that it measures, in `root` too; `root` itself if None. Never the caller's: the
            two sides would measure the same statements.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        root: Path,
        *,
        who: str,
        dsn: str,
        seed: int,
        project: Path | None = None,
    ) -> None:
        self.who = who
        self._root = root
        self._secret = dsn
        self._said: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            command,
            cwd=root,  # `python -m` imports from there; PYTHONPATH is the user's, and their API's
            env={
                **{key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"},
                PROJECT_VARIABLE: str(project or root),
                # Sets and dictionaries in the same order on both sides.
                "PYTHONHASHSEED": "0",
                DSN_VARIABLE: dsn,
                SEED_VARIABLE: str(seed),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us: we end it in order
        )
        self._tell("open", {})  # several children then open at the same time

    def open(self) -> Opened:
        """Wait until it is ready; it was told to open when it was started.

        Raises:
            ChildFault: it does not start, speaks another protocol, or measures other code.
        """
        try:
            told = self._answer()
            protocol = told["protocol"]
            opened = msgspec.convert(told, Opened) if protocol == PROTOCOL else None
        except ChildFault:
            raise
        except (PhasegateError, msgspec.ValidationError) as error:
            reason = error.what if isinstance(error, PhasegateError) else str(error)
            raise ChildFault(self.who, f"it cannot measure: {reason}") from error
        if opened is None:
            raise ChildFault(self.who, f"it speaks protocol {protocol}, this is {PROTOCOL}")
        if Path(opened.root).resolve() != self._root.resolve():
            raise ChildFault(self.who, "it measures the code of another folder than its own")
        return opened

    def ask(self, do: str, **given: Any) -> Any:
        """Have it `do` something; its answer, decoded.

        Raises:
            CannotMeasure: it could not, and says why.
            ChildFault: it ended, or hangs.
        """
        self._tell(do, given)
        return self._answer()

    def _tell(self, do: str, given: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        with suppress(BrokenPipeError):  # it has ended; `_answer` says how
            self._process.stdin.write(msgspec.json.encode({"do": do, "with": given}) + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> Any:
        answers = self._process.stdout
        assert answers is not None  # noqa: S101 - a pipe, as asked for
        if not select.select([answers], [], [], ANSWER_S_MAX)[0]:
            raise ChildFault(self.who, f"it does not answer within {ANSWER_S_MAX:.0f} s")
        line = answers.readline()
        if not line:
            raise ChildFault(self.who, f"it ended: {self._last_words()}")
        told = msgspec.json.decode(line)
        if "error" in told:
            raise CannotMeasure(str(told["error"]).rstrip("."))
        return told["value"]

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1].replace(self._secret, "…") if lines else "without a word"

    def close(self) -> None:
        """End it: in order, or by force with all that it started."""
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(KILL_TIMEOUT_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session is its own
            process.wait()
        self._said.close()
