"""Which file of a control group says what, in version 1 and version 2 of the kernel's interface.

Reads `/proc/self/{mountinfo,cgroup}` and the files of a group's folders; writes the limits' files
(Linux, admin-guide/cgroup-v1 and admin-guide/cgroup-v2). Knows nothing of PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["cpu", "cpuacct", "memory", "io"]
KINDS: tuple[Kind, ...] = ("cpu", "cpuacct", "memory", "io")
"""What a group can limit, and in version 1 apart from that count. Version 2 counts with `cpu`."""

PROC = Path("/proc")
PERIOD_US = 100_000
"""Over which a share of the processor is dealt out: the kernel's default."""

V1_CONTROLLERS: Mapping[Kind, str] = {
    "cpu": "cpu",
    "cpuacct": "cpuacct",
    "memory": "memory",
    "io": "blkio",
}
V2_CONTROLLERS: Mapping[Kind, str] = {"cpu": "cpu", "memory": "memory", "io": "io"}
UNLIMITED_BYTES = 1 << 60
"""Where there is no limit, version 1 says a little less than 2⁶³; no machine has as much."""


@dataclass(frozen=True)
class Place:
    """Where this process is in the hierarchy that one kind is of."""

    version: Literal[1, 2]
    own: Path
    """The folder of the group that this process is in."""
    top: Path
    """Of the uppermost group that is visible here."""


@dataclass(frozen=True)
class Limits:
    """What a group may use; None: as much as there is. Reads and writes each have the whole."""

    cores: float | None = None
    memory_bytes: int | None = None
    operations_per_s: float | None = None
    bytes_per_s: float | None = None


@dataclass(frozen=True)
class Used:
    """What a group has used since it was made; None where the kernel does not tell."""

    cpu_s: float | None = None
    throttled_s: float | None = None
    """Time that some process of it waited for its share."""
    memory_bytes_max: int | None = None
    """Page cache included."""
    killed: int | None = None
    """Processes that the kernel ended for want of memory."""
    reads: int | None = None
    writes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None


def places(proc: Path = PROC) -> dict[Kind, Place]:
    """Where this process is, by kind; kinds that no hierarchy here has are missing."""
    own = _own_paths(proc)
    found: dict[Kind, Place] = {}
    for root, mount, kind_of_fs, options in _mounts(proc):
        if kind_of_fs == "cgroup":
            for kind, name in V1_CONTROLLERS.items():
                if name in options and name in own:
                    found[kind] = Place(1, _below(mount, root, own[name]), mount)
        elif kind_of_fs == "cgroup2" and "" in own:
            folder = _below(mount, root, own[""])
            there = _read(folder / "cgroup.controllers").split()
            for kind, name in V2_CONTROLLERS.items():
                if name in there:
                    found.setdefault(kind, Place(2, folder, mount))
    return found


def offered(proc: Path = PROC) -> set[Kind]:
    """Kinds that version 2 has here, handed down to this process's group or not."""
    tops = [mount for _, mount, kind_of_fs, _ in _mounts(proc) if kind_of_fs == "cgroup2"]
    there = {name for top in tops for name in _read(top / "cgroup.controllers").split()}
    return {kind for kind, name in V2_CONTROLLERS.items() if name in there}


