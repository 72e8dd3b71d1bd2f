"""What is said and drawn of the nights: findings, summary, digest, history page.

Reads records and change points; measures nothing and opens no database. Writes the one page.
"""

from __future__ import annotations

from report.nights.judge import judge

__all__ = ["judge"]
