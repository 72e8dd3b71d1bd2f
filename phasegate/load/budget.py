"""A bound on the requests that one process may send: pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Budget:
    """A cap on requests sent.

    Args:
        requests: the cap; None for no cap.
        when_spent: called once, when a request is refused for the first time.
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
