"""The search for the smallest set of parts that holds. Pure: whoever calls it drives the load.

Parts are added one by one, the most promising first, until the stack holds; then each is taken away
again, the least promising first, and stays away where the stack still holds. What remains is
1-minimal: without any one of its parts it was seen not to hold (Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002, section 3.2: their input is our set, their
failure our holding).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from phasegate.load.breakpoint import Finding

Seen = TypeVar("Seen")

Added = tuple[str, ...]
"""Parts, in the order in which they were added."""


@dataclass
class Search(Generic[Seen]):
    """One search; `drive` is called once for each set of parts.

    Attributes:
        drive: drives the load with parts added, and says what it saw and what that means.
        promising: those of some parts that are worth adding, best first, by what was seen without
            them.
        trials_max: sets that may be driven.
        trials: what was driven, in order.
    """

    drive: Callable[[Added], tuple[Finding, Seen]]
    promising: Callable[[Sequence[str], Seen], Sequence[str]]
    trials_max: int
    trials: dict[frozenset[str], tuple[Added, Finding, Seen]] = field(default_factory=dict)

    def seen(self, parts: Added) -> tuple[Finding, Seen] | None:
        """What driving `parts` gave; None where no trial is left for it."""
        key = frozenset(parts)
        if key not in self.trials:
            if len(self.trials) >= self.trials_max:
                return None
            self.trials[key] = (parts, *self.drive(parts))
        return self.trials[key][1:]

    def least(self, start: Added, candidates: Sequence[str]) -> tuple[Finding, Added]:
        """The smallest set that holds, found from `start` on.

        Args:
            start: parts that are there already; they are not taken away again.
            candidates: that may be added.

        Returns:
            SUSTAINED and the set; NOT_SUSTAINED and all candidates where they do not do; UNKNOWN
            and what was driven last where that could not be judged, or trials ran out.
        """
        finding, parts = self._grown(start, candidates)
        if finding is not Finding.SUSTAINED:
            return finding, parts
        return finding, self._shrunk(parts, len(start))

    def _grown(self, start: Added, candidates: Sequence[str]) -> tuple[Finding, Added]:
        parts = start
        while True:
            found = self.seen(parts)
            if found is None or found[0] is Finding.UNKNOWN:
                return Finding.UNKNOWN, parts
            if found[0] is Finding.SUSTAINED:
                return Finding.SUSTAINED, parts
            left = self.promising([part for part in candidates if part not in parts], found[1])
            if not left:
                return Finding.NOT_SUSTAINED, parts
            parts = (*parts, left[0])

    def _shrunk(self, parts: Added, kept: int) -> Added:
        """Without every part behind the first `kept` that it holds without."""
        for part in reversed(parts[kept:]):
            fewer = tuple(other for other in parts if other != part)
            found = self.seen(fewer)
            if found is not None and found[0] is Finding.SUSTAINED:
                # What was needed beside this part may not be without it.
                return self._shrunk(fewer, kept)
        return parts

    def without(self, parts: Added, part: str) -> Seen | None:
        """What was seen of `parts` without one of them; None where it was not driven."""
        found = self.trials.get(frozenset(parts) - {part})
        return None if found is None else found[2]
