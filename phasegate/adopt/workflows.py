"""Workflows for a project in anybody's repository: nightly, staging and health, as text.

Reads phasegate's own in `.github/`, which the wheel carries beside this module, and changes what
another repository has another of: which phasegate, where the project lies, the files' names. Writes
nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from phasegate.model.errors import ConfigurationError

_HERE = Path(__file__).resolve()
_WHEEL = _HERE.with_name("github")
_OURS = _WHEEL if _WHEEL.is_dir() else _HERE.parents[2] / ".github"
_LOCK = "requirements.lock"

FOLDER = ".github/phasegate"
"""Where the scripts, the lock and the record of what was written go."""
NAMES = {
    "nightly-benchmarks": "phasegate-nightly",
    "loadtest-staging": "phasegate-staging",
    "infra-health-check": "phasegate-health",
}
"""Our workflows, and what they are called elsewhere."""
SCRIPTS = (
    "baseline.sh",
    "health.sh",
    "history-fetch.sh",
    "history-push.sh",
    "install.sh",
    "nightly.sh",
    "nightly_issue.py",
    "secrets.sh",
    "staging.sh",
)
HEAD = (
    "# Written by `phasegate init --workflows`, which leaves alone what you edit. Its scripts are\n"
    f"# in {FOLDER}/.\n#\n"
)

WHICH = (
    "# Which phasegate, in pip's words. Where pip's index has no such release (the first one is\n"
    "# not out yet, say), put the address of a wheel here, https://…/phasegate-….whl, or of a\n"
    '# commit, git+https://…/phasegate@COMMIT: the step "Install" fails until then.\n# '
)

# What the nightly's data set depends on; in a checkout of phasegate, also its engine.
_KEY = re.compile(r"'phasegate\.toml', 'seed/\*\*', 'phasegate/nightly[^)]*")
_PLAIN_FOLDER = re.compile(r"[\w./ -]+")


def workflows(place: str, version: str) -> dict[str, str]:
    """Path, below the repository, and text of each file.

    Args:
        place: the project's folder below the repository, with `/`; `.` for the repository itself.
        version: of the phasegate to install.

    Raises:
        ConfigurationError: the folder's name has a character that a workflow would take for more.
    """
    if not _PLAIN_FOLDER.fullmatch(place):
        raise ConfigurationError(
            f"A workflow cannot name the folder {place!r}",
            untouched="Nothing was written",
            then="Use letters, digits, blanks and ._- in the names of the project's folders",
        )
    below = "" if place == "." else f"{place}/"
    key = f"'{below}phasegate.toml', '{below}seed/**', '.github/workflows/phasegate-nightly.yml'"
    changes = [
        ('PHASEGATE_PACKAGE: ""', f'PHASEGATE_PACKAGE: "phasegate=={version}"'),
        ('PHASEGATE_PROJECT: "."', f'PHASEGATE_PROJECT: "{place}"'),
        ("# Which phasegate: this checkout's where none is named. ", WHICH),
        (f"'{_LOCK}'", f"'{FOLDER}/{_LOCK}'"),
        (".github/scripts", FOLDER),
        *NAMES.items(),
    ]
    files = {}
    for ours, theirs in NAMES.items():
        text = _KEY.sub(key, _read(f"workflows/{ours}.yml"))
        for old, new in changes:
            text = text.replace(old, new)
        files[f".github/workflows/{theirs}.yml"] = HEAD + text
    for name in SCRIPTS:
        files[f"{FOLDER}/{name}"] = _read(f"scripts/{name}").replace(".github/scripts", FOLDER)
    return {**files, f"{FOLDER}/{_LOCK}": _lock()}


def _read(name: str) -> str:
    return (_OURS / name).read_text(encoding="utf-8")


def _lock() -> str:
    """Our packages by hash; the wheel has the file beside the workflows, a checkout above them."""
    folder = _OURS if _OURS == _WHEEL else _OURS.parent
    return (folder / _LOCK).read_text(encoding="utf-8")
