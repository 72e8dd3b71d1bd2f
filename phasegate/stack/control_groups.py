"""Control groups: a set of processes that may use only so much of this machine.

Makes, fills and removes folders below `/sys/fs/cgroup`, named after the process that they are for:
`phasegate-<pid>-<start>`. A group whose process has ended was left behind, and the next run clears
it away. Works as root, and where a group was delegated (`systemd-run --user --scope -p
Delegate=yes`, a container with rights); what cannot be had is named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from phasegate.stack.control_group_files import (
    PROC,
    V2_CONTROLLERS,
    Kind,
    Limits,
    Place,
    Used,
    offered,
    places,
    set_limit,
    used,
    write,
)

PREFIX = "phasegate-"
LEAF = f"{PREFIX}callers-"
"""In version 2 a group that hands its controllers down may hold no process itself: this one, made
inside it, takes those that were there."""

SYS = Path("/sys")
ROUNDS_MAX = 20
"""Of moving processes whose children are born meanwhile."""
REMOVE_S = 5.0
"""Until the last process of a group has ended; the kernel removes no group before."""
POLL_S = 0.02


@dataclass
class ControlGroup:
    """A group that was made: its folder of each kind that could be had."""

    name: str
    found: dict[Kind, tuple[Place, Path]] = field(default_factory=dict)
    missing: dict[Kind, str] = field(default_factory=dict)
    """Why a kind could not be had."""
    callers: dict[Path, Path] = field(default_factory=dict)
    """Where this process's own group was made to hand controllers down: that group, and the leaf
    that holds its processes meanwhile."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder of the group, each once."""
        return tuple(dict.fromkeys(folder for _, folder in self.found.values()))

    def limit(self, limits: Limits, kinds: Iterable[Kind], device: str | None = None) -> None:
        """Put `limits` in force for `kinds`; what the kernel refuses is noted in `missing`."""
        for kind in kinds:
            if kind not in self.found:
                continue
            place, folder = self.found[kind]
            try:
                set_limit(kind, place, folder, limits, device)
            except OSError as error:
                self.missing[kind] = f"the kernel refuses the limit ({error.strerror})"

    def enter(self, pid: int) -> None:
        """Take process `pid` in, and all its children, with those that are born meanwhile."""
        for folder in self.folders:
            inside: set[int] = set()
            for _ in range(ROUNDS_MAX):
                family = _family(pid) - inside
                if not family:
                    break
                for one in family:
                    _move(one, folder)
                inside |= family

    def used(self, device: str | None = None) -> Used:
        """What the group has used since it was made."""
        return used(self.found, device)

    def close(self) -> None:
        """Let the processes that are left go on where they came from, without limits; remove it."""
        for place, folder in self.found.values():
            _remove(folder, self.callers.get(place.own, place.own))
        self.found.clear()
        for own, leaf in self.callers.items():
            _take_back(own, leaf)
        self.callers.clear()


def make_group(pid: int, proc: Path = PROC) -> ControlGroup:
    """A group named after process `pid`, without limits yet; what cannot be had is in `missing`."""
    group = ControlGroup(name=f"{PREFIX}{pid}-{_began(pid)}")
    here = places(proc)
    for kind in ("cpu", "cpuacct", "memory", "io"):
        place = here.get(kind)
        if place is None:
            if kind != "cpuacct" or (here.get("cpu") and here["cpu"].version == 1):
                group.missing[kind] = (
                    f"not handed down to this account; {HAND_DOWN}"
                    if kind in offered(proc)
                    else f"this machine has no control groups for it{_hint(here)}"
                )
            continue
        try:
            parent = _parent(group, kind, place)
            folder = parent / group.name
            folder.mkdir(exist_ok=True)
            group.found[kind] = (place, folder)
        except OSError as error:
            group.missing[kind] = f"no right to make a control group ({error.strerror}); {RIGHTS}"
        except _NotOurs as error:
            group.missing[kind] = f"{error}; {RIGHTS}"
    return group


RIGHTS = "run it as root, or by `systemd-run --user --scope -p Delegate=yes`"
HAND_DOWN = "run it as root, or delegate it (docs/commands.md#under-a-compute-size)"


def _hint(here: Mapping[Kind, Place]) -> str:
    return "" if here else " (none is mounted, as in a container without rights)"


class _NotOurs(Exception):
    """Processes of somebody else's would have to be moved."""


