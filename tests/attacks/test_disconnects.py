"""Clients that hang up in the middle of a login: nothing is left half done, and everybody else is served."""

import json
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.attacks.raw import ask, connection, log_in, request
from tests.builders import PASSWORD
from tests.servers import Server, watchword, watchword_server

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
ABORTED = 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server whose hashes take long enough to be hung up on."""
    with watchword_server(tmp_path / "instance", HASH_MEMORY_KIB="8192", HASH_PASSES="2", HASH_MAX_WAIT="10") as server:
        command = ("users", "add", "alice", "--password-stdin")
        watchword(*command, environ=server.environ, stdin=f"{PASSWORD}\n").check_returncode()
        yield server


def query(server: Server, statement: str) -> list[tuple[object, ...]]:
    """Ask the server's database behind its back."""
    path = Path(server.environ["WATCHWORD_INSTANCE"]) / "watchword.db"
    connected = sqlite3.connect(path)
    try:
        return connected.execute(statement).fetchall()
    finally:
        connected.close()


def test_a_hundred_clients_hang_up(server: Server) -> None:
    """After a hundred resets at every moment of a login, each session is whole and each honest login is good."""
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    data = request("POST", "/login", "Content-Type: application/json", body=body)

    def hang_up(number: int) -> None:
        with connection(server) as connected:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            connected.sendall(data if number % 5 else data[: -number % len(data)])
            time.sleep(number % 20 * 0.002)

    with ThreadPoolExecutor(10) as clients:
        list(clients.map(hang_up, range(ABORTED)))
        honest = list(clients.map(lambda _: log_in(server, "alice", PASSWORD), range(20)))
    assert [answer.status for answer in honest] == [200] * len(honest)
    assert ask(server, request("GET", "/readyz")).status == 200
    assert server.process.poll() is None
    assert query(server, "PRAGMA integrity_check") == [("ok",)]
    assert query(server, "PRAGMA foreign_key_check") == []
    ((sessions,),) = query(
        server, "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE expires_at > auth_time"
    )
    ((rows,),) = query(server, "SELECT count(*) FROM sessions")
    assert sessions == rows
    assert len(honest) <= int(str(rows)) <= len(honest) + ABORTED
    lines = [json.loads(line) for line in server.logged().splitlines()]
    assert {line["level"] for line in lines} == {"info"}
