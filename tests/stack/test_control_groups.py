"""Control groups on a hierarchy of files, for what this machine does not have, and on the real one.

The files are those of a kernel: a folder that is made has none of its own, so a test lays them out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phasegate.stack.control_group_files import (
    Limits,
    Place,
    Used,
    limited_cores,
    limited_memory,
    places,
    set_limit,
    swaps,
    used,
)
from phasegate.stack.control_groups import (
    PREFIX,
    block_device,
    clear_leftovers,
    make_group,
)

MICRO = Limits(cores=0.2, memory_bytes=1 << 30, operations_per_s=500, bytes_per_s=11e6)
V2_FILES = (
    "cgroup.procs",
    "cgroup.subtree_control",
    "cpu.max",
    "memory.max",
    "memory.swap.max",
    "io.max",
)


def _lay_out(folder: Path, **files: str) -> Path:
    """A group's folder with all files of version 2; names have `_` for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in V2_FILES:
        (folder / name).touch()
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


def _proc(tmp_path: Path, cgroup: str, *mounts: str) -> Path:
    own = tmp_path / "proc" / "self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(cgroup)
    (own / "mountinfo").write_text("".join(f"{each}\n" for each in mounts))
    return own.parent


def _v2(tmp_path: Path, *, controllers: str = "cpu io memory") -> tuple[Path, Path]:
    """A scope that was delegated to this process, and its `/proc`."""
    top = tmp_path / "cgroup"
    _lay_out(top / "user.slice", cgroup_type="domain")
    (top / "cgroup.type").write_text("domain")  # as in a container: not the real top
    scope = _lay_out(
        top / "user.slice" / "run.scope",
        cgroup_controllers=controllers,
        cgroup_procs=f"{os.getpid()}\n",
    )
    proc = _proc(
        tmp_path,
        "0::/user.slice/run.scope\n",
        f"30 23 0:26 / {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate",
    )
    return scope, proc


def _name(pid: int) -> str:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{PREFIX}{pid}-{fields[19]}"


def test_version_2_gets_one_folder_with_every_limit(tmp_path: Path) -> None:
    scope, proc = _v2(tmp_path)
    me = os.getpid()
    leaf = _lay_out(scope / f"{PREFIX}callers-{_name(me).removeprefix(PREFIX)}")
    folder = _lay_out(scope / _name(me))
    group = make_group(me, proc)
    assert group.missing == {}
    assert group.folders == (folder,)
    assert (leaf / "cgroup.procs").read_text() == str(me)  # a group that hands down holds nobody
    group.limit(MICRO, ("cpu", "memory", "io"), "254:0")
    assert (folder / "cpu.max").read_text() == "20000 100000"
    assert (folder / "memory.max").read_text() == str(1 << 30)
    assert (folder / "memory.swap.max").read_text() == "0"
    disk = "254:0 rbps=11000000 wbps=11000000 riops=500 wiops=500"
    assert (folder / "io.max").read_text() == disk


def test_version_2_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope, proc = _v2(tmp_path)
    me = os.getpid()
    leaf = _lay_out(scope / f"{PREFIX}callers-{_name(me).removeprefix(PREFIX)}")
    folder = _lay_out(scope / _name(me))
    group = make_group(me, proc)
    (scope / "cgroup.subtree_control").write_text("io")
    (folder / "cgroup.procs").write_text(f"{me}\n")
    # A kernel removes a group with all its files, once no process is in it.
    monkeypatch.setattr(Path, "rmdir", lambda path: shutil.rmtree(path))
    group.close()
    assert not folder.exists()
    assert not leaf.exists()
    assert (scope / "cgroup.procs").read_text().split()[0] == str(me)
    assert (scope / "cgroup.subtree_control").read_text() == "-io"


def test_version_2_without_the_io_controller_says_so(tmp_path: Path) -> None:
    scope, proc = _v2(tmp_path, controllers="cpu memory")
    me = os.getpid()
    _lay_out(scope / f"{PREFIX}callers-{_name(me).removeprefix(PREFIX)}")
    _lay_out(scope / _name(me))
    group = make_group(me, proc)
    assert list(group.missing) == ["io"]
    assert "no control groups for it" in group.missing["io"]


