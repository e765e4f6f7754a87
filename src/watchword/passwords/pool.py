"""The bounded pool of threads that hashes are computed in, off the event loop, and the rule for who may wait for them.

A queue without a bound only turns every answer into a late one. So the pool knows how long a hash takes and how many
wait, and sends away at once whoever would wait too long. Laws of this file:

1. A place belongs to its job, not to its request: a client that hangs up while the hash is computed frees nothing
   early, and a job that nobody awaits any more is dropped before it starts. The turn lasts longer, until whoever has
   the place has left it too: so what is written after a job is bounded as what is read before it.
2. Whoever was sent away and comes back is let in before newcomers from the same network: part of the queue is kept for
   them. Otherwise those inside, who ask again the moment they are answered, would take every place that falls free, and
   some outside would never get one.
3. ``retry_after`` is the time to work off all who wait before one and all from there who were told to come back.
4. Networks take turns, and each is judged by the wait that this leaves it: one that floods fills a queue of its own,
   and who comes from elsewhere waits for one of its jobs and not for all.
5. Of a network that is refused again and again nobody is heard for the rest of a second: a flood costs little, or the
   refusals would take from the hashes what they need.
6. A few jobs for each thread have their turn at once: those that run, and those that get ready meanwhile, so that no
   thread waits for the database. What is done for a job between its turn and its run is therefore bounded too, also
   where it goes on for nobody.
7. While others wait, the outcomes of short jobs are told in bunches. A hash sweeps the caches, and what a login costs
   besides is mostly the way back into them: together eight cost half. No outcome waits for longer than a moment.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any, Final, Self, TypeVar

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
_LARGEST_BUNCH: Final = 8
"""Outcomes that are told at once: what others ask of the loop waits until it has seen to all of them."""
_LONGEST_BUNCH: Final = 0.1
"""Seconds that the first of a bunch may wait for the last: little beside the queue that there is then."""
_MOST_HEARD: Final = 100
"""How many of one network are refused within a second before no more of them are heard."""
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
        self.max_wait = max_wait
        self._threads = threads
        self._observe = observe
        self._depth = 0
        self._depths: dict[str, int] = {}
        self._turns = 0
        self._lines: OrderedDict[str, deque[Place]] = OrderedDict()
        self._is_closed = False
        self._expected_back: OrderedDict[int, tuple[float, str]] = OrderedDict()
        self._expected_from: Counter[str] = Counter()
        self._refused_in = 0
        self._refused: Counter[str] = Counter()
        self._workers = Threads(threads, name="hash", begin=_yield_to_the_loop)
        self.expect(expected)

    @property
    def depth(self) -> int:
        """Jobs that wait or run, and places that were taken for one."""
        return self._depth

    @property
    def expected_wait(self) -> float:
        """Seconds until everything that is admitted now has begun, and one more would."""
        return self._wait_behind(self._depth)

    def prepare(self, job: Callable[[], T]) -> Callable[[], T]:
        """Begin a job before the pool serves anybody; call what is returned to wait for its outcome, once."""
        return self._workers.begin(job)

    def expect(self, seconds: float) -> None:
        """Take a better guess of the time that one job takes."""
        self._mean = seconds
        self._workers.bunch = max(1, min(_LARGEST_BUNCH, int(_LONGEST_BUNCH * self._threads / seconds)))

    def turn_away(self, network: str) -> None:
        """Refuse a network that floods before anybody asks who of it claims a place, and that costs much less.

        Raises:
            Overloaded: many of it were refused within this second, and nobody of it would get a place now.
        """
        if (
            self._refused[network] >= _MOST_HEARD
            and self._refused_in == int(time.monotonic())
            and self._wait_behind(self._before(network)) > self.max_wait
        ):
            raise Overloaded("the hash pool is full", retry_after=self._advice(network))

    def place(self, claimant: str, network: str = "") -> "Place":
        """Take a place in the queue, to be used or left.

        Args:
            claimant: by what a caller who was sent away is known again.
            network: with whom the caller shares the turns.

        Raises:
            Overloaded: the turn would not come in time.
        """
        known = hash((claimant, network))
        now = time.monotonic()
        self._forget_those_who_stay_away(now)
        was_sent_away = known in self._expected_back
        if was_sent_away:
            self._expect_no_more(self._expected_back.pop(known))
        share = 1.0 if was_sent_away or network not in self._expected_from else _NEWCOMERS
        if self._wait_behind(self._before(network)) > share * self.max_wait:
            raise Overloaded("the hash pool is full", retry_after=self._send_away(known, network, now))
        self._depth += 1
        self._depths[network] = self._depths.get(network, 0) + 1
        return Place(self, network)

    async def run(self, job: Callable[[], T]) -> T:
        """Take a place for a job and await its result.

        Raises:
            Overloaded: its turn would not come in time.
        """
        with self.place("") as place:
            return await place.run(job)

    def close(self) -> None:
        """Drop what waits, let what runs end; from any thread."""
        self._is_closed = True
        for place in [place for line in self._lines.values() for place in line]:
            place.drop()
        self._workers.close()

    def _before(self, network: str) -> int:
        """How many jobs come before a new one of this network: as many of each other as of its own, and one."""
        own = self._depths.get(network, 0)
        return sum(min(depth, own + 1) for depth in self._depths.values())

    @property
    def _has_turns_left(self) -> bool:
        """One runs and one is ready for each thread; a bunch has run, and as many get ready in its stead."""
        return self._turns < 2 * (self._threads + self._workers.bunch)

    def _wait_behind(self, jobs: int) -> float:
        return max(0, jobs - self._threads + 1) * self._mean / self._threads

    def _send_away(self, known: int, network: str, now: float) -> int:
        if self._refused_in != int(now):
            self._refused_in = int(now)
            self._refused.clear()
        self._refused[network] += 1
        seconds = self._advice(network)
        if len(self._expected_back) < _MOST_EXPECTED:
            self._expected_back[known] = now + 2 * max(1, seconds), network
            self._expected_from[network] += 1
        return seconds

    def _advice(self, network: str) -> int:
        ahead = self._before(network) + self._expected_from[network]
        return min(_LONGEST_RETRY, ceil(ahead * self._mean / self._threads))

    def _forget_those_who_stay_away(self, now: float) -> None:
        while self._expected_back and next(iter(self._expected_back.values()))[0] < now:
            self._expect_no_more(self._expected_back.popitem(last=False)[1])

    def _expect_no_more(self, expected: tuple[float, str]) -> None:
        _, network = expected
        self._expected_from[network] -= 1
        if not self._expected_from[network]:
            del self._expected_from[network]

    async def take_turn(self, place: "Place") -> None:
        """Wait until it is this place's turn."""
        if self._has_turns_left and not self._lines:
            self._grant(place)
            return
        self._lines.setdefault(place.network, deque()).append(place)
        await place.wait()

    def return_turn(self, place: "Place") -> None:
        """End a place's turn, if it has one; the next network's longest waiting place gets one."""
        if place.has_turn:
            place.has_turn = False
            self._turns -= 1
        while self._lines and self._has_turns_left and not self._is_closed:
            network, line = self._lines.popitem(last=False)
            waiting = line.popleft()
            if line:
                self._lines[network] = line  # behind all others
            if waiting.is_waiting:
                self._grant(waiting)

    def submit(self, place: "Place", job: Callable[[], T]) -> "asyncio.Future[T]":
        """Queue a job in a place that has its turn; the place is left when the job ends or is dropped."""
        return self._workers.run(job, ended=partial(self._ended, place))

    def leave(self, place: "Place") -> None:
        """Give a place back."""
        self._depth -= 1
        left = self._depths[place.network] - 1
        if left:
            self._depths[place.network] = left
        else:
            del self._depths[place.network]

    def _grant(self, place: "Place") -> None:
        self._turns += 1
        place.has_turn = True
        place.wake()

    def _ended(self, place: "Place", times: Times | None) -> None:
        place.end()
        if times is not None:
            self.expect(self._mean + (times.took - self._mean) * _WEIGHT_OF_NEWEST)
            self._observe(place.waited + times.waited, times.took)


