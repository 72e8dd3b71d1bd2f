"""The verbs, by what they do: measure, keep a stack, answer from files.

Each parses, calls its room and prints. Errors rise to `__main__`. Rooms that are slow to
import (matplotlib takes a second) are imported by the verb that needs them.
"""
