"""The bounded pool of threads that hashes are computed in, off the event loop.

A job's place in the queue is its own and not its request's: a client that hangs up while its hash is computed frees
nothing early, and a job that nobody awaits any more is dropped before it starts. The pool knows how long a hash
takes and how many wait, and refuses at once what could not be done in time: a queue without a bound only turns
every answer into a late one.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from typing import Final, TypeVar

from watchword.errors import Overloaded

T = TypeVar("T")

_NICENESS: Final = 10
"""So that the event loop always wins a core against a hash."""

_MEMORY: Final = 0.1
"""Weight of the newest job in the running mean of their times."""


class HashPool:
    """Threads that compute, and the rule for who may wait for them.

    Args:
        threads: how many jobs run at once.
        max_wait: seconds that a job may have to wait for its turn.
        expected: seconds that one job takes, as a first guess.
    """

    def __init__(self, *, threads: int, max_wait: float, expected: float) -> None:
        self._threads = threads
        self._max_wait = max_wait
        self._mean = expected
        self._admitted = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="hash", initializer=_yield_to_the_loop)

    @property
    def expected_wait(self) -> float:
        """Seconds until a job that is admitted now would start."""
        waiting = max(0, self._admitted - self._threads + 1)
        return waiting * self._mean / self._threads

    async def run(self, job: Callable[[], T]) -> T:
        """Compute a job in a thread.

        Raises:
            Overloaded: its turn would not come in time; ``retry_after`` grows with the backlog.
        """
        wait = self.expected_wait
        if wait > self._max_wait:
            raise Overloaded("the hash pool is full", retry_after=ceil(wait))
        with self._lock:
            self._admitted += 1
        future = self._executor.submit(self._timed, job)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits, let what runs end."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _timed(self, job: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return job()
        finally:  # a refused password took as long as a right one
            self._mean += (time.perf_counter() - started - self._mean) * _MEMORY

    def _leave(self, _: Future[T]) -> None:
        with self._lock:
            self._admitted -= 1


def _yield_to_the_loop() -> None:
    # Elsewhere a thread has no priority of its own. A thread that was started nicer still may not come back down.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
