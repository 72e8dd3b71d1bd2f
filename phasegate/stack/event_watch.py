"""Watches what a server does beside its statements: checkpoints, vacuums, refreshes, locks, jobs.

Reads pg_stat_activity, pg_locks, pg_stat_all_tables, pg_stat_checkpointer (up to PostgreSQL 16
pg_stat_bgwriter), the worker's and pg_cron's own tables by asyncpg, and the log of a server of
ours; writes nothing. Works from PostgreSQL 14 on. Times come from the age that the server gives,
so that its clock need not be ours. What cannot be read is named once.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import msgspec

from phasegate.records.server_events import EventKind, Growth, Rhythm, ServerEvent
from phasegate.stack.command_names import named, verb
from phasegate.stack.database import CONNECTION_ERRORS

Fetch = Callable[[str], Awaitable[list[asyncpg.Record]]]

FAST_S = 0.1
"""Between two looks at what is at work: a lock that is held for less hardly shows in a p95."""
GROWTH_S = 10.0
EVENTS_MAX = 20_000
"""One a second for five hours; what comes after is counted as not sampled."""
SAME_S = 1.5
"""A counter's event and one that was seen at work are the same where they end so close together."""
KEPT_SHARE = 0.8
"""Connections count as kept where so many looks saw no new one."""

SEES_NO_OTHERS = (
    "what other accounts do on the server (enable: grant pg_read_all_stats to the DSN's account)"
)
NEVER: Mapping[str, int] = {"autovacuum": 0, "autoanalyze": 0, "vacuum": 0, "analyze": 0}
TABLE_KINDS: tuple[EventKind, ...] = ("autovacuum", "autoanalyze", "vacuum", "analyze")
_COMPLETE = re.compile(
    r"checkpoint complete: wrote (?P<buffers>\d+).*?total=(?P<total>[\d.]+) s", re.DOTALL
)


@dataclass(frozen=True)
class _Running:
    event: ServerEvent
    seen_s: float


