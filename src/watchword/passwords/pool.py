"""The bounded pool of threads that hashes are computed in, off the event loop, and the rule for who may wait for them.

A queue without a bound only turns every answer into a late one. So the pool knows how long a hash takes and how many
wait, and sends away at once whoever would wait too long. Laws of this file:

1. A place belongs to its job, not to its request: a client that hangs up while the hash is computed frees nothing
   early, and a job that nobody awaits any more is dropped before it starts.
2. Whoever was sent away and comes back is let in before newcomers: part of the queue is kept for them. Otherwise those
   inside, who ask again the moment they are answered, would take every place that falls free, and some outside would
   never get one.
3. ``retry_after`` is the time to work off all who wait and all who were told to come back.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from typing import Final, Self, TypeVar

from watchword.errors import Overloaded
from watchword.threads import Threads, Times

T = TypeVar("T")

Observer = Callable[[float, float], None]
"""Is told how long a job waited and how long it took, in seconds."""

_NICENESS: Final = 10
"""So that the event loop always wins a core against a hash."""
_WEIGHT_OF_NEWEST: Final = 0.1
"""In the running mean of the times that jobs take."""
_NEWCOMERS: Final = 0.7
"""The part of the longest wait that newcomers may fill while somebody is expected back."""
_LONGEST_RETRY: Final = 30
_MOST_EXPECTED: Final = 10_000


def nobody_looks(_waited: float, _took: float) -> None:
    """The observer where there is none."""


class HashPool:
    """Threads that compute, with a queue in front of them.

    Args:
        threads: how many jobs run at once.
        max_wait: seconds that a job may have to wait for its turn.
        expected: seconds that one job takes, as a first guess.
        observe: is told the times of each job.
    """

    def __init__(self, *, threads: int, max_wait: float, expected: float, observe: Observer = nobody_looks) -> None:
        self._threads = threads
        self._max_wait = max_wait
        self._mean = expected
        self._observe = observe
        self._depth = 0
        self._expected_back: OrderedDict[int, float] = OrderedDict()
        self._workers = Threads(threads, name="hash", begin=_yield_to_the_loop)

    @property
    def depth(self) -> int:
        """Jobs that wait or run, and places that were taken for one."""
        return self._depth

    @property
    def expected_wait(self) -> float:
        """Seconds until a job that is admitted now would start."""
        return max(0, self._depth - self._threads + 1) * self._mean / self._threads

    def prepare(self, job: Callable[[], T]) -> Callable[[], T]:
        """Begin a job before the pool serves anybody; call what is returned to wait for its outcome, once."""
        return self._workers.begin(job)

    def expect(self, seconds: float) -> None:
        """Take a better guess of the time that one job takes."""
        self._mean = seconds

    def place(self, claimant: str) -> "Place":
        """Take a place in the queue, to be used or left.

        Args:
            claimant: by what a caller who was sent away is known again.

        Raises:
            Overloaded: the turn would not come in time.
        """
        known = hash(claimant)
        now = time.monotonic()
        self._forget_those_who_stay_away(now)
        was_sent_away = self._expected_back.pop(known, None) is not None
        share = 1.0 if was_sent_away or not self._expected_back else _NEWCOMERS
        if self.expected_wait > share * self._max_wait:
            raise Overloaded("the hash pool is full", retry_after=self._send_away(known, now))
        self._depth += 1
        return Place(self)

    async def run(self, job: Callable[[], T]) -> T:
        """Take a place for a job and await its result.

        Raises:
            Overloaded: its turn would not come in time.
        """
        with self.place("") as place:
            return await place.run(job)

    def close(self) -> None:
        """Drop what waits, let what runs end."""
        self._workers.close()

    def _send_away(self, known: int, now: float) -> int:
        ahead = self._depth + len(self._expected_back)
        seconds = min(_LONGEST_RETRY, ceil(ahead * self._mean / self._threads))
        if len(self._expected_back) < _MOST_EXPECTED:
            self._expected_back[known] = now + 2 * max(1, seconds)
        return seconds

    def _forget_those_who_stay_away(self, now: float) -> None:
        while self._expected_back and next(iter(self._expected_back.values())) < now:
            self._expected_back.popitem(last=False)

    def submit(self, job: Callable[[], T]) -> "asyncio.Future[T]":
        """Queue a job in a place that was taken; the place is left when the job ends or is dropped."""
        return self._workers.run(job, ended=self._ended)

    def leave(self) -> None:
        """Give a place back."""
        self._depth -= 1

    def _ended(self, times: Times | None) -> None:
        self.leave()
        if times is not None:
            self._mean += (times.took - self._mean) * _WEIGHT_OF_NEWEST
            self._observe(times.waited, times.took)


class Place:
    """A place in the queue; a context manager that leaves it unless a job has taken it over."""

    def __init__(self, pool: HashPool) -> None:
        self._pool = pool
        self._is_mine = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_mine:
            self._pool.leave()

    async def run(self, job: Callable[[], T]) -> T:
        """Give the place to a job and await its result; a place serves one job."""
        if not self._is_mine:
            raise RuntimeError("this place has had its job")
        self._is_mine = False
        return await self._pool.submit(job)


def _yield_to_the_loop() -> None:
    # Elsewhere a thread has no priority of its own. A thread that was started nicer still may not come back down.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
