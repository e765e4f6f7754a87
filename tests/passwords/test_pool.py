"""Claims about the hash pool: jobs run off the loop, so many at once, and who would wait too long is refused."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from watchword.errors import Overloaded
from watchword.passwords.pool import HashPool

PATIENCE = 30.0
"""Seconds after which a test gives up on what should have happened; nothing is measured with it."""


class Blocker:
    """A job that says when it runs and ends when it is let go."""

    def __init__(self, result: str = "done") -> None:
        self.started = threading.Event()
        self.released = threading.Event()
        self._result = result

    def __call__(self) -> str:
        self.started.set()
        assert self.released.wait(PATIENCE)
        return self._result


@contextlib.asynccontextmanager
async def pool_of(*, threads: int = 1, max_wait: float = 100.0, expected: float = 1.0) -> AsyncIterator[HashPool]:
    """A pool that is closed in the end."""
    pool = HashPool(threads=threads, max_wait=max_wait, expected=expected)
    try:
        yield pool
    finally:
        await asyncio.to_thread(pool.close)


async def started(*blockers: Blocker) -> None:
    """Wait until these jobs run."""
    for blocker in blockers:
        assert await asyncio.to_thread(blocker.started.wait, PATIENCE)


async def submitted(pool: HashPool, job: Callable[[], str]) -> asyncio.Task[str]:
    """Give a job to the pool, in a task of its own."""
    task = asyncio.create_task(pool.run(job))
    await asyncio.sleep(0)
    return task


async def test_a_jobs_result_and_its_exception_come_back() -> None:
    """What a job returns or raises is what its caller gets."""

    def fail() -> str:
        raise KeyError("reason")

    async with pool_of() as pool:
        assert await pool.run(lambda: "result") == "result"
        with pytest.raises(KeyError, match="reason"):
            await pool.run(fail)


async def test_the_loop_goes_on_while_a_job_runs() -> None:
    """A job runs in a thread of the pool and the loop's own work is done meanwhile."""
    async with pool_of() as pool:
        blocker = Blocker()
        task = await submitted(pool, blocker)
        await started(blocker)
        assert not task.done()
        blocker.released.set()
        assert await task == "done"
        name = await pool.run(lambda: threading.current_thread().name)
        assert name.startswith("hash")


async def test_no_more_jobs_run_at_once_than_there_are_threads() -> None:
    """Of three jobs on two threads the third starts when one of the others has ended."""
    async with pool_of(threads=2) as pool:
        blockers = [Blocker(str(number)) for number in range(3)]
        tasks = [await submitted(pool, blocker) for blocker in blockers]
        await started(*blockers[:2])
        assert not blockers[2].started.is_set()
        blockers[0].released.set()
        await started(blockers[2])
        for blocker in blockers:
            blocker.released.set()
        assert await asyncio.gather(*tasks) == ["0", "1", "2"]


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    """Row 91: a job whose turn would come later than max_wait never enters the queue, and later ones are welcome."""
    async with pool_of(threads=1, max_wait=2.0, expected=1.0) as pool:
        blockers = [Blocker() for _ in range(3)]
        tasks = [await submitted(pool, blocker) for blocker in blockers[:3]]  # waits of 0, 1 and 2 seconds
        assert pool.queue.expected_wait == 3.0
        ran = threading.Event()
        with pytest.raises(Overloaded) as refusal:
            await pool.run(ran.set)
        assert refusal.value.retry_after == 3
        for blocker in blockers:
            blocker.released.set()
        await asyncio.gather(*tasks)
        assert pool.queue.expected_wait == 0
        assert not ran.is_set()
        assert await pool.run(lambda: "welcome") == "welcome"


async def test_a_place_that_is_left_is_free_again() -> None:
    """A place whose holder found no use for it, or failed before it did, is given back, once."""
    async with pool_of() as pool:
        with contextlib.suppress(KeyError), pool.place("somebody"):
            assert pool.queue.depth == 1
            raise KeyError
        assert pool.queue.depth == 0
        with pool.place("somebody") as place:
            await place.run(lambda: None)
            with pytest.raises(RuntimeError):
                await place.run(lambda: None)
        assert pool.queue.depth == 0


