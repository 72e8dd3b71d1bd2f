"""Suspects: commits that touch what is measured, from a real repository."""

from __future__ import annotations

import subprocess

import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.nightly import suspects

pytestmark = pytest.mark.integration


@pytest.fixture
def repository(tmp_path):
    """A commit as baseline, then one that touches SQL, one the README, one both server and data."""

    def git(*arguments):
        identity = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def commit(subject, *names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(subject)
        git("add", "--all")
        git("commit", "-q", "-m", subject)

    git("init", "-q")
    commit("Begin", "README.md", "phasegate/stack/sql/a.sql")
    git("tag", "base")
    commit("Fetch page by page", "phasegate/stack/sql/a.sql", "phasegate/stack/sql/b.sql")
    commit("Say it better", "README.md")
    commit("Encode anew", "phasegate/api/answers.py", "seed/keys.sql")
    return tmp_path


def test_only_what_touches_the_measured_is_suspect_newest_first(repository):
    found = suspects.suspects(repository, "base")
    assert [line.split(" ", 1)[1] for line in found.commits] == [
        "Encode anew", "Fetch page by page",
    ]  # fmt: skip
    assert found.files_changed == {"phasegate/api": 1, "phasegate/stack": 2, "seed": 1}


def test_more_commits_than_a_person_reads_are_counted(repository, monkeypatch):
    monkeypatch.setattr(suspects, "COMMITS_MAX", 1)
    assert suspects.suspects(repository, "base").commits[1:] == ("and 1 more",)


def test_nothing_between_two_equal_commits(repository):
    assert suspects.suspects(repository, "HEAD") == suspects.Suspects((), {})


@pytest.mark.parametrize("name", ["no-such-tag", "--output=/tmp/x"])
def test_what_is_no_commit_is_refused_by_name(repository, name):
    with pytest.raises(ConfigurationError, match="baseline and HEAD"):
        suspects.suspects(repository, name)
