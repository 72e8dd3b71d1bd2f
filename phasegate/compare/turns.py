"""How a session's time is shared out: turns of a comparison, and seconds for each.

Reads the clock; writes nothing.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

# Of a budget, for bringing the database to the level that the arms need.
SETUP_SHARE_MAX = 0.5


@dataclass(frozen=True)
class Turn:
    """One of the turns in which a comparison is measured, its share of the whole.

    What disturbs a machine lasts for seconds, longer than a short comparison: blocks from several
    turns, with others' turns between them, do not all meet the same.
    """

    number: int = 0
    of: int = 1

    @property
    def last(self) -> bool:
        """Whether none follows."""
        return self.number + 1 == self.of

    def due(self, whole: int) -> int:
        """How many of `whole` there are to be at its end."""
        return math.ceil(whole * (self.number + 1) / self.of)


@dataclass
class Budget:
    """Seconds for all techniques together; what one leaves over, the next ones share."""

    total_s: float
    shares: int
    _start: float = field(default_factory=time.monotonic)

    def allowance_s(self, at_least_s: float, shares: int = 1) -> float:
        """For the next one, whose shares it counts as taken."""
        allowed_s = self.left_s * shares / max(shares, self.shares)
        self.shares -= shares
        return max(allowed_s, at_least_s)

    def opened(self) -> None:
        """The set-up is done. It takes no more than half: at a million users it lasts minutes."""
        self._start = max(self._start, time.monotonic() - self.total_s * SETUP_SHARE_MAX)

    @property
    def left_s(self) -> float:
        """What nobody has used."""
        return self.total_s - (time.monotonic() - self._start)
