"""The instances of a platform's functions: which one serves a request, which ones are there. Pure.

As AWS Lambda does it (https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html): an
instance serves `concurrency` requests at a time; where all are busy another one is started; those
that nobody asked for `kept_s` are reclaimed. Which of several free instances is asked, no platform
says: here the one that was free last, so that those not needed can be reclaimed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Instance:
    """One instance of a function.

    Attributes:
        function: counted from 0.
        serving: requests that it has under way; none: it is frozen, where the platform freezes.
        idle_since: when it last had none, in seconds of any clock.
    """

    function: int
    serving: int = 0
    idle_since: float = 0.0


class Fleet:
    """All instances of all functions. Moments are seconds of one clock.

    Args:
        concurrency: requests that an instance serves at a time.
        kept_s: how long an instance is kept that nobody asks.
    """

    def __init__(self, concurrency: int, kept_s: float) -> None:
        self._concurrency = concurrency
        self._kept_s = kept_s
        self._free: dict[int, list[Instance]] = {}
        self.instances = 0
        """That there are, busy or not."""

    def take(self, function: int) -> tuple[Instance, bool]:
        """The instance that serves a request, and whether it was started for it."""
        free = self._free.setdefault(function, [])
        started = not free
        if started:
            free.append(Instance(function))
            self.instances += 1
        instance = free[-1]
        instance.serving += 1
        if instance.serving == self._concurrency:
            free.pop()
        return instance, started

    def give_back(self, instance: Instance, now: float) -> None:
        """One of its requests is answered."""
        free = self._free[instance.function]
        if instance.serving < self._concurrency:
            free.remove(instance)
        free.append(instance)
        instance.serving -= 1
        if not instance.serving:
            instance.idle_since = now

    def reclaim(self, now: float) -> list[Instance]:
        """Take away the instances that nobody asked for too long; they are returned."""
        gone = []
        for free in self._free.values():
            old = [
                each for each in free if not each.serving and now - each.idle_since >= self._kept_s
            ]
            for each in old:
                free.remove(each)
            gone += old
        self.instances -= len(gone)
        return gone
