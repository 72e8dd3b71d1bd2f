"""The files that Locust's `--csv` promises, complete. Writes their last rows."""

from __future__ import annotations

import time

from locust import stats


class CompleteCsv(stats.StatsCSVFileWriter):
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
    stats.StatsCSVFileWriter = CompleteCsv  # type: ignore[misc]
