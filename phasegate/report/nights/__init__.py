"""What is said and drawn of the nights: findings, summary, digest, history page.

Reads records and change points; measures nothing and opens no database. Writes the one page.
"""

from __future__ import annotations

from phasegate.report.nights.digest import digest, markdown, summary
from phasegate.report.nights.judge import judge, verdict
from phasegate.report.nights.page import build
from phasegate.report.nights.terminal import as_record, chart, find, table

__all__ = [
    "as_record",
    "build",
    "chart",
    "digest",
    "find",
    "judge",
    "markdown",
    "summary",
    "table",
    "verdict",
]
