"""The load engine: requests go out, each answer's time is taken, and nothing is known of what they mean.

Two kinds of load, because they ask two questions:

- ``closed_loop``: so many clients, each of whom sends its next request when it has the last answer. What can the
  server do? A slow server is asked less, so this says little about waiting.
- ``open_loop``: so many requests a second, whatever the server does. How long do people wait? Each is timed from the
  moment when it was due, so those that had to queue behind a stall count in full.

The engine shares a machine with the server it loads, so it costs little and says how much (``Phase.generator_cpu``).
Runs best on uvloop.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

from watchword.bench.http import Answer, Line, Request
from watchword.bench.measurement import TRY_LATER, Phase, Sample, nearest_rank

__all__ = ["Phase", "Request", "Sample", "closed_loop", "once", "open_loop"]

Watcher = Callable[[Sample], None]
"""Called with each sample as it is taken."""

NO_ANSWER: Final = 0
DRAIN_SECONDS: Final = 10.0
"""How long after a phase its last answers may come; the rest counts as not answered."""
ARRIVAL_SECONDS: Final = 1.0
"""Within which the clients of a closed loop come."""
UNTOLD_WAIT: Final = 1.0
"""How long a client waits that was refused and not told for how many seconds."""
FAILURE_WAIT: Final = 0.1
"""How long a client waits after a failed connection, so that an absent server is not hammered."""
ONCE_SECONDS: Final = 30.0

_now = time.perf_counter


async def closed_loop(
    name: str,
    *,
    host: str,
    port: int,
    requests: Iterator[Request],
    clients: int,
    seconds: float,
    watch: Watcher | None = None,
) -> Phase:
    """Let each of many clients send its next request when it has the answer to the last.

    They come one after the other within the first second (or tenth of the phase): no crowd arrives at one instant, and
    one that did would measure how quickly a server accepts connections.

    A refused request (429 or 503) is sent again by the same client when it was told to, until it is answered otherwise
    or the phase ends.

    Args:
        name: the phase's.
        host: an address or a name.
        port: where the server listens.
        requests: what is sent, one after the other, whichever client comes; the phase ends early when they do.
        clients: how many there are.
        seconds: for how long new requests are sent.
        watch: told of each sample at once.

    Returns:
        What happened; the tries of one piece of work follow one another among the samples.
    """
    running = _Running(name, seconds)

    async def attempt(line: Line, request: Request, retry: int) -> tuple[Sample, float]:
        started = running.elapsed()
        answer = await _answer(line, request)
        sample = Sample(started, running.elapsed() - started, answer.status if answer else NO_ANSWER, retry)
        if watch:
            watch(sample)
        return sample, seconds_to_wait(answer.header("retry-after")) if answer else 0.0

    async def work(line: Line, request: Request) -> list[Sample]:
        tries: list[Sample] = []
        while True:
            sample, wait = await attempt(line, request, len(tries))
            tries.append(sample)
            if sample.status not in TRY_LATER or wait >= running.left():
                return tries
            await asyncio.sleep(wait)

    async def client(line: Line, late: float) -> None:
        await asyncio.sleep(late)
        while running.left() > 0 and (request := next(requests, None)) is not None:
            tries = await work(line, request)
            running.samples.extend(tries)
            last = tries[-1].status
            if last in TRY_LATER:
                return  # told to come again when the phase is over
            if last == NO_ANSWER:
                await asyncio.sleep(FAILURE_WAIT)

    with _lines(host, port, clients, seconds + DRAIN_SECONDS) as lines:
        async with asyncio.TaskGroup() as group:
            for number, line in enumerate(lines):
                group.create_task(client(line, min(ARRIVAL_SECONDS, seconds / 10) * number / clients))
    return running.result()


async def open_loop(
    name: str,
    *,
    host: str,
    port: int,
    requests: Iterator[Request],
    rate: float,
    seconds: float,
    connections: int = 32,
    watch: Watcher | None = None,
) -> Phase:
    """Send requests at a fixed rate, whether or not the server keeps up; nothing is sent twice.

    Args:
        name: the phase's.
        host: an address or a name.
        port: where the server listens.
        requests: what is sent, one after the other.
        rate: how many are due each second, evenly spaced.
        seconds: for how long requests become due.
        connections: at most so many are open; a request that is due when all are busy waits for one, and that wait
            is part of its time. Those used last are used first, so that an idle server sees few.
        watch: told of each sample at once.

    Returns:
        What happened; a sample's ``started`` is when it was due.
    """
    running = _Running(name, seconds)
    stopped = Event()
    with _lines(host, port, connections, seconds + DRAIN_SECONDS) as lines:
        free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for line in lines:
            free.put_nowait(line)

        async def work(due: float, request: Request) -> None:
            line = await free.get()
            try:
                answer = await _answer(line, request)
            finally:
                free.put_nowait(line)
            sample = Sample(due, running.elapsed() - due, answer.status if answer else NO_ANSWER, 0)
            running.samples.append(sample)
            if watch:
                watch(sample)

        async with asyncio.TaskGroup() as group:

            def begin(due: float) -> None:
                running.lateness.append(running.elapsed() - due)
                if not stopped.is_set() and (request := next(requests, None)) is not None:
                    group.create_task(work(due, request))

            loop = asyncio.get_running_loop()
            dues = (number / rate for number in range(round(rate * seconds)))
            try:
                await loop.run_in_executor(None, _beat, dues, running, stopped, loop, begin)
            finally:
                stopped.set()
    return running.result()


async def once(host: str, port: int, request: Request) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a connection of its own.

    Returns:
        The status, the headers under lower-case names, and the body.

    Raises:
        OSError: nobody listens there, or no answer came.
    """
    line = Line(host, port)
    try:
        async with asyncio.timeout(ONCE_SECONDS):
            answer = await line.exchange(request)
    finally:
        line.cut()
    return answer.status, answer.headers(), answer.body


