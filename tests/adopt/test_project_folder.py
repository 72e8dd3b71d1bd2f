"""A project's folder is written whole or not at all, and never over what somebody edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasegate.adopt.project_folder import RECORD, State, compare, write
from phasegate.model.errors import ConfigurationError, Refused

FILES = {"phasegate.toml": "one\n", "seed/schema.sql": "two\n", "results/.gitkeep": ""}


def init(folder: Path, files: dict[str, str]) -> dict[str, State]:
    changes = compare(folder, files)
    write(folder, files, changes)
    return {change.path: change.state for change in changes}


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "init.toml"
    }


@pytest.mark.parametrize("is_there", [False, True])
def test_a_first_init_writes_everything(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "new" / "app"
    if is_there:
        folder.mkdir(parents=True)
        (folder / "README.md").write_text("mine")
    assert set(init(folder, FILES).values()) == {State.NEW}
    assert contents(folder) == FILES | ({"README.md": "mine"} if is_there else {})
    assert not list(folder.parent.glob(".phasegate*")) + list(folder.glob(".phasegate*"))
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_second_init_replaces_what_is_untouched_and_nothing_else(tmp_path: Path) -> None:
    init(tmp_path, FILES | {"benchmarks/a.sql": "a\n"})
    (tmp_path / "seed/schema.sql").write_text("mine\n")
    (tmp_path / "benchmarks/a.sql").unlink()
    again = {"phasegate.toml": "one more\n", "seed/schema.sql": "three\n", "results/.gitkeep": ""}
    again |= {"benchmarks/a.sql": "a\n", "benchmarks/b.sql": "b\n"}
    assert init(tmp_path, again) == {
        "phasegate.toml": State.UPDATED,
        "seed/schema.sql": State.EDITED,
        "results/.gitkeep": State.SAME,
        "benchmarks/a.sql": State.REMOVED,
        "benchmarks/b.sql": State.NEW,
    }
    assert contents(tmp_path) == {
        "phasegate.toml": "one more\n",
        "seed/schema.sql": "mine\n",
        "results/.gitkeep": "",
        "benchmarks/b.sql": "b\n",
    }
    # What was edited or removed stays so, however often init runs.
    states = init(tmp_path, again)
    assert states["seed/schema.sql"] is State.EDITED
    assert states["benchmarks/a.sql"] is State.REMOVED


def test_a_diff_shows_what_init_would_write(tmp_path: Path) -> None:
    init(tmp_path, FILES)
    (change,) = [c for c in compare(tmp_path, {"seed/schema.sql": "two\nthree\n"}) if c.diff]
    assert "+three" in change.diff.splitlines()


def test_an_edit_that_was_taken_back_is_no_edit(tmp_path: Path) -> None:
    init(tmp_path, FILES)
    (tmp_path / "phasegate.toml").write_text("mine\n")
    init(tmp_path, FILES)
    (tmp_path / "phasegate.toml").write_text("one\n")
    assert init(tmp_path, FILES | {"phasegate.toml": "next\n"})["phasegate.toml"] is State.UPDATED


def test_what_init_did_not_write_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed/schema.sql").write_text("mine")
    with pytest.raises(Refused, match=r"schema\.sql is there already"):
        compare(tmp_path, FILES)
    assert contents(tmp_path) == {"seed/schema.sql": "mine"}


def test_an_error_half_way_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path, FILES)
    before = contents(tmp_path) | {RECORD: (tmp_path / RECORD).read_text()}
    moved = Path.replace
    files = {name: f"{text}more\n" for name, text in FILES.items()} | {"x/y/z": "new"}

    def fail(self: Path, target: Path) -> Path:
        if target.name == "init.toml":
            raise OSError(28, "No space left on device")
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ConfigurationError, match="No space left"):
        init(tmp_path, files)
    assert contents(tmp_path) | {RECORD: (tmp_path / RECORD).read_text()} == before
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob(".phasegate*"))


@pytest.mark.parametrize("text", ["", "format_version = 2\n[sha256]\n", "nonsense", "sha256 = 1"])
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    init(tmp_path, FILES)
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ConfigurationError, match=r"init\.toml cannot be read"):
        compare(tmp_path, FILES)
