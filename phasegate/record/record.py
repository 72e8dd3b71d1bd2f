"""The way from HAR files to a locustfile. Reads the files; writes the one that is named."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phasegate.model.errors import Refused
from phasegate.record.clicks import visits
from phasegate.record.har import NOTHING, Exchange, read_har
from phasegate.record.personal import secrets_of, subject_of, without
from phasegate.record.select import select
from phasegate.record.visit import Visit
from phasegate.record.write_file import Planned, locustfile

REMOVED = "removed"
NOBODY_KNOWN = (
    "no token tells who was signed in. Requests are sent with one that phasegate signs; where the "
    "API takes none, give --users-file with tokens"
)


@dataclass(frozen=True)
class Recorded:
    """A locustfile, and what was found on the way."""

    text: str
    host: str
    """The API's origin."""
    visits: int
    clicks: int
    requests: int
    findings: tuple[str, ...]
    """What a reader should look at: N+1, values that nobody explains, rows that stay."""
    remarks: tuple[str, ...]
    """What was left out, and why."""


Weigh = Callable[[Sequence[Visit]], tuple[list[int], list[str]]]
"""From the kinds of visits to a weight of each, and remarks."""


def record(
    files: Sequence[Path], *, host: str | None = None, weigh: Weigh | None = None
) -> Recorded:
    """The locustfile of what `files` recorded.

    Args:
        files: HAR files; each holds one visit or more.
        host: of the API; guessed where None.
        weigh: says how often each kind of visit is; as often as recorded where None.

    Raises:
        ConfigurationError: a file cannot be read, or holds no request of an API.
    """
    kinds: dict[object, Planned] = {}
    secrets: frozenset[str] = frozenset()
    remarks: list[str] = []
    hosts: list[str] = []
    for file in files:
        recording = read_har(file)
        selected = select(recording.exchanges, host)
        secrets |= secrets_of(recording.exchanges)
        remarks += recording.remarks
        remarks += [
            f"{file.name}: {number} left out: {why}" for why, number in selected.left_out.items()
        ]
        hosts.append(selected.host)
        bare = sum(_lacks_content(exchange) for exchange in selected.exchanges)
        if bare:
            remarks.append(
                f"{file.name}: answers without their content: {bare}. Nothing can be taken from "
                "them: export the HAR with content"
            )
        scripts = [each for each in recording.exchanges if _is_code(each)]
        for visit in visits(selected.exchanges, selected.signing_in, scripts, secrets):
            if visit.own_id_guessed_by:
                remarks.append(
                    f"{file.name}: {visit.own_id_guessed_by} is taken for the user's own key: one "
                    "value alone stood there, and no token tells"
                )
            if visit.sign_in is None and not any(
                subject_of(request.exchange) for request in visit.requests
            ):
                remarks.append(f"{file.name}: {NOBODY_KNOWN}")
            known = kinds.get(visit.shape)
            kinds[visit.shape] = Planned(visit, known.weight + 1 if known else 1, file.stem)
    planned = list(kinds.values())
    if weigh is not None:
        weights, said = weigh([kind.visit for kind in planned])
        planned = [
            Planned(kind.visit, weight, kind.source)
            for kind, weight in zip(planned, weights, strict=True)
        ]
        remarks += said
    text, findings = locustfile(planned)
    if all(kind.visit.writes for kind in planned):
        findings.append(
            "every visit writes: on a host that is not this machine it needs --allow-writes; "
            "record one that only looks around, too"
        )
    return Recorded(
        text=without(text, secrets, REMOVED),
        host=" and ".join(dict.fromkeys(hosts)),
        visits=len(planned),
        clicks=sum(len(kind.visit.clicks) for kind in planned),
        requests=sum(len(kind.visit.requests) for kind in planned),
        findings=tuple(without(each, secrets, REMOVED) for each in dict.fromkeys(findings)),
        remarks=tuple(remarks),
    )


def write_locustfile(
    files: Sequence[Path], target: Path, *, host: str | None = None, weigh: Weigh | None = None
) -> Recorded:
    """Write `target`, the locustfile of what `files` recorded.

    Args:
        files: see `record`.
        target: a file that is not there, or says the same already.
        host: see `record`.
        weigh: see `record`.

    Raises:
        ConfigurationError: see `record`; or `target` cannot be written.
        Refused: `target` is there and says something else; the difference is in the message's
            notes.
    """
    recorded = record(files, host=host, weigh=weigh)
    try:
        there = target.read_text(encoding="utf-8") if target.exists() else None
        if there is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write(recorded.text)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused(
            f"{target} cannot be written or read: {why}",
            untouched=NOTHING,
            then="Make room or open it, or name another file (--output)",
        ) from error
    if there is not None and there != recorded.text:
        refused = Refused(
            f"{target} is there, and says something else",
            untouched=NOTHING,
            then="Name another file (--output), or move that one away",
        )
        refused.add_note(difference(there, recorded.text, target.name))
        raise refused
    return recorded


def difference(there: str, new: str, name: str) -> str:
    """What would change, as `diff -u` shows it."""
    lines = difflib.unified_diff(
        there.splitlines(keepends=True), new.splitlines(keepends=True), name, f"{name} (recorded)"
    )
    return "".join(lines)


def _lacks_content(exchange: Exchange) -> bool:
    asked = exchange.method not in ("HEAD", "DELETE") and exchange.status == 200
    return asked and exchange.is_json and exchange.answered is None


def _is_code(exchange: Exchange) -> bool:
    mime = exchange.answer_mime.lower()
    return "javascript" in mime or "text/html" in mime
