"""The baseline's checkout: found, compared, built, taken away; each way that it cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.nightly import worktrees as trees
from phasegate.nightly.worktrees import NoBaseline

pytestmark = pytest.mark.integration

FILES = {
    "phasegate/stack/remote_measure.py": "",
    "phasegate/stack/sql/level.sql": "select 1",
    "benchmarks/bench.py": "",
    "docs/readme": "",
    trees.LOCK: "# nothing to install\n",
}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(root: Path, **files: str) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "--allow-empty", "-m", "a commit")
    return _git(root, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of a few files, with a commit before the nightly was there."""
    root = tmp_path / "checkout"
    root.mkdir()
    _git(root, "init", "-q", "-b", "main")
    _commit(root, old="")
    _git(root, "tag", "old")
    _commit(root, **FILES)
    _git(root, "tag", "pinned")
    return root


def test_outside_a_checkout_nothing_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a git checkout"):
        trees.head(tmp_path)


def test_a_changed_file_makes_the_checkout_dirty(checkout: Path) -> None:
    assert trees.head(checkout) == (_git(checkout, "rev-parse", "HEAD"), False)
    (checkout / "docs/readme").write_text("changed")
    assert trees.head(checkout)[1]


def test_a_tag_a_branch_and_a_commit_name_a_baseline(checkout: Path) -> None:
    commit = _git(checkout, "rev-parse", "HEAD")
    names = ("pinned", "main", commit, commit[:10])
    assert {trees.commit_of(checkout, name) for name in names} == {commit}


@pytest.mark.parametrize("ref", ["v9", "", "--all", "HEAD~9"])
def test_an_unknown_baseline_is_named_with_how_to_fetch_it(checkout: Path, ref: str) -> None:
    with pytest.raises(NoBaseline, match="git fetch"):
        trees.commit_of(checkout, ref)


def test_a_shallow_clone_lacks_the_commit_and_is_told_so(checkout: Path, tmp_path: Path) -> None:
    pinned = _git(checkout, "rev-parse", "pinned")
    _commit(checkout, **{"docs/readme": "later"})
    shallow = tmp_path / "shallow"
    _git(tmp_path, "clone", "-q", "--depth=1", f"file://{checkout}", str(shallow))
    with pytest.raises(NoBaseline, match="fetch-depth: 0"):
        trees.commit_of(shallow, pinned)
    _git(shallow, "fetch", "-q", "--depth=1", "origin", pinned)
    with trees.checked_out(shallow, trees.commit_of(shallow, pinned), tmp_path) as tree:
        assert (tree.root / "phasegate/stack/remote_measure.py").exists()


def test_a_branch_that_only_origin_has_is_found(checkout: Path, tmp_path: Path) -> None:
    _git(checkout, "branch", "release", "pinned")
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", str(checkout), str(clone))
    assert trees.commit_of(clone, "release") == _git(checkout, "rev-parse", "pinned")


def test_a_baseline_without_the_protocol_is_too_old(checkout: Path) -> None:
    with pytest.raises(NoBaseline, match=r"has no phasegate/stack/remote_measure\.py yet"):
        trees.commit_of(checkout, "old")


@pytest.mark.parametrize(
    ("path", "rooms"),
    [
        ("docs/readme", set()),
        ("benchmarks/bench.py", {"sql"}),
        ("benchmarks/draw.sql", {"sql", "api"}),
        ("phasegate/stack/sql/level.sql", {"sql", "api"}),
        ("phasegate/stack/new.sql", {"sql", "api"}),  # not known to git yet
    ],
)
def test_a_room_differs_where_its_files_do_committed_or_not(
    checkout: Path, path: str, rooms: set[str]
) -> None:
    (checkout / path).write_text("select 2", encoding="utf-8")
    pinned = trees.commit_of(checkout, "pinned")

    def found() -> set[str]:
        return {
            room for room, paths in trees.PATHS.items() if trees.differs(checkout, pinned, paths)
        }

    assert found() == rooms
    _commit(checkout)
    assert found() == rooms


def test_the_worktree_is_gone_afterwards_whatever_happened(checkout: Path, tmp_path: Path) -> None:
    commit = trees.commit_of(checkout, "pinned")
    _commit(checkout, **{"phasegate/stack/sql/level.sql": "select 2"})

    def use() -> None:
        with trees.checked_out(checkout, commit, tmp_path) as tree:
            assert (tree.root / "phasegate/stack/sql/level.sql").read_text() == "select 1"
            assert tree.python == Path(sys.executable)
            raise RuntimeError

    place = tmp_path / "baseline"
    for _ in range(2):  # the second time over what a killed nightly left
        with pytest.raises(RuntimeError):
            use()
        assert not place.exists()
        assert len(_git(checkout, "worktree", "list").splitlines()) == 1
        _git(checkout, "worktree", "add", "-q", "--detach", str(place), commit)


def test_other_packages_get_an_environment_of_their_own_made_once(
    checkout: Path, tmp_path: Path
) -> None:
    _commit(checkout, **{trees.LOCK: "# other packages\n"})
    pythons = set()
    for _ in range(2):
        with trees.checked_out(checkout, trees.commit_of(checkout, "pinned"), tmp_path) as tree:
            pythons.add((tree.python, tree.python.stat().st_ctime_ns))
    ((python, _),) = pythons
    assert python.parents[1].parent == tmp_path


def test_packages_that_cannot_be_installed_are_named(checkout: Path, tmp_path: Path) -> None:
    commit = _commit(checkout, **{trees.LOCK: "no-hash-for-this==1\n"})
    _commit(checkout, **{trees.LOCK: "# fine\n"})
    with (
        pytest.raises(NoBaseline, match="packages cannot be installed"),
        trees.checked_out(checkout, commit, tmp_path),
    ):
        pass
    assert not (tmp_path / "baseline").exists()


def test_a_worktree_has_its_own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = trees.ROOT
    monkeypatch.setenv("PHASEGATE_PROJECT", str(project))
    assert trees.Tree("the baseline", tmp_path, Path("python")).project == tmp_path
    assert trees.Tree.of(project).project == project
