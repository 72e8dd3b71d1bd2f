"""The journal of a run: its folder, and `run.json`, rewritten after every stage.

The folder is hidden (`results/.<run-id>.partial`) until the run is complete; then it appears whole
under its name. An interrupted run keeps its hidden folder, and `phasegate report` can draw it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from phasegate.cli import circumstances
from phasegate.cli.memory import MemorySampler
from phasegate.model.errors import PhasegateError
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.project import noted
from phasegate.records.run import Machine, RunRecord, Server, StackPart, Stage
from phasegate.stack.machine import machine

StageOutcome = Literal["done", "failed", "interrupted", "skipped"]


@dataclass
class Journal:
    """What has happened so far in one run."""

    project: Project
    users: int
    sizes: tuple[int, ...]
    seed: int
    quick: bool
    results: Path
    server: Server | None = None
    server_data_dir: Path | None = None
    levels: dict[int, tuple[StackPart, ...]] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    machine: Machine = field(default_factory=machine)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def run_id(self) -> str:
        """As `2026-11-22T101500Z-100k`: sorts by time and says how large."""
        size = f"{self.users // 1000}k" if self.users % 1000 == 0 else str(self.users)
        return f"{self.started:%Y-%m-%dT%H%M%SZ}-{size}"

    @property
    def folder(self) -> Path:
        """Where the run's files are written until it is complete."""
        return self.results / f".{self.run_id}.partial"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record the wall time, the peak memory and the outcome of what is done inside."""
        data_dirs = () if self.server_data_dir is None else (self.server_data_dir,)
        began = time.monotonic()
        outcome: StageOutcome = "done"
        note = ""
        with MemorySampler(*data_dirs) as memory:
            try:
                yield
            except KeyboardInterrupt:
                outcome = "interrupted"
                raise
            except PhasegateError as error:
                outcome, note = "failed", error.sentence()
                raise
            except BaseException as error:
                outcome, note = "failed", type(error).__name__
                raise
            finally:
                self._add(name, outcome, time.monotonic() - began, memory.bytes_max, note)

    def skip(self, name: str, note: str) -> None:
        """Record that a part was left out, why, and what would enable it."""
        self._add(name, "skipped", 0.0, None, note)

    def _add(
        self, name: str, outcome: StageOutcome, wall_s: float, memory: int | None, note: str
    ) -> None:
        self.stages.append(
            Stage(
                name=name,
                outcome=outcome,
                wall_s=round(wall_s, 3),
                memory_bytes_max=memory,
                note=note,
            )
        )
        self.write("failed" if outcome == "failed" else "interrupted")

    def write(self, outcome: Literal["complete", "interrupted", "failed"]) -> None:
        """Write `run.json` as things stand. Until the end that is "interrupted"."""
        commit, dirty = circumstances.commit()
        record = RunRecord(
            format_version=RunRecord.FORMAT_VERSION,
            run_id=self.run_id,
            started_at=self.started.isoformat(timespec="seconds"),
            outcome=outcome,
            users=self.users,
            sizes=self.sizes,
            seed=self.seed,
            quick=self.quick,
            phasegate_version=circumstances.code_version(),
            commit=commit,
            dirty=dirty,
            machine=self.machine,
            server=self.server,
            levels=self.levels,
            stages=tuple(self.stages),
            project=noted(self.project),
        )
        store.write(self.folder / "run.json", record)

    @contextmanager
    def kept_if_begun(self) -> Iterator[None]:
        """Keep the hidden folder of a run that breaks off only where a stage of it was done."""
        try:
            yield
        except BaseException:
            if not any(stage.outcome == "done" for stage in self.stages):
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def publish(self) -> Path:
        """Give the finished run its name; returns its folder."""
        return self.folder.rename(self.results / self.run_id)
