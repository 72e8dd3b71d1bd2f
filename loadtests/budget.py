"""A bound on the requests that one process may send: pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Budget:
    """So many requests and no more.

    Args:
        requests: how many; None for as many as it takes.
        when_spent: called once, by whoever asks for one too many.
    """

    requests: int | None
    when_spent: Callable[[], object]
    sent: int = 0
    _told: bool = False

    def spend(self) -> bool:
        """Take one; False when none is left."""
        if self.requests is None or self.sent < self.requests:
            self.sent += 1
            return True
        if not self._told:
            self._told = True
            self.when_spent()
        return False


def share_of(requests: int | None, slot: int, slots: int) -> int | None:
    """The part of a budget that process `slot` of `slots` gets; the parts add up to the whole."""
    if requests is None:
        return None
    return requests // slots + (1 if slot < requests % slots else 0)