async def test_every_job_is_observed() -> None:
    """The observer is told how long each job waited and took, whether it succeeded or failed."""
    seen: list[tuple[float, float]] = []
    pool = HashPool(threads=1, max_wait=100.0, expected=1.0, observe=lambda waited, took: seen.append((waited, took)))
    await pool.run(lambda: None)
    with contextlib.suppress(ZeroDivisionError):
        await pool.run(lambda: 1 / 0)
    pool.close()
    assert len(seen) == 2
    assert all(waited >= 0 and took >= 0 for waited, took in seen)


async def test_a_waiting_job_that_nobody_awaits_is_dropped() -> None:
    """A client that hangs up while it waits frees its place, and its job never starts."""
    async with pool_of() as pool:
        running, waiting = Blocker(), Blocker()
        first, second = await submitted(pool, running), await submitted(pool, waiting)
        await started(running)
        assert pool.queue.expected_wait == 2.0
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert pool.queue.expected_wait == 1.0
        running.released.set()
        await first
        assert await pool.run(lambda: "next") == "next"
        assert not waiting.started.is_set()


async def test_a_running_job_keeps_its_place_until_it_ends() -> None:
    """A client that hangs up while its hash is computed frees nothing early."""
    async with pool_of() as pool:
        blocker = Blocker()
        task = await submitted(pool, blocker)
        await started(blocker)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.queue.expected_wait == 1.0
        blocker.released.set()
        await pool.run(lambda: None)
        assert pool.queue.expected_wait == 0


@pytest.mark.parametrize("fails", [False, True], ids=["right passwords", "wrong passwords"])
async def test_the_pool_learns_how_long_a_job_takes(fails: bool) -> None:
    """The first guess gives way to what jobs really take, also where every job ends in a refusal."""

    def job() -> None:
        if fails:
            raise PermissionError

    async with pool_of(max_wait=50.0, expected=100.0) as pool:
        blocker = Blocker()
        task = await submitted(pool, blocker)
        with pytest.raises(Overloaded):
            await pool.run(job)
        blocker.released.set()
        await task
        for _ in range(60):
            with contextlib.suppress(PermissionError):
                await pool.run(job)
        blocker = Blocker()
        task = await submitted(pool, blocker)
        assert pool.queue.expected_wait < 50.0
        blocker.released.set()
        await task


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_the_pools_threads_are_nicer_than_the_loop() -> None:
    """A hash yields its core to the event loop, whose own priority stays."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    async with pool_of() as pool:
        inside = await pool.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert inside >= 10
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


async def test_a_system_that_forbids_priorities_still_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a thread's priority may not be changed, jobs run all the same."""

    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.setpriority", forbidden)
    async with pool_of() as pool:
        assert await pool.run(lambda: "result") == "result"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_a_service_that_was_started_nicer_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool in a process of nice 15 does not try to come back to 10, which only root may."""
    asked: list[int] = []
    monkeypatch.setattr("os.getpriority", lambda _which, _who: 15)
    monkeypatch.setattr("os.setpriority", lambda _which, _who, priority: asked.append(priority))
    async with pool_of() as pool:
        await pool.run(lambda: None)
    assert asked == [15]


async def test_closing_drops_what_waits_and_lets_end_what_runs() -> None:
    """On close the running job ends with its result, the waiting one never starts."""
    pool = HashPool(threads=1, max_wait=100.0, expected=1.0)
    running, waiting = Blocker(), Blocker()
    first, second = await submitted(pool, running), await submitted(pool, waiting)
    await started(running)
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    with pytest.raises(asyncio.CancelledError):
        await second
    running.released.set()
    assert await first == "done"
    await closing
    assert not waiting.started.is_set()


async def test_who_comes_from_elsewhere_waits_for_one_and_not_for_all() -> None:
    """Row 91: with the queue full of one network's jobs others are let in, and go between them, one of each in turn."""
    async with pool_of(threads=1, max_wait=20.0, expected=1.0) as pool:
        blocker, ran = Blocker(), list[str]()
        running = await submitted(pool, blocker)
        await started(blocker)

        async def come(network: str) -> None:
            with pool.place(f"{network} {len(ran)}", network) as place:
                await place.run(lambda: ran.append(network))

        tasks, refused = [], 0
        for _ in range(200):  # ten times what can be worked off in time
            try:
                pool.place("flood", "flood").__exit__()
            except Overloaded:
                refused += 1
            else:
                tasks.append(asyncio.create_task(come("flood")))
                await asyncio.sleep(0)
        assert len(tasks) + refused == 200
        assert refused > 150
        for _ in range(3):
            tasks += [asyncio.create_task(come(network)) for network in ("one", "two")]
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            pool.place("flood", "flood")
        blocker.released.set()
        await asyncio.gather(running, *tasks)
        others_behind = [place for place, network in enumerate(ran) if network != "flood"]
        assert others_behind == [4, 5, 7, 8, 10, 11]  # three of the flood had their turn before the others came
        assert pool.queue.depth == 0


