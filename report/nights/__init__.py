"""What is said and drawn of the nights: findings, summary, digest, history page.

Reads records and change points; measures nothing and opens no database. Writes the one page.
"""

from __future__ import annotations

from report.nights.digest import digest, markdown
from report.nights.judge import judge, verdict
from report.nights.page import build
from report.nights.summary import summary
from report.nights.terminal import as_record, chart, find, table

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
