"""Free text without secrets, addresses and rows of user data: what may be kept, shown and pasted.

Pure. Records are made without them; this is the second wall, for text that came from elsewhere (an
error of the server's, a commit's subject). It rather takes a word too many than one too few.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from phasegate.records.night import NightRecord

REMOVED = "[removed]"
_COMMIT = re.compile(r"[0-9a-f]{7,40}")

_RULES: tuple[re.Pattern[str], ...] = (
    # Any URL or DSN whole: user, password, host, port, database, query.
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'`<>]*", re.IGNORECASE),
    # What the server says of rows: `Key (email)=(bob@example.com)`, `Failing row contains (…)`.
    re.compile(r"(?<=\)=)\(.*?\)(?=\s|$|[.,;])"),
    re.compile(r"(?<=contains )\(.*\)"),
    # name=value and name: value of what is secret or says where.
    re.compile(
        r"(?<![a-z])(?:[a-z_]*(?:password|passwd|secret|token|api_?key|apikey|jwt|service_role"
        r"|anon_key|private_key)|pgpass\w*|host(?:addr|name)?|hostname|authorization)[\"']?"
        r"\s*[=:]\s*(?:bearer\s+)?(?:\"[^\"]*\"|'[^']*'|[^\s,;]+)",
        re.IGNORECASE,
    ),
    re.compile(r"\bbearer\s+\S+", re.IGNORECASE),
    # JSON web tokens, and keys that begin by saying whose they are.
    re.compile(r"\beyJ[\w-]{5,}(?:\.[\w-]*){0,2}"),
    re.compile(r"\b(?:sb[ap]?|sk|pk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abp]|AKIA)[-_]?\w{12,}"),
    re.compile(r"\bsb_(?:secret|publishable)_\S+"),
    # Addresses: mail, IPv4 and v6, names of hosts.
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*"),
    re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])"),
    re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}(?![\w:])", re.IGNORECASE),
    re.compile(
        r"\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+"
        r"(?:com|co|net|org|io|dev|app|cloud|internal|local|lan|example|test|invalid)\b(?::\d+)?",
        re.IGNORECASE,
    ),
    re.compile(r"\blocalhost:\d+\b", re.IGNORECASE),
    # Keys of rows, and folders that carry a person's name.
    re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE),
    re.compile(r"(?<![\w])/(?:home|Users|root)/\S*"),
    # Whatever else is long and looks drawn at random: letters and digits, 24 or more.
    re.compile(r"(?<![\w/+-])(?=[\w/+-]*[0-9])(?=[\w/+-]*[A-Za-z])[A-Za-z0-9_/+-]{32,}={0,2}"),
    re.compile(r"(?<!\w)(?=\w*[0-9])(?=\w*[A-Za-z])[A-Za-z0-9]{24,}(?!\w)"),
)  # fmt: skip


@lru_cache(maxsize=4096)  # the same names and notes come back night after night
def text(words: str) -> str:
    """`words` with what must not be shown replaced by `[removed]`."""
    for rule in _RULES:
        words = rule.sub(REMOVED, words)
    return words


def _texts(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text(each) for each in words)


def night(record: NightRecord) -> NightRecord:
    """`record` with every free text of it scrubbed; identifiers and figures stay."""
    change = msgspec.structs.replace
    circumstances, server = record.circumstances, record.server
    if circumstances is not None:
        circumstances = change(circumstances, quarantine=_texts(circumstances.quarantine))
    if server is not None:
        settings = {name: text(f"{name}={value}") for name, value in server.settings.items()}
        server = change(
            server,
            version=text(server.version),
            settings={
                name: REMOVED if REMOVED in found else server.settings[name]
                for name, found in settings.items()
            },
        )
    return change(
        record,
        baseline=record.baseline if _COMMIT.fullmatch(record.baseline) else text(record.baseline),
        circumstances=circumstances,
        server=server,
        series=tuple(
            change(series, name=text(series.name), note=text(series.note))
            for series in record.series
        ),
        findings=tuple(change(finding, text=text(finding.text)) for finding in record.findings),
        notes=_texts(record.notes),
        commits=_texts(record.commits),
    )
