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

import gevent
from gevent.event import Event

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1

READ = 1  # libev's EV_READ


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _KernelTimer:
    """timerfd_create(2); Python has it from 3.13 on.

    Raises:
        OSError: this system has none.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("no timerfd here")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._watcher = gevent.get_hub().loop.io(self.fd, READ)

    def arm(self, due_s: float) -> None:
        """Fire at `due_s`, in place of an earlier call's time."""
        # A time of zero would disarm it; one in the past fires at once.
        due_ns = max(int(due_s * 1e9), 1)
        at = _Itimerspec(value=_Timespec(*divmod(due_ns, 1_000_000_000)))
        if self._libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, ctypes.byref(at), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def wait(self) -> None:
        """Return when it has fired."""
        gevent.get_hub().wait(self._watcher)
        with contextlib.suppress(BlockingIOError):  # armed anew in between
            os.read(self.fd, 8)

    def close(self) -> None:
        """Give the descriptor back."""
        self._watcher.stop()
        self._watcher.close()
        os.close(self.fd)


class _GeventTimer:
    """The same by gevent's own timers."""

    def __init__(self) -> None:
        self._due_s = float("inf")
        self._changed = Event()

    def arm(self, due_s: float) -> None:
        self._due_s = due_s
        self._changed.set()

    def wait(self) -> None:
        while self._due_s > time.perf_counter():
            self._changed.clear()
            pause_s = self._due_s - time.perf_counter()
            self._changed.wait(timeout=None if pause_s == float("inf") else max(pause_s, 0))
        self._due_s = float("inf")

    def close(self) -> None:
        pass


class Alarm:
    """One for all greenlets of a test. Times are `time.perf_counter()` seconds."""

    def __init__(self) -> None:
        try:
            self._timer: _KernelTimer | _GeventTimer = _KernelTimer()
        except OSError:
            self._timer = _GeventTimer()
        self._waiting: list[tuple[float, int, Event]] = []
        self._order = itertools.count()
        self._closed = False
        self._bell = gevent.spawn(self._ring)

    @property
    def is_closed(self) -> bool:
        """Whether the test has closed."""
        return self._closed

    def wait_until(self, due_s: float) -> bool:
        """Return at `due_s`, at once when that is past, or when the test closes: then True."""
        if self._closed or due_s <= time.perf_counter():
            return self._closed
        woken = Event()
        heapq.heappush(self._waiting, (due_s, next(self._order), woken))
        if self._waiting[0][2] is woken and due_s != float("inf"):
            self._timer.arm(due_s)
        woken.wait()
        return self._closed

    def close(self) -> None:
        """Wake everybody, now and from now on."""
        if self._closed:
            return
        self._closed = True
        self._bell.kill()
        self._timer.close()
        while self._waiting:
            self._waiting.pop()[2].set()

    def _ring(self) -> None:
        while True:
            self._timer.wait()
            now_s = time.perf_counter()
            while self._waiting and self._waiting[0][0] <= now_s:
                heapq.heappop(self._waiting)[2].set()
            if self._waiting and self._waiting[0][0] != float("inf"):
                self._timer.arm(self._waiting[0][0])
