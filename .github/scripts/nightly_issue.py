"""One issue about the nightly: opened once, kept up to date, closed when a night finds nothing.

`nightly_issue.py CODE FOLDER`: CODE is how `phasegate nightly` ended; FOLDER has the night's record
(`history/<night>.json`) and its digest (`digest.md`). Talks to GitHub through `gh`, which reads
GH_TOKEN.

0, nothing moved: an open issue is closed. 1, something moved: the issue is opened, or its text is
replaced; a comment is added only where *what* moved has changed, since every comment is a mail.
3, the night does not count: everything stays as it is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LABEL = "nightly-benchmark"
TITLE = "Nightly benchmark: something moved"

# GitHub takes 65,536 characters; the rest is for the frame around the digest.
DIGEST_CHARACTERS_MAX = 60_000

MARKER = re.compile(r"<!-- moved: (.*) -->")


def gh(*arguments: str, body: str | None = None) -> str:
    """What `gh` prints. `body` goes in by standard input: an argument may be too long.

    Raises:
        subprocess.CalledProcessError: it failed; its own message is on standard error.
    """
    return subprocess.run(
        ["gh", *arguments], input=body, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def open_issue() -> dict[str, Any] | None:
    """Number and body of the open issue; None where there is none."""
    listed = gh("issue", "list", "--label", LABEL, "--state", "open", "--json", "number,body")
    issues: list[dict[str, Any]] = json.loads(listed)
    return min(issues, key=lambda issue: int(issue["number"]), default=None)


def moved(record: dict[str, Any]) -> str:
    """What moved, without figures, which differ every night."""
    return ", ".join(sorted({f"{one['series']} ({one['kind']})" for one in record["findings"]}))


def text(digest: str, what: str) -> str:
    """The issue's body: the digest, where the rest is, and what moved, for the next night."""
    if len(digest) > DIGEST_CHARACTERS_MAX:
        digest = digest[:DIGEST_CHARACTERS_MAX] + "\n\n(cut here; the whole is in the artefact)"
    return (
        f"{digest.rstrip()}\n\n---\nRecord, page and digest: {run_url()}\n\n"
        "This text is replaced every night, and the issue closes itself after a night that counts "
        f"and finds nothing.\n\n<!-- moved: {what} -->\n"
    )


def run_url() -> str:
    """The page of this run of the workflow."""
    return "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(
        os.environ
    )


def report(folder: Path) -> None:
    """Open the issue, or bring it up to date."""
    (record,) = (folder / "history").glob("*.json")
    what = moved(json.loads(record.read_text(encoding="utf-8")))
    body = text((folder / "digest.md").read_text(encoding="utf-8"), what)
    issue = open_issue()
    if issue is None:
        gh("label", "create", LABEL, "--force", "--description", "Opened by the nightly benchmark")
        gh("issue", "create", "--title", TITLE, "--label", LABEL, "--body-file", "-", body=body)
        return
    number = str(issue["number"])
    gh("issue", "edit", number, "--body-file", "-", body=body)
    before = MARKER.search(issue["body"])
    if before is None or before[1] != what:
        comment = f"What moved has changed. It is now: {what}.\n\n{run_url()}\n"
        gh("issue", "comment", number, "--body-file", "-", body=comment)


def close() -> None:
    """Close the issue, where one is open."""
    issue = open_issue()
    if issue is not None:
        said = f"Tonight nothing moved against the baseline. {run_url()}"
        gh("issue", "close", str(issue["number"]), "--comment", said)


def main() -> None:
    """Do what the night's exit code asks for."""
    code, folder = int(sys.argv[1]), Path(sys.argv[2])
    if code == 1:
        report(folder)
    elif code == 0:
        close()


if __name__ == "__main__":
    main()
