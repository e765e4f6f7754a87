"""Threads that work for an event loop: a job goes out, its result comes back, and neither side waits for a lock.

``concurrent.futures`` takes a dozen locks for each job, and each is a chance to lose the interpreter to another thread
just when there is something to do. Laws of this file:

1. A job that nobody awaits any more is dropped before it begins; once begun, it runs to its end.
2. Whether a job ran or was dropped is decided once, by whoever takes its claim first: the thread or the loop.
3. Outcomes may come in bunches, and do not while fewer jobs wait than keep the threads busy meanwhile. A loop that is
   woken for one thing pays for the waking and for every page of memory that others have used since; for the second
   thing it pays neither.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

_BUSY: Final = 2
"""So many jobs for each thread must wait, or outcomes are told at once."""


class Times(NamedTuple):
    """How long a job waited for a thread and how long it took, in seconds."""

    waited: float
    took: float


Tell = Callable[[], None]
"""Hands an outcome to the loop, from any thread."""

Ended = Callable[[Times | None], None]
"""Is told, on the loop, that a job has run, or with None that it was dropped."""


def nobody_asks(_: Times | None) -> None:
    """For a job whose times and place concern nobody."""


class Threads:
    """So many threads that take one job after the other; they start with the first one, if not before.

    Args:
        count: how many jobs run at once.
        name: of each thread, for whoever looks at the process.
        begin: what each thread does first.

    Attributes:
        bunch: how many outcomes are told at once.
    """

    def __init__(self, count: int, *, name: str, begin: Callable[[], None] = lambda: None) -> None:
        self.bunch = 1
        self._jobs: SimpleQueue[Callable[[], Tell | None] | None] = SimpleQueue()
        self._untold: deque[Tell] = deque()
        self._count = count
        self._name = name
        self._begin = begin
        self._threads: list[threading.Thread] = []
        self._process = os.getpid()

    def run(self, job: Callable[[], T], *, ended: Ended = nobody_asks) -> "asyncio.Future[T]":
        """Queue a job of the running loop; cancelling the future drops it if it has not begun."""
        queued = _Job(job, asyncio.get_running_loop(), ended)
        self._put(queued)
        return queued.future

    def begin(self, job: Callable[[], T]) -> Callable[[], T]:
        """Queue a job where there is no loop yet; any thread may call what is returned, to wait for its outcome.

        In a process that was forked since, the caller runs the job: the thread that has it is the parent's, and one of
        our own, which may be the caller, could wait for itself.
        """
        future: Future[T] = Future()  # its locks cost nothing here: what comes before there is a loop is no request's

        def settle() -> None:
            try:
                result = job()
            except BaseException as fault:
                future.set_exception(fault)
            else:
                future.set_result(result)

        def outcome() -> T:
            return future.result() if os.getpid() == process else job()

        process = os.getpid()
        self._put(settle)
        return outcome

    def start(self) -> None:
        """Start those that have not; later there may be no room for them.

        Raises:
            RuntimeError: there is none now, for one of them at least.
        """
        if self._process != os.getpid():  # forked: none of the parent's threads is here, and what waits is the parent's
            self._process, self._threads, self._jobs, self._untold = os.getpid(), [], SimpleQueue(), deque()
        while len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Drop what waits, let what runs end, and wait for it."""
        self.dismiss()
        for thread in self._threads:
            thread.join()

    def dismiss(self) -> None:
        """Drop what waits; each thread ends once what it runs has ended, and nobody waits for it."""
        with suppress(Empty):
            while True:
                waiting = self._jobs.get_nowait()
                if isinstance(waiting, _Job):
                    waiting.drop()
        for _ in self._threads:
            self._jobs.put(None)

    def _put(self, job: Callable[[], Tell | None]) -> None:
        try:
            self.start()
        except RuntimeError:
            if not self._threads:  # nobody would do it; else the others do, and the next job tries again
                raise
        self._jobs.put(job)

    def _work(self) -> None:
        self._begin()
        while (job := self._jobs.get()) is not None:
            if (tell := job()) is not None:
                self._untold.append(tell)
            del job, tell  # what they hold would live until the next one comes
            if len(self._untold) >= self.bunch or self._jobs.qsize() < self._count * _BUSY:
                self.tell()
        self.tell()

    def tell(self) -> None:
        """Tell what has run and is not told yet; from any thread."""
        with suppress(IndexError):
            while True:
                self._untold.popleft()()


class _Job(Generic[T]):
    __slots__ = ("_asked", "_claim", "_ended", "_job", "_loop", "future")

    def __init__(self, job: Callable[[], T], loop: asyncio.AbstractEventLoop, ended: Ended) -> None:
        self._job = job
        self._loop = loop
        self._ended = ended
        self._asked = time.perf_counter()
        self._claim = threading.Lock()
        self.future: asyncio.Future[T] = loop.create_future()
        self.future.add_done_callback(self._drop_if_cancelled)

    def __call__(self) -> Tell | None:
        """Run, in a thread; return what hands the outcome to the loop, or None if the job was dropped."""
        if not self._claim.acquire(blocking=False):
            return None
        began = time.perf_counter()
        result, fault = None, None
        try:
            result = self._job()
        except BaseException as raised:
            fault = raised
        times = Times(began - self._asked, time.perf_counter() - began)
        return partial(self._on_the_loop, self._settle, times, result, fault)

    def drop(self) -> None:
        """Cancel it, from any thread."""
        self._on_the_loop(self.future.cancel)

    def _on_the_loop(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # it has been closed: nobody waits
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _settle(self, times: Times, result: T | None, fault: BaseException | None) -> None:
        self._ended(times)
        if self.future.done():
            return  # cancelled while it ran
        if fault is not None:
            self.future.set_exception(fault)
        else:
            self.future.set_result(result)  # type: ignore[arg-type]  # what the job returned

    def _drop_if_cancelled(self, future: "asyncio.Future[T]") -> None:
        if future.cancelled() and self._claim.acquire(blocking=False):
            self._ended(None)
