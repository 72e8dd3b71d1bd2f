"""Feeds Locust's own statistics (web UI, console, CSV), in bulk, and completes its CSV files.

Locust's `request` event costs more per request than ours do together. Where nobody else listens
to it, each second's requests go into Locust's entries at once, the way its master merges its
workers' reports. Where somebody does (an exporter, say), every request is fired as ever.
"""

from __future__ import annotations

import time

import numpy as np
from locust import stats as locust_stats
from locust.env import Environment
from locust.stats import StatsEntry, bucket_response_time

from phasegate.load.expectations import Failure
from phasegate.load.recorder import BYTES, DONE_S, DUE_S, FAILED, STATUS, Rows

# Locust's runner listens itself.
OWN_LISTENERS = 1


def feed(environment: Environment, name: str, rows: Rows) -> None:
    """Count `rows` of the endpoint `name` (as `GET notes`); latency is from due."""
    method, _, path = name.partition(" ")
    latency_ms = (rows[:, DONE_S] - rows[:, DUE_S]) * 1000
    listeners = environment.events.request._handlers  # noqa: SLF001 - Locust has no count
    if len(listeners) > OWN_LISTENERS:
        _fire(environment, method, path, rows, latency_ms)
        return
    stats = environment.stats
    for entry in (stats.total, stats.get(path, method)):
        entry.extend(_entry(entry, rows, latency_ms))
    for row in rows[rows[:, FAILED] > 0]:
        stats.log_error(method, path, _error(row))


WORDS = {
    Failure.REDIRECT: ", a redirect",
    Failure.NOT_JSON: ", but no JSON",
    Failure.UNEXPECTED: ", but of another form than expected",
    Failure.REJECTED: ", but refused by the locustfile",
}


def _error(row: Rows) -> str:
    status = int(row[STATUS])
    return f"HTTP {status}{WORDS.get(Failure(int(row[FAILED])), '')}" if status else "no answer"


def _fire(environment: Environment, method: str, path: str, rows: Rows, latency_ms: Rows) -> None:
    for row, latency in zip(rows, latency_ms, strict=True):
        environment.events.request.fire(
            request_type=method,
            name=path,
            response_time=float(latency),
            response_length=int(row[BYTES]),
            exception=_error(row) if row[FAILED] else None,
            context={},
        )


def _entry(into: StatsEntry, rows: Rows, latency_ms: Rows) -> StatsEntry:
    entry = StatsEntry(into.stats, into.name, into.method)
    entry.num_requests = len(rows)
    entry.total_response_time = float(latency_ms.sum())  # type: ignore[assignment]
    entry.min_response_time = float(latency_ms.min())  # type: ignore[assignment]
    entry.max_response_time = float(latency_ms.max())  # type: ignore[assignment]
    entry.total_content_length = int(rows[:, BYTES].sum())
    # The rows' clock has another origin than Locust's.
    now_s, offset_s = time.time(), time.time() - time.perf_counter()
    entry.last_request_timestamp = now_s
    entry.start_time = into.start_time
    for second, count in zip(
        *np.unique((rows[:, DONE_S] + offset_s).astype(np.int64), return_counts=True), strict=True
    ):
        entry.num_reqs_per_sec[int(second)] += int(count)
    for latency, count in zip(*np.unique(np.rint(latency_ms), return_counts=True), strict=True):
        entry.response_times[bucket_response_time(float(latency))] += int(count)
    return entry


class CompleteCsv(locust_stats.StatsCSVFileWriter):
    """Locust's writer, whose files hold the last second too.

    Locust writes once a second and closes the files without a last word, so what was answered since
    is missing in them.
    """

    def close_files(self) -> None:
        """Write the final figures, then close."""
        for handle, writer, columns, rows in (
            (
                self.requests_csv_filehandle,
                self.requests_csv_writer,
                self.requests_csv_columns,
                self._requests_data_rows,
            ),
            (
                self.failures_csv_filehandle,
                self.failures_csv_writer,
                self.failures_columns,
                self._failures_data_rows,
            ),
            (
                self.exceptions_csv_filehandle,
                self.exceptions_csv_writer,
                self.exceptions_columns,
                self._exceptions_data_rows,
            ),
        ):
            handle.seek(0)
            writer.writerow(columns)
            rows(writer)
            handle.truncate()
        if not self.stats_history_csv_filehandle.tell():
            self.stats_history_csv_writer.writerow(self.stats_history_csv_columns)
        self._stats_history_data_rows(self.stats_history_csv_writer, time.time())
        super().close_files()


def install_csv_writer() -> None:
    """Have Locust use `CompleteCsv` for `--csv`."""
    locust_stats.StatsCSVFileWriter = CompleteCsv  # type: ignore[misc]