def _own_paths(proc: Path) -> dict[str, str]:
    """The group of this process, by version 1 controller; version 2's under an empty name."""
    found = {}
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _mounts(proc: Path) -> list[tuple[str, Path, str, set[str]]]:
    """Root within the file system, mount point, type, and options of every mount."""
    found = []
    for line in _read(proc / "self" / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, behind = before.split(), after.split()
        if len(fields) > 4 and len(behind) > 2:
            mount = fields[4].encode().decode("unicode_escape")
            found.append((fields[3], Path(mount), behind[0], set(behind[2].split(","))))
    return found


def _below(mount: Path, root: str, path: str) -> Path:
    """The folder of group `path` where `root` of its hierarchy is mounted at `mount`."""
    inside = path.removeprefix(root) if root != "/" else path
    folder = mount / inside.strip("/")
    # In a container the path may be the host's, which is not to be seen here.
    return folder if folder.is_dir() else mount


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def write(path: Path, text: str) -> None:
    """Write to a file of a group, which must be there already.

    Raises:
        OSError: it is missing, or the kernel refuses the text.
    """
    with path.open("r+", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()


def set_limit(kind: Kind, place: Place, folder: Path, limits: Limits, device: str | None) -> None:
    """Put what `limits` says of `kind` in force for the group in `folder`.

    Args:
        kind: `cpu`, `memory` or `io`; `cpuacct` limits nothing.
        place: says which version of the interface `folder` has.
        folder: of the group.
        limits: all of them.
        device: major and minor number of the disk, for `io`.

    Raises:
        OSError: the kernel refuses.
    """
    for name, text in _orders(kind, place.version, limits, device):
        path = folder / name
        if name in OPTIONAL and not path.exists():
            continue
        write(path, text)


OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max", "cpu.cfs_burst_us"})
"""Files that a kernel without swap accounting, or an older one, does not have."""


def _orders(kind: Kind, version: int, limits: Limits, device: str | None) -> list[tuple[str, str]]:
    """Files to write and what, in order."""
    if kind == "cpu":
        quota = "max" if limits.cores is None else str(max(1000, round(limits.cores * PERIOD_US)))
        if version == 2:
            return [("cpu.max", f"{quota} {PERIOD_US}")]
        quota = "-1" if limits.cores is None else quota
        return [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", quota)]
    if kind == "memory":
        return _memory_orders(version, limits.memory_bytes)
    if kind == "io" and device is not None:
        operations, per_s = limits.operations_per_s, limits.bytes_per_s
        if version == 2:
            ops = "max" if operations is None else str(round(operations))
            size = "max" if per_s is None else str(round(per_s))
            return [("io.max", f"{device} rbps={size} wbps={size} riops={ops} wiops={ops}")]
        return [
            (f"blkio.throttle.{way}_{unit}_device", f"{device} {round(amount or 0)}")
            for unit, amount in (("iops", operations), ("bps", per_s))
            for way in ("read", "write")
        ]
    return []


def _memory_orders(version: int, memory_bytes: int | None) -> list[tuple[str, str]]:
    if version == 2:
        most = "max" if memory_bytes is None else str(memory_bytes)
        return [("memory.max", most), ("memory.swap.max", "max" if memory_bytes is None else "0")]
    if memory_bytes is None:  # the sum with swap first: it must not be below the other
        return [("memory.memsw.limit_in_bytes", "-1"), ("memory.limit_in_bytes", "-1")]
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    return [(name, str(memory_bytes)) for name in names]


def limited_memory(place: Place) -> int | None:
    """Bytes that the group of this process and those above it allow; None: no limit."""
    name = "memory.max" if place.version == 2 else "memory.limit_in_bytes"
    found = [int(text) for text in _upwards(place, name) if text.isdigit()]
    return min((size for size in found if size < UNLIMITED_BYTES), default=None)


def limited_cores(place: Place) -> float | None:
    """Cores that the group of this process and those above it allow; None: no limit."""
    if place.version == 2:
        pairs = [text.split() for text in _upwards(place, "cpu.max")]
    else:
        quotas, periods = (_upwards(place, f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        pairs = [list(each) for each in zip(quotas, periods, strict=True)]
    cores = [
        int(quota) / int(period) for quota, period in pairs if quota.isdigit() and period.isdigit()
    ]
    return min(cores, default=None)


def _upwards(place: Place, name: str) -> list[str]:
    """What file `name` says in the group of this process and in all above it."""
    folders = [place.own, *place.own.parents]
    inside = [folder for folder in folders if folder == place.top or place.top in folder.parents]
    return [text for folder in inside if (text := _read(folder / name).strip())]


def swaps(place: Place, folder: Path, proc: Path = PROC) -> bool:
    """Whether the group could go on to swap beyond its memory."""
    if len(_read(proc / "swaps").splitlines()) < 2:
        return False
    name = "memory.swap.max" if place.version == 2 else "memory.memsw.limit_in_bytes"
    return not (folder / name).exists()


def used(found: Mapping[Kind, tuple[Place, Path]], device: str | None) -> Used:
    """What a group has used; `found` has its folder of each kind."""
    cpu = _cpu_used(found)
    memory = found.get("memory")
    most = killed = None
    if memory is not None:
        place, folder = memory
        v2 = place.version == 2
        most = _number(folder / ("memory.peak" if v2 else "memory.max_usage_in_bytes"))
        killed = _pairs(folder / ("memory.events" if v2 else "memory.oom_control")).get("oom_kill")
    disk = _disk_used(found, device)
    return Used(
        cpu_s=cpu[0],
        throttled_s=cpu[1],
        memory_bytes_max=most,
        killed=killed,
        reads=disk.get("rios"),
        writes=disk.get("wios"),
        read_bytes=disk.get("rbytes"),
        write_bytes=disk.get("wbytes"),
    )


def _cpu_used(found: Mapping[Kind, tuple[Place, Path]]) -> tuple[float | None, float | None]:
    if "cpu" not in found:
        return None, None
    place, folder = found["cpu"]
    said = _pairs(folder / "cpu.stat")
    if place.version == 2:
        usage, late = said.get("usage_usec"), said.get("throttled_usec")
        return (
            None if usage is None else usage / 1e6,
            None if late is None else late / 1e6,
        )
    late = said.get("throttled_time")
    usage = _number(found["cpuacct"][1] / "cpuacct.usage") if "cpuacct" in found else None
    return None if usage is None else usage / 1e9, None if late is None else late / 1e9


def _disk_used(found: Mapping[Kind, tuple[Place, Path]], device: str | None) -> dict[str, int]:
    """`rios`, `wios`, `rbytes`, `wbytes` of `device`, as version 2 names them."""
    if "io" not in found or device is None:
        return {}
    place, folder = found["io"]
    counts = dict.fromkeys(("rios", "wios", "rbytes", "wbytes"), 0)
    if place.version == 2:
        for line in _read(folder / "io.stat").splitlines():
            name, *pairs = line.split()
            if name == device:  # without pairs where it has done nothing yet
                counts |= {key: int(value) for key, _, value in (p.partition("=") for p in pairs)}
        return counts
    for name, unit in (("io_serviced", "ios"), ("io_service_bytes", "bytes")):
        for line in _read(folder / f"blkio.throttle.{name}").splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == device and words[1] in ("Read", "Write"):
                counts[f"{words[1][0].lower()}{unit}"] = int(words[2])
    return counts


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _pairs(path: Path) -> dict[str, int]:
    found = {}
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        with suppress(ValueError):
            found[name] = int(value)
    return found
