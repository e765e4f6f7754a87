"""Workers that crash, nodes that are started anew, more logins than can be hashed: everybody else is served."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.load import LOST, Load, all_work, check_refusals, counts, login, statuses, tell, told
from tests.races.clients import add_users
from tests.races.rounds import IS_FULL
from tests.servers import Server, environment, free_port, running, watchword, watchword_server, workers_of
from watchword.bench.http import Line

SECONDS = 20.0
WORKERS = 2
HASH_KIB = 19456
CROWD = 60
"""Clients that log in again and again, many times what two cores can hash."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, with hashes of the usual size."""
    instance = tmp_path_factory.mktemp("service") / "instance"
    with watchword_server(
        instance,
        workers=WORKERS,
        REFRESH_GRACE="60",
        HASH_MEMORY_KIB=str(HASH_KIB),
        HASH_PASSES="2",
        HASH_THREADS="1",
        HASH_MAX_WAIT="0.5",  # or a quick machine refuses nobody
    ) as server:
        add_users(server, "alice")
        yield server


def memory_of(server: Server) -> int:
    """What the workers hold of memory, in KiB."""
    lines = [line for each in workers_of(server) for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


async def test_a_worker_that_crashes_under_load(server: Server) -> None:
    """Row F8: at most the requests that it had are lost; it is replaced, and what was acknowledged holds."""
    clients = 8
    async with Load(server).running(clients) as load:
        await load.until(all_work, since=time.monotonic())
        for _ in range(20 if IS_FULL else 1):
            before, killed = workers_of(server), time.monotonic()
            os.kill(before[0], signal.SIGKILL)
            while len(set(workers_of(server)) - set(before)) < 1:
                assert time.monotonic() < killed + SECONDS
                await asyncio.sleep(0.02)
            await load.until(all_work, since=time.monotonic())
            lost = [each for each in load.seen if each.status == LOST and each.at >= killed]
            assert len(lost) <= clients + 1, counts(lost)
    told("F8", load.seen)
    check_refusals([each for each in load.seen if each.status != LOST])
    assert statuses(load.seen, "guarded", "health") <= {200, LOST}, counts(load.seen)


async def test_more_logins_than_can_be_hashed(server: Server) -> None:
    """Row F11: those who cannot be served soon are told so at once, the others get in; guarded routes go on."""
    stop = False
    crowd = Load(server)

    async def insist() -> None:
        line = Line(*server.address)
        while not stop:
            if (await crowd.once("login", login(), line)) != 200:
                await asyncio.sleep(0.2)

    before = memory_of(server)
    async with Load(server).running(0) as load:
        began = time.monotonic()
        clients = [asyncio.create_task(insist()) for _ in range(CROWD)]
        await asyncio.sleep(300 if IS_FULL else 4)
        while statuses(crowd.seen) != {200, 503} and time.monotonic() < began + SECONDS:
            await asyncio.sleep(0.1)
        most, ended, stop = memory_of(server), time.monotonic(), True
        await asyncio.gather(*clients)
        after = time.monotonic()
        await load.until(lambda seen: statuses(seen, "guarded") == {200}, since=after)
    for status in (200, 503):
        told(f"F11, {status}", [each for each in crowd.seen if each.status == status])
    told("F11, onlookers", load.seen)
    tell(f"F11: {sum(each.status == 200 for each in crowd.seen) / (ended - began):.1f} logins/s")
    tell(f"F11: {before} KiB before, {most} KiB under load, both workers")
    check_refusals(crowd.seen)
    assert statuses(crowd.seen) == {200, 503}
    assert statuses(load.seen, "guarded", "health") == {200}, counts(load.seen)
    assert most < before + 3 * WORKERS * HASH_KIB  # a worker that has just started has not computed any


async def test_nodes_that_are_started_anew_one_after_the_other(tmp_path: Path) -> None:
    """Row F10: behind whatever asks the next node when one does not listen, nothing that was taken is cut off."""
    environ = environment(tmp_path / "instance")
    watchword("init", environ=environ).check_returncode()
    ports = [free_port() for _ in range(2)]

    def start(port: int, stack: ExitStack) -> Server:
        command = [sys.executable, "-m", "watchword", "serve", "--bind", f"127.0.0.1:{port}"]
        log = tmp_path / f"{port}.log"
        return stack.enter_context(running(command, environ=environ, port=port, log=log))

    with ExitStack() as first, ExitStack() as second:
        stacks = [first, second]
        nodes = [start(port, stack) for port, stack in zip(ports, stacks, strict=True)]
        add_users(nodes[0], "alice")
        async with Load(*nodes).running(8) as load:
            await load.until(all_work, since=time.monotonic())
            restarts = list(zip(ports, stacks, strict=True)) * 10 if IS_FULL else [(ports[0], first)]
            for port, stack in restarts:
                await asyncio.to_thread(stack.close)
                await asyncio.to_thread(start, port, stack)
            await load.until(all_work, since=time.monotonic())
    told("F10", load.seen)
    failed = [each for each in load.seen if each.status not in {200, 204}]
    # Who connects in the very instant in which a socket is closed has been taken by the kernel and by nobody else.
    assert {each.status for each in failed} <= {LOST}, failed
    assert len(failed) <= len(restarts), failed