def test_a_controller_that_systemd_keeps_from_accounts_is_said_to_be_kept(tmp_path: Path) -> None:
    # systemd's user@.service has `Delegate=pids memory cpu`: the disk's stays at the top.
    _, proc = _v2(tmp_path, controllers="cpu memory pids")
    (tmp_path / "cgroup" / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    said = make_group(os.getpid(), proc).missing["io"]
    assert said.startswith("not handed down to this account; run it as root, or delegate it")


def test_processes_of_others_are_never_moved(tmp_path: Path) -> None:
    scope, proc = _v2(tmp_path)
    (scope / "cgroup.procs").write_text(f"{os.getpid()}\n999999999\n")
    group = make_group(os.getpid(), proc)
    assert set(group.missing) == {"cpu", "memory", "io"}
    assert "1 processes of others share this control group" in group.missing["cpu"]
    assert "systemd-run --user --scope" in group.missing["cpu"]
    assert group.folders == ()


def test_a_machine_without_control_groups_names_each_kind(tmp_path: Path) -> None:
    group = make_group(os.getpid(), _proc(tmp_path, "", ""))
    assert set(group.missing) == {"cpu", "memory", "io"}


def test_version_1_has_a_hierarchy_for_each_kind(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("cpu", "memory", "blkio")}
    for name, folder in folders.items():
        (folder / "own").mkdir(parents=True)
        assert name
    proc = _proc(
        tmp_path,
        "3:cpu,cpuacct:/own\n2:memory:/own\n1:blkio:/docker/other\n0::/\n",
        f"31 30 0:27 / {folders['cpu']} rw - cgroup cgroup rw,cpu,cpuacct",
        f"32 30 0:28 / {folders['memory']} rw - cgroup cgroup rw,memory",
        f"33 30 0:29 /docker/other {folders['blkio']} rw - cgroup cgroup rw,blkio",
    )
    assert places(proc) == {
        "cpu": Place(1, folders["cpu"] / "own", folders["cpu"]),
        "cpuacct": Place(1, folders["cpu"] / "own", folders["cpu"]),
        "memory": Place(1, folders["memory"] / "own", folders["memory"]),
        "io": Place(1, folders["blkio"], folders["blkio"]),  # a container sees its own as the top
    }


def test_version_1_writes_each_limit_to_a_file_of_its_own(tmp_path: Path) -> None:
    names = ["cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes"]
    names += [f"blkio.throttle.{way}_{unit}_device" for way in ("read", "write") for unit in (
        "iops", "bps",
    )]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    for kind in ("cpu", "memory", "io"):
        set_limit(kind, Place(1, tmp_path, tmp_path), tmp_path, MICRO, "8:0")  # type: ignore[arg-type]
    said = {name: (tmp_path / name).read_text() for name in names}
    assert said == {
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "20000",
        "memory.limit_in_bytes": str(1 << 30),
        "blkio.throttle.read_iops_device": "8:0 500",
        "blkio.throttle.read_bps_device": "8:0 11000000",
        "blkio.throttle.write_iops_device": "8:0 500",
        "blkio.throttle.write_bps_device": "8:0 11000000",
    }


def test_use_is_read_from_version_2(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nthrottled_usec 900000\n")
    (tmp_path / "memory.peak").write_text("123\n")
    (tmp_path / "memory.events").write_text("oom 1\noom_kill 2\n")
    (tmp_path / "io.stat").write_text(
        "8:16 rbytes=1 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n"
        "254:0 rbytes=8192 wbytes=4096 rios=3 wios=2 dbytes=0 dios=0\n"
    )
    place = Place(2, tmp_path, tmp_path)
    found = used({"cpu": (place, tmp_path), "memory": (place, tmp_path), "io": (place, tmp_path)},
                 "254:0")  # fmt: skip
    assert found == Used(2.5, 0.9, 123, 2, 3, 2, 8192, 4096)
    (tmp_path / "io.stat").write_text("98:0 \n254:0 \n")  # a disk that did nothing, in Linux 6.1
    idle = used({"io": (place, tmp_path)}, "254:0")
    assert (idle.reads, idle.writes, idle.read_bytes, idle.write_bytes) == (0, 0, 0, 0)
    assert used({}, None) == Used()


def test_what_a_container_may_use_counts_not_what_the_machine_has(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "memory.max").write_text("536870912\n")
    (inner / "memory.max").write_text("max\n")
    assert limited_cores(Place(2, inner, tmp_path)) == 1.5
    assert limited_memory(Place(2, inner, tmp_path)) == 1 << 29


def test_a_group_without_swap_accounting_goes_on_to_swap_where_the_machine_has_some(
    tmp_path: Path,
) -> None:
    swapping, group = tmp_path / "proc", tmp_path / "group"
    swapping.mkdir()
    group.mkdir()
    (swapping / "swaps").write_text("Filename Type Size Used Priority\n/swap file 1 0 -2\n")
    for version, name in ((1, "memory.memsw.limit_in_bytes"), (2, "memory.swap.max")):
        place = Place(version, group, group)  # type: ignore[arg-type]
        assert swaps(place, group, swapping)
        (group / name).touch()
        assert not swaps(place, group, swapping)
        (group / name).unlink()
        assert not swaps(place, group, tmp_path)  # no swap at all


def test_a_partition_is_limited_as_the_disk_that_it_is_on(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    if os.major(number) == 0:
        pytest.skip("the temporary folder is on no disk: no number to look up")
    disk = tmp_path / "devices" / "sda"
    (disk / "sda1").mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    (disk / "sda1" / "partition").write_text("1\n")
    (tmp_path / "dev" / "block").mkdir(parents=True)
    link = tmp_path / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    link.symlink_to(disk / "sda1")
    assert block_device(tmp_path, sys=tmp_path) == "8:0"


@pytest.mark.integration
def test_a_group_whose_process_was_killed_is_cleared_and_its_children_go_on() -> None:
    code = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '30']).pid, flush=True); "
        "time.sleep(30)"
    )
    shell = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    child = int(shell.stdout.readline())
    try:
        group = make_group(shell.pid)
        if not group.folders:
            pytest.skip(f"no control group can be made here: {group.missing}")
        group.enter(shell.pid)
        group.limit(MICRO, ("cpu", "memory"))
        inside = [(folder / "cgroup.procs").read_text().split() for folder in group.folders]
        assert all({str(shell.pid), str(child)} <= set(each) for each in inside)
        folders = group.folders
        clear_leftovers()
        assert all(folder.exists() for folder in folders)  # it lives
        shell.kill()
        shell.wait()
        assert clear_leftovers() >= 1
        assert not any(folder.exists() for folder in folders)
        os.kill(child, 0)  # it was let go, not ended
    finally:
        shell.kill()
        os.kill(child, 9)
        deadline = time.monotonic() + 5
        while clear_leftovers() and time.monotonic() < deadline:
            time.sleep(0.05)