async def test_who_leaves_while_waiting_for_a_turn_is_passed_over() -> None:
    """A caller who is cancelled in the line frees the place, and the turn goes to the next."""
    async with pool_of(threads=1) as pool:
        blocker, ran = Blocker(), list[int]()

        def job(number: int) -> str:
            ran.append(number)
            return ""

        tasks = [await submitted(pool, blocker)]
        await started(blocker)
        tasks += [await submitted(pool, partial(job, number)) for number in range(8)]
        tasks[5].cancel()
        blocker.released.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[5], asyncio.CancelledError)
        assert ran == [0, 1, 2, 3, 5, 6, 7]
        assert (pool.queue.depth, pool.queue.expected_wait) == (0, 0)


async def test_those_who_have_left_cost_their_network_no_turn() -> None:
    """However many of a network have left its line, the next one of it waits for one of the others and not for each."""
    async with pool_of(threads=1, max_wait=1000.0) as pool:
        blocker, ran = Blocker(), list[str]()

        async def come(network: str) -> None:
            with pool.place("", network) as place:
                await place.run(lambda: ran.append(network))

        running = await submitted(pool, blocker)
        await started(blocker)
        others = [asyncio.create_task(come("others")) for _ in range(20)]
        leaving = [asyncio.create_task(come("office")) for _ in range(50)]
        await asyncio.sleep(0)
        for each in leaving:
            each.cancel()
        await asyncio.wait(leaving)
        assert pool._lines.keys() == {"others"}
        staying = asyncio.create_task(come("office"))
        await asyncio.sleep(0)
        blocker.released.set()
        await asyncio.gather(running, staying, *others)
        assert ran.index("office") <= 4  # three of the others had their turn before
        assert pool.queue.depth == 0


async def test_a_turn_may_be_given_back_and_taken_again() -> None:
    """Who is not ready lets others go first and keeps the place."""
    async with pool_of(threads=1) as pool:
        places = [pool.place(str(number)) for number in range(6)]
        await asyncio.gather(*(place.turn() for place in places[:4]))
        waiting = asyncio.create_task(places[4].turn())
        await asyncio.sleep(0)
        assert not waiting.done()
        places[0].return_turn()
        await waiting
        assert (places[0].has_turn, places[4].has_turn, pool.queue.depth) == (False, True, 6)
        again = asyncio.create_task(places[0].turn())
        await asyncio.sleep(0)
        places[1].__exit__()
        await again
        assert pool.queue.depth == 5


@pytest.mark.parametrize(("takes", "most"), [(0.01, 8), (0.03, 3), (0.5, 1)])
async def test_short_jobs_are_told_in_bunches_and_long_ones_at_once(takes: float, most: int) -> None:
    """As many are told together as end within a tenth of a second, and no more than eight."""
    async with pool_of(expected=takes) as pool:
        jobs = [Blocker() for _ in range(12)]
        tasks = [await submitted(pool, job) for job in jobs]
        for job in jobs[: most - 1]:
            job.released.set()
        await started(jobs[most - 1])
        pool.expect(takes)  # not as long as these took
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in tasks)
        jobs[most - 1].released.set()
        await asyncio.gather(*tasks[:most])
        for job in jobs:
            job.released.set()
        await asyncio.gather(*tasks)
        assert pool.queue.depth == 0


async def test_closing_drops_who_waits_for_a_turn() -> None:
    """On close nobody is left waiting in a line."""
    pool = HashPool(threads=1, max_wait=100.0, expected=1.0)
    blocker = Blocker()
    tasks = [await submitted(pool, blocker) for _ in range(7)]
    await started(blocker)
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    await asyncio.wait(tasks[1:], timeout=PATIENCE)
    assert all(task.cancelled() for task in tasks[1:])
    blocker.released.set()
    await closing
    assert await tasks[0] == "done"
