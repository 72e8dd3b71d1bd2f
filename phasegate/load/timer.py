"""Wakes greenlets when they are due, to a tenth of a millisecond, until the test closes.

libev, gevent's event loop, rounds its timers up to whole milliseconds, so that everything would
start about one late. On Linux a kernel timer behind a file descriptor (timerfd, whose clock is
that of `time.perf_counter`) wakes the loop instead; elsewhere gevent's timers do.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import Waiter

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1

READ = 1  # libev's EV_READ


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _KernelTimer:
    """timerfd_create(2); Python has it from 3.13 on.

    Args:
        fire: called in the hub when it is time.

    Raises:
        OSError: this system has none.
    """

    def __init__(self, fire: Callable[[], None]) -> None:
        if sys.platform != "linux":
            raise OSError("no timerfd here")
        self._fire = fire
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._watcher = gevent.get_hub().loop.io(self._fd, READ)
        self._watcher.start(self._on_readable)

    def arm(self, due_s: float) -> None:
        """Fire at `due_s`, in place of an earlier call's time."""
        # A time of zero would disarm it; one in the past fires at once.
        due_ns = max(int(due_s * 1e9), 1)
        at = _Itimerspec(value=_Timespec(*divmod(due_ns, 1_000_000_000)))
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(at), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Give the descriptor back."""
        self._watcher.stop()
        self._watcher.close()
        os.close(self._fd)

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):  # armed anew in between
            os.read(self._fd, 8)
        self._fire()


class _GeventTimer:
    """The same by gevent's own timers."""

    def __init__(self, fire: Callable[[], None]) -> None:
        self._fire = fire
        self._watcher: Any = None

    def arm(self, due_s: float) -> None:
        self.close()
        pause_s = max(due_s - time.perf_counter(), 0)
        self._watcher = gevent.get_hub().loop.timer(pause_s)
        self._watcher.start(self._fire)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None


class Timer:
    """One for all greenlets of a test. Times are `time.perf_counter()` seconds."""

    def __init__(self) -> None:
        try:
            self._timer: _KernelTimer | _GeventTimer = _KernelTimer(self._ring)
        except OSError:
            self._timer = _GeventTimer(self._ring)
        self._waiting: list[tuple[float, int, Waiter]] = []
        self._order = itertools.count()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the test has closed."""
        return self._closed

    def wait_until(self, due_s: float) -> bool:
        """Return at `due_s`, at once when that is past, or when the test closes: then True."""
        if self._closed or due_s <= time.perf_counter():
            return self._closed
        waiter = Waiter()
        heapq.heappush(self._waiting, (due_s, next(self._order), waiter))
        if self._waiting[0][2] is waiter:
            self._arm()
        waiter.get()
        return self._closed

    def close(self) -> None:
        """Wake everybody, now and from now on."""
        if self._closed:
            return
        self._closed = True
        self._timer.close()
        while self._waiting:
            # Waiters are switched to from the hub alone.
            gevent.get_hub().loop.run_callback(self._waiting.pop()[2].switch, None)

    def _arm(self) -> None:
        if self._waiting and self._waiting[0][0] != float("inf"):
            self._timer.arm(self._waiting[0][0])

    def _ring(self) -> None:
        """In the hub: switch to everybody who is due, one after the other."""
        while self._waiting and not self._closed and self._waiting[0][0] <= time.perf_counter():
            heapq.heappop(self._waiting)[2].switch(None)
        if not self._closed:
            self._arm()
