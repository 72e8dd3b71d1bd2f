"""Change points in the series of nights: Apache Otava in an environment of its own, and our rules.

Writes that environment into the cache folder (`drift/<checksum>`), once for each lock file and
Python, and only when asked (`install`). Series go to its program as JSON, change points come back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from phasegate.model.errors import CannotMeasure
from phasegate.records import history
from phasegate.records.night import NightRecord
from phasegate.stack.cache import cache_dir
from phasegate.stats.drift import (
    MAGNITUDE_MIN,
    NIGHTS_AFTER_MIN,
    PVALUE_MAX,
    ChangePoint,
    holds,
    raised,
)

LOCK = Path(__file__).with_name("drift-requirements.lock")
PROGRAM = Path(__file__).with_name("find_change_points.py")

# Otava needs as many nights before a change point as we ask for after it.
NIGHTS_MIN = 2 * NIGHTS_AFTER_MIN
# A year: what was before it changes nothing for tomorrow, and the program's time stays bounded.
NIGHTS_MAX = 365
# 40 series of a year take about 2 s; what takes a hundred times as long hangs.
ANSWER_S_MAX = 200.0
INSTALL_S_MAX = 900.0
INSTALL = (
    "Run `make nightly` once, which installs it (`python -m phasegate.nightly.drift` does it alone)"
)


def environment_dir() -> Path:
    """Where the environment for this lock file and this Python is, or would be."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    return cache_dir() / "drift" / key


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install() -> None:
    """Make that environment, unless it is there: whole or not at all.

    Raises:
        CannotMeasure: its packages cannot be had; nothing is left behind.
    """
    folder = environment_dir()
    if _python(folder).exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        _run_step([sys.executable, "-m", "venv", "--without-pip", str(made)])
        _run_step(
            [sys.executable, "-m", "pip", "--python", str(_python(made)), "install", "--quiet",
             "--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(LOCK)]
        )  # fmt: skip
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:  # another process was quicker, and its environment is as good
            if not _python(folder).exists():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _run_step(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
        )
        complaint = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        complaint, failed = [type(error).__name__], True
    if failed:
        raise CannotMeasure(
            "The environment for drift detection could not be made: "
            + (complaint[0] if complaint else "no reason given"),
            untouched="No part of it was kept",
            then="Check that the package registry can be reached, then run it again",
        )


def change_points(nights: Sequence[NightRecord]) -> Mapping[str, tuple[ChangePoint, ...]]:
    """Change points that hold, per series id, in order of the nights; both slower and faster.

    Args:
        nights: in any order but for the last, which is tonight: series reach back over the nights
            that are comparable to it (`records.history.comparable`), a year at most.

    Raises:
        CannotMeasure: the environment is not there, or its program failed. Not raised while the
            history is too short for a change point in any series.
    """
    if not nights:
        return {}
    ordered = sorted(nights, key=lambda night: night.night)
    usable = history.comparable(ordered, nights[-1])[-NIGHTS_MAX:]
    series = {
        name: found
        for name in history.newest_names(usable)
        if len(found := history.ratios(usable, name)) >= NIGHTS_MIN
    }
    if not series:
        return {}
    answers = ask({name: [ratio for _, ratio in found] for name, found in series.items()})
    return {name: _of_series(found, answers[name]) for name, found in series.items()}


def _of_series(
    found: Sequence[tuple[str, float]], answers: Sequence[Mapping[str, float]]
) -> tuple[ChangePoint, ...]:
    """Otava's change points that hold, and a slow rise since the last of them."""
    points = []
    for answer in answers:
        index = int(answer["index"])
        points.append(
            ChangePoint(
                night=found[index][0],
                index=index,
                before=answer["before"],
                after=answer["after"],
                pvalue=answer["pvalue"],
                nights_after=len(found) - index,
            )
        )
    kept = tuple(point for point in points if holds(point))
    begin = kept[-1].index if kept else 0
    names, ratios = [night for night, _ in found[begin:]], [ratio for _, ratio in found[begin:]]
    slow = raised(names, ratios, begin)
    return kept if slow is None else (*kept, slow)


def ask(series: Mapping[str, Sequence[float]]) -> dict[str, list[dict[str, float]]]:
    """What Otava finds in each series: a list of `index`, `before`, `after`, `pvalue` each.

    Raises:
        CannotMeasure: as `change_points`.
    """
    python = _python(environment_dir())
    if not python.exists():
        raise CannotMeasure(
            "The environment for drift detection (Apache Otava) is not there",
            untouched="Nothing was judged",
            then=INSTALL,
        )
    asked = {"series": series, "pvalue_max": PVALUE_MAX, "magnitude_min": MAGNITUDE_MIN}
    try:
        done = subprocess.run(
            [str(python), "-I", str(PROGRAM)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=ANSWER_S_MAX,
            check=True,
        )
        answers: dict[str, list[dict[str, float]]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise CannotMeasure(
            f"The search for drift failed: {said.strip().splitlines()[-1]}",
            untouched="Nothing was judged",
            then=f"Remove {python.parent.parent} and install it again. {INSTALL}",
        ) from error
    return answers


if __name__ == "__main__":
    install()