class EventWatch:
    """What happens from now on.

    Args:
        fetch: gives the rows of a statement of `stack/sql` by its name; raises as asyncpg does.
        log: of the server, where it is one of ours; its checkpoints are then known exactly.
        began_s: zero of the events' times, on `time.monotonic`'s clock.
        slow_s: between two looks at counters.
    """

    def __init__(self, fetch: Fetch, log: Path | None, began_s: float, slow_s: float) -> None:
        self._fetch, self._log, self._began_s, self._slow_s = fetch, log, began_s, slow_s
        self._log_at = log.stat().st_size if log is not None and log.exists() else 0
        self._settings: Mapping[str, Any] = {}
        self._running: dict[tuple[int, str, str], _Running] = {}
        self._tables: dict[str, dict[str, Any]] | None = None
        self._checkpoints: tuple[float, Mapping[str, Any] | None] = (0.0, None)
        self._looked_s = dict.fromkeys(("fast", "slow", "growth"), float("-inf"))
        self._refreshed_s: dict[str, float] = {}
        self._jobs: set[int] = set()
        self._sessions: list[tuple[float, int]] = []
        self._growth: Growth | None = None
        self._events: list[ServerEvent] = []
        self.rhythms: tuple[Rhythm, ...] = ()
        self.not_sampled: set[str] = set()

    async def look(self) -> None:
        """Look at what is due to be looked at."""
        try:
            if not self._settings:
                await self._begin()
            for pace, every_s, work in (
                ("fast", FAST_S, self._look_at_work),
                ("slow", self._slow_s, self._look_at_counters),
                ("growth", GROWTH_S, self._look_at_growth),
            ):
                if self._now_s - self._looked_s[pace] >= every_s - 0.02:
                    self._looked_s[pace] = self._now_s
                    await work()
        except asyncpg.PostgresError as error:
            self.not_sampled.add(f"some events of the server ({type(error).__name__})")
        except CONNECTION_ERRORS:
            pass  # the sampler names it

    def take_growth(self) -> Growth | None:
        """The newest one, once."""
        found, self._growth = self._growth, None
        return found

    def finish(self) -> tuple[ServerEvent, ...]:
        """Everything that happened, in the order in which it began."""
        for running in self._running.values():
            self._events.append(msgspec.structs.replace(running.event, end_s=running.seen_s))
        self._events += reconnects(self._sessions)
        if len(self._events) > EVENTS_MAX:
            self.not_sampled.add(f"events of the server beyond {EVENTS_MAX:,}")
        found = sorted(self._events, key=lambda event: event.begin_s)
        return tuple(found[:EVENTS_MAX])

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    async def _begin(self) -> None:
        (self._settings,) = (dict(row) for row in await self._fetch("events_rhythms"))
        found = [
            Rhythm(
                kind="checkpoint",
                what="",
                every_s=self._settings["checkpoint_s"],
                said_by="checkpoint_timeout",
            )
        ]
        if self._settings["has_autovacuum"]:
            found.append(
                Rhythm(kind="autovacuum", what="", every_s=None, said_by="autovacuum_naptime")
            )
        if self._settings["has_refreshes"]:
            found += [
                Rhythm(kind="refresh", what=row["what"], every_s=row["every_s"], said_by="every_s")
                for row in await self._fetch("events_refreshes")
            ]
        if self._settings["has_jobs"]:
            found.append(Rhythm(kind="job", what="", every_s=None, said_by="cron.job"))
        if not self._settings["sees_others"]:
            self.not_sampled.add(SEES_NO_OTHERS)
        self.rhythms = tuple(found)

    async def _look_at_work(self) -> None:
        rows = await self._fetch("events_running")
        holders = []
        if any(row["waits_for_lock"] for row in rows):
            holders = await self._fetch("events_locks")
        now_s, seen = self._now_s, set()
        for row in rows:
            if row["query"] is None or (row["waits_for_lock"] and not row["is_autovacuum"]):
                continue
            kind, what = named(row["query"])
            if kind == "maintenance" and row["is_autovacuum"]:
                continue  # the launcher's or another worker of the server's own, between two tables
            seen.add(self._see(row["pid"], kind, what, now_s, row["age_s"], ""))
        for row in holders:
            what = f"{row['relation'] or 'rows'}, held by {verb(row['query'] or '')}"
            idle = "idle" in (row["state"] or "")
            detail = "its transaction was idle" if idle else ""
            seen.add(self._see(row["pid"], "lock", what, now_s, row["age_s"] or 0.0, detail))
        for key in set(self._running) - seen:
            ended = self._running.pop(key)
            # It ended between the last look that saw it and this one.
            self._events.append(
                msgspec.structs.replace(ended.event, end_s=(ended.seen_s + now_s) / 2)
            )
        self._read_log()

    def _see(
        self, pid: int, kind: EventKind, what: str, now_s: float, age_s: float, detail: str
    ) -> tuple[int, str, str]:
        key = (pid, kind, what)
        before = self._running.get(key)
        event = ServerEvent(
            kind=kind, what=what, begin_s=max(now_s - age_s, 0.0), end_s=None, detail=detail
        )
        if before is not None and abs(before.event.begin_s - event.begin_s) < FAST_S:
            event = before.event
        elif before is not None:
            self._events.append(msgspec.structs.replace(before.event, end_s=before.seen_s))
        self._running[key] = _Running(event, now_s)
        return key

    async def _look_at_counters(self) -> None:
        now_s = self._now_s
        self._sessions.append((now_s, (await self._fetch("events_sessions"))[0]["sessions"]))
        await self._look_at_tables()
        if self._log is None:
            await self._look_at_checkpoints()
        if self._settings["has_refreshes"]:
            for row in await self._fetch("events_refreshes"):
                if row["duration_s"] is not None:
                    begin_s = self._now_s - row["age_s"]
                    self._note_refresh(row["what"], begin_s, row["duration_s"])
        if self._settings["has_jobs"]:
            for row in await self._fetch("events_jobs"):
                self._note_job(row)

    async def _look_at_tables(self) -> None:
        rows = {row["relation"]: dict(row) for row in await self._fetch("events_tables")}
        now_s, before, self._tables = self._now_s, self._tables, rows
        if before is None:
            return
        for relation, row in rows.items():
            for kind in TABLE_KINDS:
                age_s = row[f"{kind}_age_s"]
                if age_s is None or row[kind] <= before.get(relation, NEVER)[kind]:
                    continue
                self._note_ended(kind, relation, now_s - age_s)

    def _note_ended(self, kind: EventKind, what: str, end_s: float) -> None:
        """Keep what a counter tells, unless it was seen at work: then its begin is known."""
        at_work = [*self._events, *(one.event for one in self._running.values())]
        for event in reversed(at_work[-50:]):
            ended_s = event.end_s if event.end_s is not None else self._now_s
            # One worker vacuums and analyses a table in one go.
            both = event.kind == kind or (event.kind, kind) == ("autovacuum", "autoanalyze")
            same = both and event.what.rpartition(".")[2] == what.rpartition(".")[2]
            if same and abs(ended_s - end_s) < SAME_S:
                return
        self._events.append(
            ServerEvent(kind=kind, what=what, begin_s=end_s, end_s=None, within_s=FAST_S)
        )

    async def _look_at_checkpoints(self) -> None:
        """By counters: they tell that one began, and that one has ended, since the last look."""
        new = self._settings["version"] >= 170_000
        row = (await self._fetch("events_checkpoints_17" if new else "events_checkpoints"))[0]
        now_s = self._now_s
        (before_s, before), self._checkpoints = self._checkpoints, (now_s, dict(row))
        if before is None:
            return
        if row["begun"] > before["begun"]:
            begun = ServerEvent(
                kind="checkpoint", what="", begin_s=now_s, end_s=None, within_s=now_s - before_s
            )
            self._events.append(begun)
        if row["written_ms"] > before["written_ms"]:
            self._end_checkpoint(now_s, "")

    def _end_checkpoint(self, end_s: float, detail: str, total_s: float | None = None) -> None:
        """The newest checkpoint that has not ended has."""
        for place in range(len(self._events) - 1, -1, -1):
            event = self._events[place]
            if event.kind == "checkpoint":
                if event.end_s is None:
                    begin_s = event.begin_s if total_s is None else max(end_s - total_s, 0.0)
                    within_s = event.within_s if total_s is None else 0.0
                    self._events[place] = msgspec.structs.replace(
                        event, begin_s=begin_s, end_s=end_s, within_s=within_s, detail=detail
                    )
                return

    def _read_log(self) -> None:
        """What the server's log says of checkpoints since the last look (`log_checkpoints`)."""
        if self._log is None:
            return
        try:
            with self._log.open("rb") as file:
                file.seek(self._log_at)
                said = file.read()
        except OSError:
            self.not_sampled.add("the server's log (it cannot be read)")
            self._log = None
            return
        whole = said[: said.rfind(b"\n") + 1]
        self._log_at += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            if "checkpoint starting:" in line:
                why = line.partition("checkpoint starting:")[2].strip()
                self._events.append(
                    ServerEvent(
                        kind="checkpoint", what="", begin_s=self._now_s, end_s=None, detail=why
                    )
                )
            elif found := _COMPLETE.search(line):
                detail = f"wrote {int(found['buffers']):,} buffers in {found['total']} s"
                self._end_checkpoint(self._now_s, detail, float(found["total"]))

    def _note_refresh(self, view: str, begin_s: float, duration_s: float) -> None:
        before_s = self._refreshed_s.get(view)
        self._refreshed_s[view] = begin_s
        if begin_s < 0 or (before_s is not None and abs(begin_s - before_s) < SAME_S):
            return
        end_s = begin_s + duration_s
        self._events.append(ServerEvent(kind="refresh", what=view, begin_s=begin_s, end_s=end_s))

    def _note_job(self, row: Mapping[str, Any]) -> None:
        begin_s, took_s = self._now_s - row["age_s"], row["duration_s"]
        if begin_s < 0 or row["number"] in self._jobs or took_s is None:
            return
        self._jobs.add(row["number"])
        self._events.append(
            ServerEvent(kind="job", what=row["what"], begin_s=begin_s, end_s=begin_s + took_s)
        )

    async def _look_at_growth(self) -> None:
        row = (await self._fetch("events_growth"))[0]
        self._growth = Growth(**dict(row))


def reconnects(sessions: list[tuple[float, int]]) -> list[ServerEvent]:
    """New connections, where they are else kept: a pool that renews them, a client that came back.

    Args:
        sessions: opened so far, at each look.
    """
    gained = [
        (before[0], after[0], after[1] - before[1])
        for before, after in itertools.pairwise(sessions)
    ]
    quiet = sum(new <= 0 for _, _, new in gained)
    if not gained or quiet < KEPT_SHARE * len(gained) or median(new for *_, new in gained) > 0:
        return []
    return [
        ServerEvent(
            kind="reconnect",
            what="",
            begin_s=after_s,
            end_s=None,
            within_s=after_s - before_s,
            detail=f"{new} new connection{'s' if new > 1 else ''}",
        )
        for before_s, after_s, new in gained
        if new > 0
    ]
