"""The pool of threads that hashes are computed in, off the event loop; who may wait for them, ``queue`` decides.

Laws of this file:

1. A place belongs to its job, not to its request: a client that hangs up while the hash is computed frees nothing
   early, and a job that nobody awaits any more is dropped before it starts. The turn lasts longer, until whoever has
   the place has left it too: so what is written after a job is bounded as what is read before it.
2. Networks take turns, one job of each.
3. A few jobs for each thread have their turn at once: those that run, and those that get ready meanwhile, so that no
   thread waits for the database. What is done for a job between its turn and its run is therefore bounded too, also
   where it goes on for nobody.
4. While others wait, the outcomes of short jobs are told in bunches. A hash sweeps the caches, and what a login costs
   besides is mostly the way back into them: together eight cost half. No outcome waits for longer than a moment.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, Final, Self, TypeVar

from watchword.passwords.queue import Queue
from watchword.threads import Threads, Times

T = TypeVar("T")

Observer = Callable[[float, float], None]
"""Is told how long a job waited and how long it took, in seconds."""

_NICENESS: Final = 10
"""So that the event loop always wins a core against a hash."""
_WEIGHT_OF_NEWEST: Final = 0.1
"""In the running mean of the times that jobs take."""
_LARGEST_BUNCH: Final = 8
"""Outcomes that are told at once: what others ask of the loop waits until it has seen to all of them."""
_LONGEST_BUNCH: Final = 0.1
"""Seconds that the first of a bunch may wait for the last: little beside the queue that there is then."""


def nobody_looks(_waited: float, _took: float) -> None:
    """The observer where there is none."""


class HashPool:
    """Threads that compute, with a queue in front of them.

    Args:
        threads: how many jobs run at once.
        max_wait: seconds that a job may have to wait for its turn.
        expected: seconds that one job takes, as a first guess.
        observe: is told the times of each job.

    Attributes:
        queue: who has a place.
    """

    def __init__(self, *, threads: int, max_wait: float, expected: float, observe: Observer = nobody_looks) -> None:
        self.queue = Queue(threads=threads, max_wait=max_wait, job_seconds=expected)
        self._threads = threads
        self._observe = observe
        self._turns = 0
        self._lines: OrderedDict[str, OrderedDict[Place, None]] = OrderedDict()
        self._is_closed = False
        self._workers = Threads(threads, name="hash", begin=_yield_to_the_loop)
        self.expect(expected)

    def prepare(self, job: Callable[[], T]) -> Callable[[], T]:
        """Begin a job before the pool serves anybody; any thread may call what is returned, to wait for its outcome."""
        return self._workers.begin(job)

    def expect(self, seconds: float) -> None:
        """Take a better guess of the time that one job takes."""
        self.queue.job_seconds = seconds
        long = _LONGEST_BUNCH * self._threads
        self._workers.bunch = _LARGEST_BUNCH if _LARGEST_BUNCH * seconds <= long else max(1, int(long / seconds))

    def tell(self) -> None:
        """Tell the outcomes that wait for others, from a thread whose job is going to take long."""
        self._workers.tell()

    def turn_away(self, network: str) -> None:
        """Refuse a network that floods, before anybody asks who of it claims a place; see ``Queue.turn_away``.

        Raises:
            Overloaded: nobody of it would get one now.
        """
        self.queue.turn_away(network, now=time.monotonic())

    def place(self, claimant: str, network: str = "") -> "Place":
        """Take a place, to be used or left; see ``Queue.enter``.

        Raises:
            Overloaded: its turn would not come in time.
        """
        self.queue.enter(claimant, network, now=time.monotonic())
        return Place(self, network)

    async def run(self, job: Callable[[], T], *, claimant: str = "", network: str = "") -> T:
        """Take a place for a job and await its result; see ``Queue.enter``.

        Raises:
            Overloaded: its turn would not come in time.
        """
        with self.place(claimant, network) as place:
            return await place.run(job)

    def close(self) -> None:
        """Drop what waits, let what runs end; from any thread."""
        self._is_closed = True
        for place in [place for line in self._lines.values() for place in line]:
            place.drop()
        self._workers.close()

    async def take_turn(self, place: "Place") -> None:
        """Wait until it is this place's turn."""
        if self._has_turns_left and not self._lines:
            self._grant(place)
            return
        self._lines.setdefault(place.network, OrderedDict())[place] = None
        try:
            await place.wait()
        except asyncio.CancelledError:  # those who stay must not stand behind those who have left
            self._leave_line(place)
            raise

    def return_turn(self, place: "Place") -> None:
        """End a place's turn, if it has one; the next network's longest waiting place gets one."""
        if place.has_turn:
            place.has_turn = False
            self._turns -= 1
        while self._lines and self._has_turns_left and not self._is_closed:
            waiting = next(iter(next(iter(self._lines.values()))))
            self._leave_line(waiting)
            if waiting.is_waiting:  # else it is just about to leave the line
                if waiting.network in self._lines:
                    self._lines.move_to_end(waiting.network)
                self._grant(waiting)

    def submit(self, place: "Place", job: Callable[[], T]) -> "asyncio.Future[T]":
        """Queue a job in a place that has its turn; the place is left when the job ends or is dropped."""
        return self._workers.run(job, ended=partial(self._ended, place))

    @property
    def _has_turns_left(self) -> bool:
        """One runs and one is ready for each thread; a bunch has run, and as many get ready in its stead."""
        return self._turns < 2 * (self._threads + self._workers.bunch)

    def _leave_line(self, place: "Place") -> None:
        line = self._lines.get(place.network, OrderedDict())
        line.pop(place, None)
        if not line:
            self._lines.pop(place.network, None)

    def _grant(self, place: "Place") -> None:
        self._turns += 1
        place.has_turn = True
        place.wake()

    def _ended(self, place: "Place", times: Times | None) -> None:
        place.end()
        if times is not None:
            mean = self.queue.job_seconds
            self.expect(mean + (times.took - mean) * _WEIGHT_OF_NEWEST)
            self._observe(place.waited + times.waited, times.took)


