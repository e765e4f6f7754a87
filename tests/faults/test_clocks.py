"""Clocks that jump, or differ: no token lives longer, nothing that has ended comes back, nobody waits (F15).

A real service under libfaketime, which tells it another time than the machine's, a new one whenever the test says so.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attacks.raw import ask
from tests.races.clients import add_users, at_once, me, post, refresh, tokens
from tests.servers import Server, environment, free_port, running, watchword
from tests.waiting import until

HOUR = 3600


class Wall:
    """The clock on the wall of one service; the one that counts seconds since the start stays true."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.put(0)

    def put(self, seconds: int) -> None:
        """Let it differ from the machine's by so many seconds from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)


@pytest.fixture(scope="module")
def library() -> Path:
    """Where libfaketime is; CI installs it."""
    for found in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return found
    pytest.skip("there is no libfaketime on this machine: apt-get install faketime")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all nodes share."""
    instance = tmp_path_factory.mktemp("clocks") / "instance"
    watchword("init", environ=environment(instance)).check_returncode()
    return instance


@contextmanager
def node(library: Path, instance: Path, name: str, *, workers: int = 1) -> Iterator[tuple[Server, Wall]]:
    """A service with a clock of its own."""
    wall = Wall(library, instance / f"{name}.time")
    port = free_port()
    command = [sys.executable, "-m", "watchword", "serve", "--workers", str(workers), "--bind", f"127.0.0.1:{port}"]
    environ = {**environment(instance), **wall.environ}
    with running(command, environ=environ, port=port, log=instance / f"{name}.log") as server:
        until(lambda: server.log.read_text().count("Running on") == workers)  # all of them, at the machine's time
        yield server, wall


@pytest.fixture(scope="module")
def one(library: Path, instance: Path) -> Iterator[tuple[Server, Wall]]:
    """A service of two workers."""
    with node(library, instance, "one", workers=2) as (server, wall):
        add_users(server, "alice")
        yield server, wall


@pytest.fixture
def server(one: tuple[Server, Wall]) -> Iterator[Server]:
    """The service, at the machine's time when the test begins."""
    server, wall = one
    wall.put(0)
    yield server
    wall.put(0)


@pytest.fixture
def wall(one: tuple[Server, Wall]) -> Wall:
    """Its clock."""
    return one[1]


def everywhere(server: Server, token: str) -> set[int]:
    """What the service's workers say of a token."""
    return {answer.status for answer in at_once(server, me(token), times=8)}


def until_everywhere(server: Server, token: str, status: int) -> None:
    """Wait until all workers say so."""
    until(lambda: everywhere(server, token) == {status})


def test_an_hour_forward_and_back(server: Server, wall: Wall) -> None:
    """Tokens expire by the clock; those that had ended before it was put forward are refused when it is put back."""
    lives, ended = tokens(server), tokens(server)
    assert ask(server, post("/logout", token=ended["token"])).status == 204
    until_everywhere(server, ended["token"], 401)
    assert everywhere(server, lives["token"]) == {200}
    wall.put(HOUR)
    assert everywhere(server, lives["token"]) == {401}
    late = json.loads(refresh(server, lives["refresh_token"]).body)
    assert everywhere(server, late["token"]) == {200}
    late_and_ended = tokens(server)
    assert ask(server, post("/logout", token=late_and_ended["token"])).status == 204
    until_everywhere(server, late_and_ended["token"], 401)
    wall.put(0)
    until_everywhere(server, lives["token"], 200)  # which it would have been without the hour
    for _ in range(3):
        assert everywhere(server, ended["token"]) == {401}, "a session that had ended is back"
        assert everywhere(server, late["token"]) == {401}, "a token of the future is taken"
        time.sleep(0.4)  # in which each worker reads again what has ended
    again = json.loads(refresh(server, late["refresh_token"]).body)
    assert everywhere(server, again["token"]) == {200}
    assert refresh(server, ended["refresh_token"]).status == 401
    wall.put(HOUR)
    assert everywhere(server, late_and_ended["token"]) == {401}


def test_an_hour_back(server: Server, wall: Wall) -> None:
    """Whoever logs in gets good tokens, and nobody waits; used refresh tokens stay used.

    A session that began in what is the future now goes on, but its tokens are refused until the clock has come that
    far: what they say of the login cannot be true.
    """
    given = [tokens(server)["refresh_token"]]
    for _ in range(2):
        given.append(json.loads(refresh(server, given[-1]).body)["refresh_token"])
    wall.put(-HOUR)
    new = tokens(server)
    assert everywhere(server, new["token"]) == {200}
    successor = json.loads(refresh(server, given[-1]).body)
    assert everywhere(server, successor["token"]) == {401}
    assert refresh(server, given[0]).status == 401, "a used refresh token is good again"
    assert refresh(server, successor["refresh_token"]).status == 401, "the session of a token that was used twice lives"
    assert ask(server, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200


def test_two_nodes_whose_clocks_differ(server: Server, library: Path, instance: Path) -> None:
    """Half a minute either way: tokens of one are good at the other at once, refreshes go on, ends bite."""
    with node(library, instance, "other") as (other, wall):
        for seconds, here, there in ((-29, server, other), (-29, other, server), (29, server, other)):
            wall.put(seconds)
            given = tokens(here)
            assert everywhere(there, given["token"]) == {200}
            continued = json.loads(refresh(there, given["refresh_token"]).body)
            assert refresh(here, given["refresh_token"]).status == 200, "a lost answer has ended the session"
            assert everywhere(here, continued["token"]) == {200}
            assert ask(there, post("/logout", token=continued["token"])).status == 204
            until_everywhere(here, continued["token"], 401)
            assert refresh(here, continued["refresh_token"]).status == 401
