"""How a connection ends when the service is told to: with a small application behind it and a real socket."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import certified
from tests.test_http1 import GET, LAST, Connection, answering, served
from watchword import server

LARGE = bytes(8_000_000)
"""More than the kernel takes off our hands before the client reads."""
BETWEEN = 0.3
PATIENT = {"keep_alive_timeout": 75}


def tls(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The server's settings and the client's options for TLS."""
    certified(folder, "localhost")
    keys = {"certfile": str(folder / "cert.pem"), "keyfile": str(folder / "key.pem")}
    trusting = ssl.create_default_context(cafile=folder / "cert.pem")
    return {**PATIENT, **keys, "alpn_protocols": ["http/1.1"]}, {"ssl": trusting, "server_hostname": "localhost"}


@pytest.fixture(params=[True, False], ids=["TLS", "in the clear"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The server's settings and the client's options."""
    return tls(tmp_path) if request.param else (PATIENT, {})


def give_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel take hardly anything off the server's hands."""
    create = socket.create_server

    def with_little_room(address: tuple[str, int]) -> socket.socket:
        listener = create(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # each of its connections has the same
        return listener

    monkeypatch.setattr("socket.create_server", with_little_room)


async def slowly(connection: Connection) -> bytes:
    """Take the body of the last answer, after a time in which who has taken all would be cut off."""
    reader, writer = connection
    await asyncio.sleep(BETWEEN + 2.5 * server.LINGER)
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


async def test_who_still_takes_an_answer_has_time(sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """A last answer of which the client has only a part is in flight: there is ``graceful_timeout`` for it (F9)."""
    settings, options = sides
    async with served(answering(LARGE), graceful_timeout=9, **settings) as connect:
        connection = await connect(**options)
        connection[1].write(LAST)
        taking = asyncio.create_task(slowly(connection))
        await asyncio.sleep(BETWEEN)
    assert await taking == LARGE


async def test_no_end_of_an_answer_is_lost_below_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 64 KiB may wait where the transport of TLS does not count them: they are in flight all the same (F9)."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(bytes(int(scope["query_string"])))(scope, receive, send)

    give_little_room(monkeypatch)
    settings, options = tls(tmp_path)
    sizes = range(50_000, 2_000_000, 50_000)  # one of them is a little more than the client and both kernels hold
    async with served(app, graceful_timeout=9, **settings) as connect:
        taking = []
        for size in sizes:
            connection = await connect(**options)
            connection[1].write(LAST.replace(b"/", b"/?%d" % size, 1))
            taking.append(asyncio.create_task(slowly(connection)))
        await asyncio.sleep(BETWEEN)
    assert [len(body) for body in await asyncio.gather(*taking)] == list(sizes)


@pytest.mark.parametrize("data", [LAST, GET], ids=["the last", "may ask again"])
async def test_who_takes_no_answer_holds_up_no_end(sides: tuple[dict[str, Any], dict[str, Any]], data: bytes) -> None:
    """Behind ``graceful_timeout`` nobody has the time of an idle connection once more (F9)."""
    settings, options = sides
    loop = asyncio.get_running_loop()
    async with served(answering(LARGE), graceful_timeout=1, **settings) as connect:
        _, writer = await connect(**options)
        writer.write(data)
        await asyncio.sleep(BETWEEN)
        told = loop.time()
    assert loop.time() - told < PATIENT["keep_alive_timeout"] / 3
    writer.transport.abort()


async def test_who_is_overdue_is_no_fault_in_the_log(sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """A client that takes no answer, or does not end its body, is cut off in the end without a word."""
    settings, options = sides
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    writers = []
    async with served(answering(LARGE), graceful_timeout=1, **settings) as connect:
        for data in (LAST, GET, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"):
            _, writer = await connect(**options)
            writer.write(data)
            writers.append(writer)
        await asyncio.sleep(BETWEEN)
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
    assert faults == []


@pytest.mark.parametrize(("size", "piece"), [(80_000, 5000), (40_000, 2500)], ids=["while written", "behind it"])
async def test_who_takes_an_answer_slowly_but_steadily_has_all_of_it(
    monkeypatch: pytest.MonkeyPatch, size: int, piece: int
) -> None:
    """Only who takes nothing for ``keep_alive_timeout`` is cut off; the whole answer may take much longer."""
    give_little_room(monkeypatch)
    loop, taken = asyncio.get_running_loop(), 0
    async with served(answering(bytes(size)), keep_alive_timeout=1) as connect:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8000)
            client.setblocking(False)
            _, probe = await connect()
            await loop.sock_connect(client, probe.get_extra_info("peername"))
            probe.close()
            await loop.sock_sendall(client, LAST)
            while taken_now := await asyncio.wait_for(loop.sock_recv(client, piece), 5):
                taken += len(taken_now)
                await asyncio.sleep(0.15)
    assert taken > size