def seconds_to_wait(retry_after: str | None) -> float:
    """How long a refusal asks to be left alone, by the value of its Retry-After."""
    told = retry_after or ""
    return float(told) if told.isdecimal() else UNTOLD_WAIT


class _Running:
    """A phase while it runs."""

    def __init__(self, name: str, seconds: float) -> None:
        self.samples: list[Sample] = []
        self.lateness: list[float] = []
        self._name = name
        self._seconds = seconds
        self._cpu = time.process_time()
        self._begun = _now()

    def elapsed(self) -> float:
        return _now() - self._begun

    def left(self) -> float:
        return self._seconds - self.elapsed()

    def result(self) -> Phase:
        cpu = (time.process_time() - self._cpu) / self.elapsed()
        late = nearest_rank(sorted(self.lateness), 0.99) if self.lateness else 0.0
        return Phase(self._name, self._seconds, self.samples, generator_cpu=cpu, late=late)


@contextmanager
def _lines(host: str, port: int, count: int, seconds: float) -> Iterator[list[Line]]:
    """So many lines, all of which are cut after a time, whoever still waits."""
    lines = [Line(host, port) for _ in range(count)]

    def cut() -> None:
        for line in lines:
            line.cut()

    timer = asyncio.get_running_loop().call_later(seconds, cut)
    try:
        yield lines
    finally:
        timer.cancel()
        cut()


def _beat(
    dues: Iterator[float],
    running: _Running,
    stopped: Event,
    loop: asyncio.AbstractEventLoop,
    begin: Callable[[float], None],
) -> None:
    """Begin each request when it is due, from a thread: a loop's own timers are a millisecond coarse."""
    for due in dues:
        if stopped.wait(max(0.0, due - running.elapsed())):
            return
        loop.call_soon_threadsafe(begin, due)


async def _answer(line: Line, request: Request) -> Answer | None:
    try:
        return await line.exchange(request)
    except OSError:
        return None
