"""Guesses that race: to several workers, at once, past kill -9; and an owner who gets in meanwhile."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attacks.raw import SECONDS, Answer, answer
from tests.builders import PASSWORD
from tests.postgresql import fresh_database
from tests.races.clients import add_users, post
from tests.servers import Server, watchword_server, workers_of
from watchword.limits import FAMILIAR, STRANGERS

GUESSES = 200
HOME = "127.0.0.2"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers on a database of either kind."""
    instance: Path = tmp_path_factory.mktemp("service") / "instance"
    with ExitStack() as opened:
        url = f"sqlite:///{instance / 'watchword.db'}"
        if request.param == "postgresql":
            url = opened.enter_context(fresh_database(request.getfixturevalue("postgresql_server")))
        server = opened.enter_context(watchword_server(instance, workers=2, DATABASE_URL=url))
        add_users(server, "alice", "bob", "carol", "dave")
        yield server


def try_all(server: Server, username: str, passwords: list[str], *, source: str = "127.0.0.1") -> list[Answer]:
    """Logins on a connection each, from an address of this machine, all sent before the first answer is read."""
    with ExitStack() as opened:
        connected = []
        for password in passwords:
            body = {"username": username, "password": password}
            each = socket.create_connection(server.address, timeout=SECONDS, source_address=(source, 0))
            connected.append(opened.enter_context(each))
            each.sendall(post("/login", body))
        return [answer(each) for each in connected]


def counted(answers: list[Answer]) -> tuple[int, int, int]:
    """How many were right, wrong, and throttled; there is no other end."""
    statuses = [each.status for each in answers]
    assert set(statuses) <= {200, 401, 429}, statuses
    return statuses.count(200), statuses.count(401), statuses.count(429)


def test_guesses_at_once_on_all_workers(service: Server) -> None:
    """Of two hundred no more are evaluated than of one by one, the right one among them or not (rows 83 and 84)."""
    guesses = [f"guess {n}" for n in range(GUESSES)]
    assert counted(try_all(service, "alice", guesses)) == (0, STRANGERS.free, GUESSES - STRANGERS.free)
    right, wrong, _ = counted(try_all(service, "bob", [*guesses[: GUESSES // 2], PASSWORD, *guesses[GUESSES // 2 :]]))
    assert right + wrong <= (FAMILIAR if right else STRANGERS).free
    throttled = [each for each in try_all(service, "alice", [PASSWORD, "a guess"]) if each.status == 429]
    assert len(throttled) == 2
    for each in throttled:
        assert each.refused(retry_after=each.headers["retry-after"]) == (429, "too_many_attempts")
        assert 0 < int(each.headers["retry-after"]) <= STRANGERS.first_wait


def test_right_passwords_at_once_on_all_workers(service: Server) -> None:
    """A hundred and more logins to one account at the same time: nobody is throttled."""
    statuses = [each.status for each in try_all(service, "carol", [PASSWORD] * 128, source="127.0.0.3")]
    assert set(statuses) <= {200, 503}  # the machine of a test may be too busy; that is no throttle
    assert statuses.count(200) > 100


def test_a_kill_forgets_nothing(service: Server) -> None:
    """One short of the limit, then kill -9: one guess is left, and the owner at home gets in (rows 82 and 84)."""
    assert counted(try_all(service, "dave", [PASSWORD], source=HOME)) == (1, 0, 0)
    for n in range(STRANGERS.free - 1):
        assert counted(try_all(service, "dave", [f"guess {n}"], source="127.0.0.4")) == (0, 1, 0)
    killed = workers_of(service)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while len(set(workers_of(service)) - set(killed)) < len(killed):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert counted(try_all(service, "dave", ["a guess"] * 8, source="127.0.0.4")) == (0, 1, 7)
    for _ in range(5):
        assert counted(try_all(service, "dave", [PASSWORD], source=HOME)) == (1, 0, 0)
        assert counted(try_all(service, "dave", ["a guess", PASSWORD], source="127.0.0.5")) == (0, 0, 2)
    assert json.loads(try_all(service, "dave", [PASSWORD], source=HOME)[0].body)["token"]
