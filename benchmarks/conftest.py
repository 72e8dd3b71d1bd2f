"""The engine's options and fixtures for `pytest benchmarks`."""

from phasegate.compare.pytest_plugin import *  # noqa: F403 - pytest finds hooks and fixtures by name
