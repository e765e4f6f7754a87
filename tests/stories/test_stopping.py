"""How a running service ends: told to, it answers what is in flight; killed, it has lost nothing it acknowledged."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.attacks.raw import answer, connection, request
from tests.certificates import certified
from tests.cli.commands import COMMAND, HYPERCORN
from tests.races.rounds import IS_FULL
from tests.servers import Server, environment, free_port, running, watchword, watchword_server
from watchword.base64url import b64decode

ALICE = {"username": "alice", "password": "correct horse battery staple"}
ASKS_AGAIN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
IN_FLIGHT = 300 if IS_FULL else 30
REAL_HASHES = {"HASH_MEMORY_KIB": "19456", "HASH_PASSES": "2", "HASH_THREADS": "1", "HASH_MAX_WAIT": "60"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with a user, to be copied; the user's hash is rehashed by each login under other parameters."""
    instance = tmp_path_factory.mktemp("installation") / "instance"
    environ = environment(instance)
    watchword("init", environ=environ).check_returncode()
    watchword("users", "add", "alice", "--password-stdin", environ=environ, stdin=ALICE["password"]).check_returncode()
    return instance


def claim(token: str, name: str) -> object:
    """What a token says, whoever signed it."""
    return json.loads(b64decode(token.split(".")[1]))[name]


