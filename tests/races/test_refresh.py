"""Refreshes that race, whose clients hang up, whose workers are killed: nobody is logged out, nothing is half done.

The clients ask for real: connections of their own, to several worker processes, on either database.
"""

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.raw import connection
from tests.postgresql import fresh_database
from tests.races.clients import add_users, at_once, refresh, refreshing, session_in, session_of, tokens
from tests.races.rounds import KILLS, RESETS, ROUNDS
from tests.servers import Server, watchword_server, workers_of

RACERS = 50
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
SECONDS = 30.0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of either kind, for all races on it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'watchword.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_server")) as url:
            yield url


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    """Four workers on the database, where alice may log in."""
    instance = tmp_path_factory.mktemp("service") / "instance"
    with watchword_server(instance, workers=4, DATABASE_URL=database_url, REFRESH_GRACE="60") as server:
        add_users(server, "alice")
        yield server


def counted(url: str, refresh_token: str) -> int | None:
    """How often the session of a token was refreshed; None if it has ended."""
    session = session_in(url, session_of(refresh_token))
    return None if session is None else session.counter


def test_all_who_refresh_at_once_get_the_same_successor(service: Server, database_url: str) -> None:
    """Fifty at once with one token: fifty answers, one successor, which works; the session was counted up once."""
    for _ in range(ROUNDS):
        first = tokens(service)["refresh_token"]
        answers = at_once(service, refreshing(first), times=RACERS)
        assert [each.status for each in answers] == [200] * RACERS
        (successor,) = {json.loads(each.body)["refresh_token"] for each in answers}
        assert counted(database_url, first) == 1
        assert refresh(service, successor).status == 200
        assert counted(database_url, first) == 2


def test_clients_that_hang_up_lose_nothing(service: Server, database_url: str) -> None:
    """However early the connection is reset, the same token then gets the one successor of it, and that one works.

    Each session is hung up on once: what was sent and not waited for may still be under way, and would come as a reuse
    if its successor were exchanged before it is judged.
    """
    successors = []
    for number in range(RESETS):
        first = tokens(service)["refresh_token"]
        with connection(service) as connected:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            connected.sendall(refreshing(first))
            time.sleep(number * 7 % 51 / 1000)
        answered = refresh(service, first)
        assert answered.status == 200, number
        successors.append(json.loads(answered.body)["refresh_token"])
    for number, successor in enumerate(successors):
        assert counted(database_url, successor) == 1, number
        assert refresh(service, successor).status == 200, number
        assert counted(database_url, successor) == 2, number


def test_without_grace_one_of_all_gets_a_successor(tmp_path: Path, service: Server, database_url: str) -> None:
    """Fifty at once with one token that is good once: one answer, no error, and the reuse ends the session."""
    with watchword_server(tmp_path / "instance", workers=2, DATABASE_URL=database_url, REFRESH_GRACE="0") as strict:
        for _ in range(ROUNDS):
            first = tokens(strict)["refresh_token"]
            answers = at_once(strict, refreshing(first), times=RACERS)
            assert sorted(each.status for each in answers) == [200] + [401] * (RACERS - 1)
            assert counted(database_url, first) is None


def test_workers_that_are_killed_lose_nothing(tmp_path: Path, service: Server, database_url: str) -> None:
    """After kill -9 in the midst of a refresh either the old token or its successor works, and the row is whole."""
    with watchword_server(tmp_path / "instance", DATABASE_URL=database_url, REFRESH_GRACE="300") as server:
        current = tokens(server)["refresh_token"]
        time.sleep(0.2)  # until the supervisor has heard that there is a worker
        for number in range(KILLS):
            (worker,) = workers_of(server)
            with connection(server) as connected:
                connected.sendall(refreshing(current))
                time.sleep(number * 7 % 20 / 1000)
                os.kill(worker, signal.SIGKILL)
                _wait_for_another(server, worker)
            answered = refresh(server, current)
            assert answered.status == 200, number
            current = json.loads(answered.body)["refresh_token"]
            session = session_in(database_url, session_of(current))
            assert session is not None
            assert session.counter == number + 1
            assert session.auth_time <= session.refreshed_at < session.ends_at <= session.expires_at


def _wait_for_another(server: Server, worker: int) -> None:
    deadline = time.monotonic() + SECONDS
    while workers_of(server) in ([], [worker]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