class Place:
    """A place in the queue; a context manager that leaves it unless a job has taken it over.

    Attributes:
        network: with whom it shares the turns.
        has_turn: whether its job may run.
        fault: what its job raised, if it has.
        waited: seconds that it waited for its turn.
    """

    __slots__ = (
        "_has_ended",
        "_is_left",
        "_is_mine",
        "_over",
        "_pool",
        "_waiting",
        "fault",
        "has_turn",
        "network",
        "waited",
    )

    def __init__(self, pool: HashPool, network: str) -> None:
        self._pool = pool
        self._is_mine = True
        self._is_left = False
        self._has_ended = False
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
        if self._is_mine:
            self.end()
        elif self._has_ended:
            self._pool.return_turn(self)

    def end(self) -> None:
        """Give the place back, as there is no job or it is done; with it the turn, if nobody holds on to that."""
        self._has_ended = True
        if self._over is not None:
            self._over.set_result(None)
        self._pool.leave(self)
        if self._is_left:
            self._pool.return_turn(self)

    def outlast(self, work: "asyncio.Future[Any]") -> None:
        """Keep the place, and its turn, until something is done that goes on when nobody awaits it any more."""
        self._is_mine = False
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
        if not self._is_mine:
            raise RuntimeError("this place has had its job")
        await self.turn()
        self._is_mine = False

        def noting_its_fault() -> T:
            try:
                return job()
            except BaseException as fault:
                self.fault = fault
                raise

        return await self._pool.submit(self, noting_its_fault)

    async def over(self) -> None:
        """Wait until the place is given back: a job that has begun goes on when nobody awaits it any more."""
        if not self._has_ended:
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