class _Stage(Enum):
    """Whose a place is: its request's, then that of the job or the work it was given to, then nobody's."""

    HELD = auto()
    GIVEN = auto()
    OVER = auto()


class Place:
    """A place in the queue; a context manager that leaves it unless a job has taken it over.

    Attributes:
        network: with whom it shares the turns.
        has_turn: whether its job may run.
        fault: what its job raised, if it has.
        waited: seconds that it waited for its turn.
    """

    __slots__ = ("_is_left", "_over", "_pool", "_stage", "_waiting", "fault", "has_turn", "network", "waited")

    def __init__(self, pool: HashPool, network: str) -> None:
        self._pool = pool
        self._stage = _Stage.HELD
        self._is_left = False
        self._waiting: asyncio.Future[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self.network = network
        self.has_turn = False
        self.fault: BaseException | None = None
        self.waited = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_left = True
        if self._stage is _Stage.HELD:
            self.end()
        elif self._stage is _Stage.OVER:
            self._pool.return_turn(self)

    def end(self) -> None:
        """Give the place back, as there is no job or it is done; with it the turn, if nobody holds on to that."""
        self._stage = _Stage.OVER
        if self._over is not None:
            self._over.set_result(None)
        self._pool.queue.leave(self.network)
        if self._is_left:
            self._pool.return_turn(self)

    def outlast(self, work: "asyncio.Future[Any]") -> None:
        """Keep the place, and its turn, until something is done that goes on when nobody awaits it any more."""
        self._stage = _Stage.GIVEN
        work.add_done_callback(lambda _: self.end())

    async def turn(self) -> None:
        """Wait for the turn, if this place has none yet."""
        if not self.has_turn:
            await self._pool.take_turn(self)

    def return_turn(self) -> None:
        """Let others go first: what the job needs is not there yet. The place stays."""
        self._pool.return_turn(self)

    async def run(self, job: Callable[[], T]) -> T:
        """Give the place to a job when its turn comes and await its result; a place serves one job."""
        if self._stage is not _Stage.HELD:
            raise RuntimeError("this place has had its job")
        await self.turn()
        self._stage = _Stage.GIVEN

        def noting_its_fault() -> T:
            try:
                return job()
            except BaseException as fault:
                self.fault = fault
                raise

        return await self._pool.submit(self, noting_its_fault)

    async def over(self) -> None:
        """Wait until the place is given back: a job that has begun goes on when nobody awaits it any more."""
        if self._stage is not _Stage.OVER:
            self._over = asyncio.get_running_loop().create_future()
            await self._over

    @property
    def is_waiting(self) -> bool:
        """Whether somebody still waits for its turn."""
        return self._waiting is not None and not self._waiting.done()

    async def wait(self) -> None:
        """Wait to be woken."""
        began = time.perf_counter()
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self.waited += time.perf_counter() - began

    def wake(self) -> None:
        """End its wait, if it waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def drop(self) -> None:
        """Cancel its wait, from any thread."""
        if self._waiting is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
                self._waiting.get_loop().call_soon_threadsafe(self._waiting.cancel)


def _yield_to_the_loop() -> None:
    # Elsewhere a thread has no priority of its own. A thread that was started nicer still may not come back down.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