def _parent(group: ControlGroup, kind: Kind, place: Place) -> Path:
    """Where a group of that kind can be made.

    In version 1 below the group that this process is in, so that limits from above hold on. In
    version 2 below the top where this is its real one, whose processes need not be moved; else
    below the own group once its processes were moved into a leaf of it.
    """
    if place.version == 1:
        return place.own
    name = V2_CONTROLLERS[kind]
    if not (place.top / "cgroup.type").exists() and os.access(place.top, os.W_OK):
        _hand_down(place.top, name)
        return place.top
    if name not in _words(place.own / "cgroup.subtree_control"):
        if place.own not in group.callers:
            group.callers[place.own] = _empty(place.own)
        _hand_down(place.own, name)
    return place.own


def _hand_down(folder: Path, controller: str) -> None:
    if controller not in _words(folder / "cgroup.subtree_control"):
        write(folder / "cgroup.subtree_control", f"+{controller}")


def _empty(own: Path) -> Path:
    """Move the processes of group `own` into a leaf of it; they must be this one's family."""
    family = _family(os.getpid()) | {each.pid for each in psutil.Process().parents()}
    there = {int(pid) for pid in _words(own / "cgroup.procs")}
    if there - family:
        raise _NotOurs(f"{len(there - family)} processes of others share this control group")
    leaf = own / f"{LEAF}{os.getpid()}-{_began(os.getpid())}"
    leaf.mkdir(exist_ok=True)
    for pid in there:
        _move(pid, leaf)
    return leaf


def _take_back(own: Path, leaf: Path) -> None:
    """The reverse of `_empty`: nothing is handed down any more, and the processes return."""
    if any(own.glob(f"{PREFIX}[0-9]*")):
        return  # another group still needs it
    for name in _words(own / "cgroup.subtree_control"):
        with suppress(OSError):
            write(own / "cgroup.subtree_control", f"-{name}")
    _remove(leaf, own)


def clear_leftovers(proc: Path = PROC) -> int:
    """Remove the groups whose process has ended, as after a run that was killed; how many.

    A process that is still in one goes on without limits: it is not ours to end.
    """
    cleared = 0
    for place in set(places(proc).values()):
        leaves = {}
        for parent in dict.fromkeys((place.own, place.top)):
            for folder in parent.glob(f"{PREFIX}*-*"):
                if _left_behind(folder.name):
                    if folder.name.startswith(LEAF):
                        leaves[folder] = parent
                        continue
                    _remove(folder, parent)
                    cleared += 1
        for leaf, parent in leaves.items():
            _take_back(parent, leaf)
            cleared += 1
    return cleared


def _left_behind(name: str) -> bool:
    """Whether a folder is a group of ours whose process has ended."""
    pid, _, began = name.removeprefix(LEAF).removeprefix(PREFIX).partition("-")
    return pid.isdigit() and began.isdigit() and _began(int(pid)) != int(began)


def _began(pid: int) -> int | None:
    """When process `pid` began, in ticks since the machine did; None where it has ended."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = said.rpartition(")")[2].split()  # the name before it may hold blanks
    return None if fields[0] == "Z" else int(fields[19])


def _family(pid: int) -> set[int]:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    return set()


def _move(pid: int, folder: Path) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        write(folder / "cgroup.procs", str(pid))


def _remove(folder: Path, parent: Path) -> None:
    """Remove the group in `folder` once its processes were moved to `parent`."""
    deadline = time.monotonic() + REMOVE_S
    while folder.is_dir():
        for pid in _words(folder / "cgroup.procs"):
            with suppress(OSError):
                _move(int(pid), parent)
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return  # the next run tries again
            time.sleep(POLL_S)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []


def block_device(path: Path, proc: Path = PROC, sys: Path = SYS) -> str | None:
    """Major and minor number of the whole disk that `path` lies on, as `254:0`.

    None where no disk can be told: on tmpfs, overlay and network file systems.
    """
    number = path.stat().st_dev
    if os.major(number) == 0:
        source = _source_of(path, proc)
        if source is None:
            return None
        number = source
    name = f"{os.major(number)}:{os.minor(number)}"
    device = sys / "dev" / "block" / name
    if not device.exists():
        return None
    if (device / "partition").exists():  # the kernel limits whole disks
        return (device.resolve().parent / "dev").read_text(encoding="ascii").strip()
    return name


def _source_of(path: Path, proc: Path) -> int | None:
    """Device number of what the file system of `path` was mounted from; None if it is no device."""
    best: tuple[int, str] | None = None
    for mount, source in _sources(proc):
        if path.resolve().is_relative_to(mount) and (best is None or len(mount.parts) >= best[0]):
            best = (len(mount.parts), source)
    if best is None or not best[1].startswith("/dev/"):
        return None
    with suppress(OSError):
        return Path(best[1]).stat().st_rdev or None
    return None


def _sources(proc: Path) -> Iterator[tuple[Path, str]]:
    for line in (proc / "self" / "mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        yield Path(before.split()[4].encode().decode("unicode_escape")), after.split()[1]
