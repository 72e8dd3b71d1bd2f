"""The night as Markdown for a pull request or `$GITHUB_STEP_SUMMARY`. Pure."""

from __future__ import annotations

from phasegate.records import history, scrub
from phasegate.records.history import History
from phasegate.records.night import NightRecord, Series
from phasegate.report import format as words
from phasegate.report import page
from phasegate.report.nights.digest import digest


def summary(record: NightRecord, found: History) -> str:
    """What moved, on what evidence, and every series with its ratio; free text is scrubbed.

    Args:
        record: the night, judged.
        found: the history, with or without it.
    """
    record = scrub.night(record)
    template = page.environment(escape=False).get_template("night_summary.md")
    return template.render(
        digest=digest(record, found),
        rows=[_row(series) for series in record.series if series.ratios is not None],
        wall_s=record.wall_s,
        dirty=record.dirty,
    )


def _row(series: Series) -> dict[str, str]:
    first, second = series.ratios, series.confirmation
    combined = history.combined(series)
    return {
        "id": series.id,
        "name": series.name,
        "means": "–" if combined is None else words.speed(combined),
        "first": words.interval(first.estimate, first.low, first.high) if first else "–",
        "second": words.interval(second.estimate, second.low, second.high) if second else "",
        "blocks": str(len(first.logs)) if first else "–",
    }
