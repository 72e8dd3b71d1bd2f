"""A project from a database or from migrations: what `phasegate init` writes.

Reads a user's database (its shape, never a row) or its migrations; writes a project's folder.
"""