def stored_sessions(database: Path) -> set[str]:
    """The sessions in a SQLite file that is whole and consistent."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return {session for (session,) in connection.execute("SELECT id FROM sessions")}


@pytest.mark.parametrize(
    ("way", "sign"),
    [
        pytest.param([*COMMAND, "serve", "--bind"], signal.SIGTERM, id="serve, SIGTERM"),
        pytest.param([*COMMAND, "serve", "--bind"], signal.SIGINT, id="serve, SIGINT"),
        pytest.param([*HYPERCORN, "--bind"], signal.SIGTERM, id="hypercorn, SIGTERM"),
        pytest.param([*HYPERCORN, "-w", "2", "--bind"], signal.SIGTERM, id="hypercorn with two workers, SIGTERM"),
    ],
)
async def test_what_is_in_flight_is_answered(
    installation: Path, tmp_path: Path, way: list[str], sign: signal.Signals
) -> None:
    """Thirty logins, in full 300, that wait for their hash get a token; then the process ends with 0 (checklist F9)."""
    instance = Path(shutil.copytree(installation, tmp_path / "instance"))
    port = free_port()
    environ = environment(instance, **REAL_HASHES)
    with running([*way, f"127.0.0.1:{port}"], environ=environ, port=port, log=tmp_path / "log") as server:
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=25) as client:
            logins = [asyncio.create_task(client.post("/login", json=ALICE)) for _ in range(IN_FLIGHT)]
            # One hash takes longer than reading thirty requests: when one is answered, the others are in the queue.
            await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
            server.process.send_signal(sign)
            waiting = sum(not login.done() for login in logins)
            answers = await asyncio.gather(*logins)
        assert await asyncio.to_thread(server.process.wait, 25) == 0
    assert waiting > IN_FLIGHT // 2
    assert [answer.status_code for answer in answers] == [200] * IN_FLIGHT
    sessions = {claim(answer.json()["token"], "sid") for answer in answers}
    assert stored_sessions(instance / "watchword.db") == sessions
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_who_is_gone_before_the_connection_is_closed_cuts_off_nobody(
    installation: Path, tmp_path: Path, loop: str
) -> None:
    """A reset that meets the end of our direction is no fault: it would end the drain of all others (checklist F9)."""
    environ = environment(Path(shutil.copytree(installation, tmp_path / "instance")))
    port, body = free_port(), json.dumps(ALICE).encode()
    serve = [*HYPERCORN, "-k", loop, "--bind", f"127.0.0.1:{port}"]
    with running(serve, environ=environ, port=port, log=tmp_path / "log") as server, ExitStack() as opened:
        waiting, *others = (opened.enter_context(connection(server)) for _ in range(91))
        for other in others:
            other.sendall(ASKS_AGAIN)
            assert answer(other).status == 200  # and so it is not among those that wait to be let in
        waiting.sendall(request("POST", "/login", "Content-Type: application/json", f"Content-Length: {len(body)}"))
        server.process.send_signal(signal.SIGTERM)
        for number, other in enumerate(others):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # to close is to reset
            other.sendall(b"no request\r\n\r\n")
            if number % 3:  # else gone before the answer is written
                other.recv(1)
            other.close()
        time.sleep(0.5)
        waiting.sendall(body)
        assert answer(waiting).status == 200
        assert server.process.wait(25) == 0
        assert "Traceback" not in server.log.read_text()


@contextmanager
def tls_server(
    installation: Path, folder: Path, loop: str, *options: str
) -> Iterator[tuple[Server, Callable[[bytes], ssl.SSLSocket]]]:
    """A server that speaks TLS too, and what asks it on a new connection."""
    environ = environment(Path(shutil.copytree(installation, folder / "instance")))
    port, secure = free_port(), free_port()
    certified(folder, "localhost")
    keys = ["--certfile", str(folder / "cert.pem"), "--keyfile", str(folder / "key.pem")]
    binds = ["--bind", f"127.0.0.1:{secure}", "--insecure-bind", f"127.0.0.1:{port}"]
    serve = [*HYPERCORN, "-k", loop, *keys, *binds, *options]
    trusting = ssl.create_default_context(cafile=folder / "cert.pem")
    with running(serve, environ=environ, port=port, log=folder / "log") as server, ExitStack() as opened:

        def ask(data: bytes) -> ssl.SSLSocket:
            plain = opened.enter_context(socket.create_connection(("127.0.0.1", secure), 25))
            encrypted = opened.enter_context(trusting.wrap_socket(plain, server_hostname="localhost"))
            encrypted.sendall(data)
            return encrypted

        yield server, ask


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_who_does_not_end_tls_is_cut_off(installation: Path, tmp_path: Path, loop: str) -> None:
    """A client that has its last answer and goes on in silence keeps no connection (row 29)."""
    with tls_server(installation, tmp_path, loop) as (_, ask):
        encrypted, began = ask(request("GET", "/healthz")), time.monotonic()
        assert answer(encrypted).status == 200
        with socket.socket(fileno=os.dup(encrypted.fileno())) as below:
            below.settimeout(25)
            with suppress(ConnectionResetError):
                while below.recv(1024):
                    pass
        assert 3 < time.monotonic() - began < 15


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_who_does_not_end_tls_holds_up_no_end(installation: Path, tmp_path: Path, loop: str) -> None:
    """Told to end, the service waits a moment for who has taken all, however long they may be idle (checklist F9)."""
    with tls_server(installation, tmp_path, loop, "--keep-alive", "75") as (server, ask):
        assert answer(ask(request("GET", "/healthz"))).status == 200
        assert answer(ask(ASKS_AGAIN)).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(8) == 0
        assert "Traceback" not in server.log.read_text()


async def log_in_until_the_end(server: Server, acknowledged: list[str], enough: asyncio.Event) -> None:
    """One client that logs in again and again and remembers what it was told."""
    until = len(acknowledged) + 40
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        with suppress(httpx.TransportError):
            while True:
                answer = await client.post("/login", json=ALICE)
                assert answer.status_code == 200
                acknowledged.append(str(claim(answer.json()["token"], "sid")))
                if len(acknowledged) >= until:
                    enough.set()


async def test_a_killed_service_has_lost_nothing(installation: Path, tmp_path: Path) -> None:
    """Killed three times amid logins: the file is whole, each acknowledged login is stored, it serves again (F7)."""
    instance = Path(shutil.copytree(installation, tmp_path / "instance"))
    acknowledged: list[str] = []
    for _ in range(3):
        with watchword_server(instance) as server:
            before, enough = len(acknowledged), asyncio.Event()
            clients = [asyncio.create_task(log_in_until_the_end(server, acknowledged, enough)) for _ in range(8)]
            reached = asyncio.create_task(enough.wait())
            await asyncio.wait([reached, *clients], timeout=20, return_when=asyncio.FIRST_COMPLETED)
            reached.cancel()
            server.process.kill()
            await asyncio.gather(*clients)
            assert server.process.wait(10) == -signal.SIGKILL
        assert len(acknowledged) >= before + 40
        sessions = stored_sessions(instance / "watchword.db")
        assert sessions >= set(acknowledged)
    assert len(sessions) <= len(acknowledged) + 3 * 8  # stored, but the answer did not come through
    users = watchword("users", "list", environ=environment(instance)).stdout
    assert users == "admin\tenabled\tadmin\nalice\tenabled\t\n"
    with watchword_server(instance) as server:
        assert (await asyncio.to_thread(httpx.post, f"{server.url}/login", json=ALICE)).status_code == 200
