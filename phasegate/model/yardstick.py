"""What the yardstick measures: the kinds of work that a server's time is made of. Names alone."""

from __future__ import annotations

ROUND_TRIP, COMMIT = "round trip", "commit"
SCAN, LOOK_UP, SORT, EXPRESSION = "scan", "look-up", "sort", "expression"

WORK = (SCAN, LOOK_UP, SORT, EXPRESSION)
"""What a server computes, from memory; the others wait, for a message or for the disk."""

KINDS = (ROUND_TRIP, *WORK, COMMIT)
"""In the order of a round; each is a statement of `compare/sql/yardstick/`."""

OTHER = "other"
"""Joins, aggregates, triggers, functions: of no kind that the yardstick has."""

NETWORK = "network"
"""Delay, which no processor shortens."""
