"""Keys that change under load: no request of a good client fails, and a retired key is refused everywhere at once."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attacks.raw import ask
from tests.builders import PASSWORD
from tests.cli.commands import in_process
from tests.postgresql import fresh_database
from tests.races.clients import PROBES, add_users, me, post, tokens
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword_server
from tests.waiting import until
from watchword.base64url import b64decode

SECONDS = 1.0 if IS_FULL else 10.0
"""The promise is a second; on a machine that does other things too it is only asked for in full."""


@pytest.fixture(params=["two workers on SQLite", "two nodes on PostgreSQL"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Server, ...]]:
    """Services on one database; keys are changed on the first."""
    if request.param == "two workers on SQLite":
        with watchword_server(tmp_path / "one", workers=2) as one:
            yield (one,)
    else:
        with (
            fresh_database(request.getfixturevalue("postgresql_server")) as url,
            watchword_server(tmp_path / "one", DATABASE_URL=url) as one,
            watchword_server(tmp_path / "two", DATABASE_URL=url) as two,
        ):
            yield one, two


def keys_command(server: Server, *arguments: str) -> str:
    """What a command about keys tells."""
    done = in_process("keys", *arguments, environ=server.environ)
    assert done.exit_code == 0, done
    return done.stdout


def kid_of(token: str) -> str:
    """Which key has signed a token."""
    kid: str = json.loads(b64decode(token.partition(".")[0]))["kid"]
    return kid


@contextmanager
def clients(nodes: tuple[Server, ...]) -> Iterator[list[tuple[int, str]]]:
    """Two clients that log in on one node and show the token to all, on ever new connections; statuses and keys."""
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def live(number: int) -> None:
        turn = number
        while not stop.is_set():
            turn += 1
            answered = ask(nodes[turn % len(nodes)], post("/login", {"username": "alice", "password": PASSWORD}))
            if answered.status != 200:
                seen.append((answered.status, "no login"))
                continue
            token = json.loads(answered.body)["token"]
            # Another process, as connections fall on them at random.
            seen.extend((ask(node, me(token)).status, kid_of(token)) for node in nodes for _ in range(3))

    threads = [threading.Thread(target=live, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def published(server: Server) -> set[str]:
    """The ids in the key set that one of a server's processes gives."""
    answered = ask(server, b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return {jwk["kid"] for jwk in json.loads(answered.body)["keys"]}


def test_keys_change_under_load(nodes: tuple[Server, ...]) -> None:
    """Row 93: while a key is published, signs and its predecessor is retired, every fresh token passes everywhere.

    And every token of the retired key is refused by every process within a second, the remembered ones too.
    """
    first, *_ = nodes
    add_users(first, "alice")
    old_token = tokens(first)["token"]
    old = kid_of(old_token)
    for node in nodes:
        for _ in range(PROBES):
            assert ask(node, me(old_token)).status == 200
    with clients(nodes) as seen:
        until(lambda: len(seen) > 20)
        keys_command(first, "rotate")
        until(lambda: all(len(published(node)) == 2 for node in nodes for _ in range(PROBES)))
        assert {kid for _, kid in seen} == {old}
        new = keys_command(first, "rotate", "--now").split()[2]
        counted = len(seen)
        until(lambda: len(seen) > counted + 50)
        assert {kid for _, kid in seen[counted + 10 :]} == {new}
        keys_command(first, "retire", old)
        retired_at = time.monotonic()
        while not all(ask(node, me(old_token)).status == 401 for node in nodes for _ in range(PROBES)):
            assert time.monotonic() - retired_at < SECONDS, "the retired key is not refused"
        assert all(published(node) == {new} for node in nodes for _ in range(PROBES))
        counted = len(seen)
        until(lambda: len(seen) > counted + 50)
    assert {(status, kid) for status, kid in seen} == {(200, old), (200, new)}
