"""A process at its limits, of file descriptors or memory: it refuses, goes on, and is well when they are gone."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.attacks.raw import answer, ask, connection, log_in, request
from tests.builders import PASSWORD
from tests.faults.load import Load, all_work, check_refusals, counts, statuses, tell, told
from tests.races.clients import add_users, post
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword, watchword_server, workers_of

SECONDS = 20.0
SPARE = 20
IDLE = 5000 if IS_FULL else 200
LARGE_KIB = 256 * 1024
SPARE_BYTES = 32 << 20
FOREVER = resource.RLIM_INFINITY


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker that computes hashes of the usual size."""
    instance = tmp_path_factory.mktemp("service") / "instance"
    with watchword_server(instance, HASH_MEMORY_KIB="19456", HASH_PASSES="1", HASH_MAX_WAIT="10") as server:
        add_users(server, "alice")
        yield server


def seconds_of_processor(process: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_of(process: int, name: str) -> int:
    """A line of a process's memory, in bytes."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def test_more_connections_than_descriptors(server: Server) -> None:
    """Row F14: connections beyond the limit wait or end; nothing spins, and honest clients get in when others go."""
    (worker,) = workers_of(server)
    in_use = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + SPARE, limits[1]))
    try:
        with ExitStack() as opened:
            for _ in range(IDLE):
                idle = opened.enter_context(socket.socket())
                idle.setblocking(False)
                idle.connect_ex(server.address)
            before, began = seconds_of_processor(worker), time.monotonic()
            time.sleep(2)
            share = (seconds_of_processor(worker) - before) / (time.monotonic() - began)
        assert server.process.poll() is None
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                answered = ask(server, request("GET", "/healthz"))
                break
            except OSError:
                assert time.monotonic() < deadline
        assert answered.status == 200
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
    tell(f"F14: {share:.0%} of a core with {IDLE} connections on {SPARE} descriptors")
    assert share < 0.8
    assert workers_of(server) == [worker]
    assert log_in(server, "alice", PASSWORD).status == 200


def test_who_is_connected_needs_no_descriptor(tmp_path: Path) -> None:
    """Row F14: a worker that can open nothing more gives the first token of its life, and sets its first password."""
    login = json.dumps({"username": "ålice", "password": PASSWORD})
    change = {"current_password": PASSWORD, "new_password": "another long password"}
    with (
        watchword_server(tmp_path / "instance") as server,
        connection(server) as connected,
        connection(server) as another,
    ):
        add_users(server, "ålice")
        (worker,) = workers_of(server)
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, limits[1]))
        connected.sendall(request("POST", "/login", "Content-Type: application/json", body=login.encode()))
        logged_in = answer(connected)
        assert logged_in.status == 200
        another.sendall(post("/password/change", change, token=json.loads(logged_in.body)["token"]))
        assert answer(another).status == 204


async def test_no_memory_for_a_hash(server: Server) -> None:
    """Row F20: a login that finds no memory is 503, all others go on, and it works once there is some."""
    (worker,) = workers_of(server)
    needs_more = PasswordHasher(memory_cost=LARGE_KIB, time_cost=1, parallelism=1).hash(PASSWORD)
    line = json.dumps({"username": "bob", "password_hash": needs_more})
    watchword("users", "import", "-", environ=server.environ, stdin=line).check_returncode()
    async with Load(server).running(2) as load:
        await load.until(all_work, since=time.monotonic())
        resource.prlimit(worker, resource.RLIMIT_AS, (memory_of(worker, "VmSize") + SPARE_BYTES, FOREVER))
        began = time.monotonic()
        refused = [await asyncio.to_thread(log_in, server, "bob", PASSWORD) for _ in range(200 if IS_FULL else 10)]
        await load.until(all_work, since=began)
        resource.prlimit(worker, resource.RLIMIT_AS, (FOREVER, FOREVER))
    told("F20, others meanwhile", load.between(began))
    assert {each.refused(retry_after="1") for each in refused} == {(503, "overloaded")}
    check_refusals(load.seen)
    assert statuses(load.seen, "guarded", "health") == {200}, counts(load.seen)
    assert log_in(server, "bob", PASSWORD).status == 200
    assert workers_of(server) == [worker]
