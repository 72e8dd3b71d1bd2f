"""The system under test on this machine: PostgreSQL, its SQL by stack level, and the reference API.

Knows `phases` and `records`.
"""
