"""Claims about threads that work for an event loop: jobs go out, results come back, nothing is run or dropped twice."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from watchword.threads import Threads, Times

PATIENCE = 30.0
"""Seconds after which a test gives up on what should have happened; nothing is measured with it."""


@pytest.fixture
def thread() -> Iterator[Threads]:
    """A single one."""
    threads = Threads(1, name="worker")
    yield threads
    threads.close()


async def test_what_a_job_returns_or_raises_comes_back(thread: Threads) -> None:
    """A job's result is its future's, and so is what it raises."""
    assert await thread.run(lambda: threading.current_thread().name) == "worker"
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: "goes on") == "goes on"


def test_a_first_job_needs_no_loop(thread: Threads) -> None:
    """Before there is a loop, a job's outcome is waited for when it is asked for; what it raises is raised."""
    hold = threading.Event()
    outcome = thread.begin(lambda: hold.wait(PATIENCE))
    hold.set()
    assert outcome()
    with pytest.raises(ZeroDivisionError):
        thread.begin(lambda: 1 // 0)()


def test_whoever_asks_for_a_first_job_gets_its_outcome(thread: Threads) -> None:
    """Any number of threads, before it is there and after: two first hashes both ask what is to compute them."""
    hold, told = threading.Event(), list[int]()
    thread.begin(lambda: hold.wait(PATIENCE))
    outcome = thread.begin(lambda: 42)
    asking = [threading.Thread(target=lambda: told.append(outcome()), daemon=True) for _ in range(2)]
    for each in asking:
        each.start()
    hold.set()
    for each in asking:
        each.join(PATIENCE / 10)
    assert told == [42, 42]
    assert outcome() == 42


async def test_threads_that_cannot_start_do_so_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any a job is refused and not queued for nobody; with one it is done, and others come when they can."""
    threads = Threads(2, name="worker")
    start = threading.Thread.start
    room = 0

    def start_where_there_is_room(thread: threading.Thread) -> None:
        nonlocal room
        if room == 0:
            raise RuntimeError("can't start new thread")
        room -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_where_there_is_room)
    with pytest.raises(RuntimeError):
        threads.run(lambda: "nobody's")
    room = 1
    async with asyncio.timeout(PATIENCE):
        assert await threads.run(lambda: "of the only one") == "of the only one"
        room = 1
        both = threading.Barrier(2, timeout=PATIENCE)
        assert sorted(await asyncio.gather(*(threads.run(both.wait) for _ in range(2)))) == [0, 1]
    threads.close()


def test_a_process_that_was_forked_has_threads_of_its_own() -> None:
    """A job there waited for ever for a thread of the parent's; what the parent still has to do is left to it."""
    program = """
import os, signal, sys, threading
from watchword.threads import Threads

threads, go = Threads(1, name="worker"), threading.Event()
pid_of = threads.begin(os.getpid)()
slow, waits = threads.begin(lambda: go.wait(30)), threads.begin(os.getpid)
if child := os.fork():
    _, status = os.waitpid(child, 0)
    go.set()
    sys.exit(status != 0 or not slow() or waits() != pid_of)
signal.alarm(10)
os._exit(threads.begin(os.getpid)() != os.getpid())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=PATIENCE, check=False)
    assert done.returncode == 0


def test_a_process_that_was_forked_runs_a_first_job_itself() -> None:
    """It waited for ever for a thread of the parent's: of an application made before the fork, for its back end."""
    program = """
import os, signal, sys, threading
from watchword.threads import Threads

threads, go = Threads(1, name="worker"), threading.Event()
threads.begin(lambda: go.wait(30))
pid_of = threads.begin(os.getpid)
if child := os.fork():
    _, status = os.waitpid(child, 0)
    go.set()
    sys.exit(status != 0 or pid_of() != os.getpid())
signal.alarm(10)
os._exit(pid_of() != os.getpid() or threads.begin(pid_of)() != os.getpid())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=PATIENCE, check=False)
    assert done.returncode == 0


async def test_whether_a_job_ran_or_was_dropped_is_told_once(thread: Threads) -> None:
    """Cancelled at any moment, a job either runs to its end or never begins, and one of the two is told."""
    told: list[Times | None] = []
    ran: list[int] = []
    futures = []
    for number in range(300):
        futures.append(thread.run(lambda number=number: ran.append(number), ended=told.append))  # type: ignore[misc]
        if number % 3 == 0:
            futures[number // 2].cancel()
        if number % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.wait(futures)
    await thread.run(lambda: None)
    assert len(told) == 300
    assert len(ran) == len(set(ran)) == sum(times is not None for times in told)
    assert None in told


async def test_times_are_told(thread: Threads) -> None:
    """A job behind another has waited for about as long as that one took."""
    told: list[Times | None] = []
    begun, hold = threading.Event(), threading.Event()

    def take_long() -> None:
        begun.set()
        hold.wait(PATIENCE)

    first = thread.run(take_long, ended=told.append)
    second = thread.run(lambda: None, ended=told.append)
    await asyncio.to_thread(begun.wait, PATIENCE)
    await asyncio.sleep(0.05)
    hold.set()
    await asyncio.gather(first, second)
    assert told[0] is not None
    assert told[1] is not None
    assert told[0].took >= 0.05
    assert told[1].waited >= 0.05 > told[1].took


async def test_outcomes_come_in_bunches_while_enough_jobs_wait(thread: Threads) -> None:
    """Nothing is told until a bunch is full; when so few jobs wait that the thread might idle, all is told at once."""
    thread.bunch = 3
    holds = [threading.Event() for _ in range(7)]
    jobs = [thread.run(lambda hold=hold: hold.wait(PATIENCE)) for hold in holds]  # type: ignore[misc]
    begun = [thread.run(threading.Event().set) for _ in range(2)]
    told = []
    for hold in holds:
        hold.set()
        await asyncio.sleep(0.1)
        told.append(sum(job.done() for job in jobs))
    assert told == [0, 0, 3, 3, 3, 6, 7]
    await asyncio.gather(*begun)


async def test_a_bunch_is_told_though_those_that_wait_are_dropped(thread: Threads) -> None:
    """An outcome that waits for others is told when these turn out to be nobody's any more."""
    async with held_back(thread) as (first, others):
        for other in others:
            other.cancel()
    assert await asyncio.wait_for(first, PATIENCE) == "first"


async def test_closing_tells_what_has_run() -> None:
    """What ran before the end is no less told for having waited in a bunch."""
    threads = Threads(1, name="worker")
    async with held_back(threads) as (first, others):
        closing = asyncio.create_task(asyncio.to_thread(threads.close))
        await asyncio.wait(others)
    await closing
    assert await first == "first"
    assert all(other.cancelled() for other in others)


@asynccontextmanager
async def held_back(threads: Threads) -> AsyncIterator[tuple["asyncio.Future[str]", list["asyncio.Future[None]"]]]:
    """A job that has run and is not told, and jobs that wait behind another, which ends when the block does."""
    threads.bunch = 10
    go, begun, end = threading.Event(), threading.Event(), threading.Event()

    def first() -> str:
        go.wait(PATIENCE)
        return "first"

    def second() -> None:
        begun.set()
        end.wait(PATIENCE)

    jobs = threads.run(first), threads.run(second)
    others = [threads.run(lambda: None) for _ in range(5)]
    go.set()
    await asyncio.to_thread(begun.wait, PATIENCE)
    await asyncio.sleep(0.01)
    assert not jobs[0].done()
    try:
        yield jobs[0], others
    finally:
        end.set()
        await jobs[1]


async def test_a_caller_who_leaves_does_not_stop_a_job_that_has_begun(thread: Threads) -> None:
    """A job that runs while its future is cancelled ends as it would have, and the thread goes on."""
    begun, hold, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        hold.wait(PATIENCE)
        ended.set()

    future = thread.run(job)
    await asyncio.to_thread(begun.wait, PATIENCE)
    future.cancel()
    hold.set()
    assert await thread.run(lambda: "next") == "next"
    assert ended.is_set()


def test_a_result_for_a_loop_that_has_ended_is_let_go() -> None:
    """A loop that closed before its job ended disturbs neither the thread nor the next loop."""
    threads = Threads(1, name="worker")
    hold = threading.Event()

    async def leave_it() -> None:
        threads.run(lambda: hold.wait(PATIENCE))

    asyncio.run(leave_it())
    hold.set()

    async def ask_again() -> str:
        return await threads.run(lambda: "still there")

    assert asyncio.run(ask_again()) == "still there"
    threads.close()
