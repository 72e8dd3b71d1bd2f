from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.model.errors import ConfigurationError
from phasegate.records import store
from phasegate.records.perf import PerfRecord, PerfRow


def _record(name: str = "seed") -> PerfRecord:
    row = PerfRow(
        name=name,
        unit="s",
        ours=1.1,
        peer=1.0,
        peer_name="COPY",
        ratio=1.1,
        ratio_low=1.0,
        ratio_high=1.2,
        repetitions=5,
        goal="≤ 1.25",
        holds=True,
    )
    return PerfRecord(format_version=1, rows=(row,))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("store") / "deep" / "perf.json"
    store.write(path, _record(name))
    assert store.read(path, PerfRecord) == _record(name)


def test_writing_leaves_no_partial_file_behind(tmp_path: Path) -> None:
    store.write(tmp_path / "perf.json", _record())
    assert [path.name for path in tmp_path.iterdir()] == ["perf.json"]


def test_a_record_of_another_version_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PerfRecord 9"):
        store.write(tmp_path / "perf.json", PerfRecord(format_version=9, rows=()))
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot read .*perf\.json: No such file"):
        store.read(tmp_path / "perf.json", PerfRecord)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "perf.json"
    store.write(path, _record())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigurationError, match=r"perf\.json is not a (whole )?PerfRecord"):
        store.read(path, PerfRecord)


def test_a_newer_version_says_to_use_a_newer_phasegate(tmp_path: Path) -> None:
    path = tmp_path / "perf.json"
    path.write_text('{"format_version": 99, "rows": [], "more": 1}')
    with pytest.raises(ConfigurationError, match=r"format version 99.*Use a newer phasegate"):
        store.read(path, PerfRecord)


def test_a_hand_edited_value_is_refused_and_its_key_named(tmp_path: Path) -> None:
    path = tmp_path / "perf.json"
    store.write(path, _record())
    edited = json.loads(path.read_text())
    edited["rows"][0]["ratio"] = "fast"
    path.write_text(json.dumps(edited))
    with pytest.raises(ConfigurationError, match=r"`\$\.rows"):
        store.read(path, PerfRecord)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "perf.json"
    path.write_text('{"format_version": 1, "rows": [], "rowz": []}')
    with pytest.raises(ConfigurationError, match="rowz"):
        store.read(path, PerfRecord)
