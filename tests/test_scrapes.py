"""The listener for the metrics: what goes wrong with it, or who is idle on it, costs the service nothing."""

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import repeat
from socketserver import TCPServer

import httpx
import pytest

from tests.servers import free_port
from watchword import scrapes


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes, "RETRY_SECONDS", 0.01)


@asynccontextmanager
async def exposed(host: str) -> AsyncIterator[str]:
    """The address of a listener that tells the answer."""
    port = free_port()
    listening = asyncio.create_task(scrapes.expose(lambda: b"answer 42\n", host.strip("[]"), port))
    try:
        async with asyncio.timeout(10), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://{host}:{port}/metrics")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
        yield f"{host}:{port}"
    finally:
        listening.cancel()
        await asyncio.wait([listening])


@pytest.mark.parametrize("host", ["metrics..internal", f"{'m' * 70}.internal"])
async def test_a_host_that_cannot_be_one_is_told_once(host: str, caplog: pytest.LogCaptureFixture) -> None:
    """What no resolver takes for a name is told as an address that is taken: once, however often it is tried."""
    caplog.set_level(logging.WARNING, logger=scrapes.__name__)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await scrapes.expose(bytes, host, 9464)
    (told,) = caplog.messages
    assert told.startswith(f"no metrics on {host}:9464 yet: ")


async def test_a_resolver_that_is_silent_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 29: it is asked in a thread, and the event loop goes on meanwhile."""
    loop, is_asked, speaks = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    others = set(threading.enumerate())

    def silent(*_: object, **__: object) -> list[object]:
        loop.call_soon_threadsafe(is_asked.set)
        speaks.wait(10)
        raise OSError("nobody answered")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    listening = asyncio.create_task(scrapes.expose(bytes, "metrics.internal", 9464))
    async with asyncio.timeout(5):
        await is_asked.wait()
    assert not speaks.is_set()
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    (resolver,) = [each for each in threading.enumerate() if each.name == "resolver" and each not in others]
    speaks.set()
    await asyncio.to_thread(resolver.join, 5)
    assert not resolver.is_alive(), "it would be one more with each application that has been stopped"


@pytest.mark.parametrize("name", ["metrics", "resolver"])
async def test_without_room_for_a_thread_it_tries_again(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was not begun again until the service was, and its port was bound: scrapes were let in and waited."""
    start, refusals = threading.Thread.start, iter((True, True, False))

    def start_if_there_is_room(thread: threading.Thread) -> None:
        if thread.name == name and next(refusals):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    async with exposed("127.0.0.1") as address, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address}/metrics")).text == "answer 42\n"
    (told,) = caplog.messages
    assert told == f"no metrics on {address} yet: can't start new thread; the service goes on without"


async def test_its_end_holds_up_nobody(busy: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop goes on while it is waited for, also where slow views have all of its own threads."""
    loop, is_asked, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    shutdown = TCPServer.shutdown

    def take_long(listener: TCPServer) -> None:
        loop.call_soon_threadsafe(is_asked.set)
        assert goes_on.wait(5)
        shutdown(listener)

    monkeypatch.setattr(TCPServer, "shutdown", take_long)
    listening = asyncio.create_task(scrapes.expose(bytes, "127.0.0.1", port := free_port()))
    async with asyncio.timeout(20):
        while not await is_open(port):
            await asyncio.sleep(0.01)
        listening.cancel()
        await is_asked.wait()
        assert not listening.done()
        goes_on.set()
        await asyncio.wait([listening])
        assert listening.cancelled()
        assert not await is_open(port)
    assert not busy.is_set()


async def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_nobody_stays(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 29: who says nothing, or a byte now and then, is hung up on in time; of very many all but a few at once."""
    monkeypatch.setattr(scrapes, "PATIENCE", 0.3)
    async with exposed(host) as address, asyncio.timeout(20):
        name, _, port = address.rpartition(":")
        idle = [await asyncio.open_connection(name.strip("[]"), int(port)) for _ in repeat(None, 40)]
        trickling = [asyncio.create_task(trickle(writer)) for _, writer in idle]
        ends = await asyncio.gather(*(reader.read() for reader, _ in idle), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
        for task, (_, writer) in zip(trickling, idle, strict=True):
            task.cancel()
            writer.close()
        async with httpx.AsyncClient() as client:
            page = await client.get(f"http://{address}/metrics")
    assert page.text == "answer 42\n"


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a byte of a request line now and then, for as long as there is somebody."""
    with suppress(ConnectionError):
        while True:
            writer.write(b"G")
            await writer.drain()
            await asyncio.sleep(0.05)


async def test_without_a_descriptor_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """F14: who cannot be let in yet is not tried for again and again meanwhile, and is let in then."""
    monkeypatch.setattr(scrapes, "RETRY_SECONDS", 0.2)
    is_full, tries = threading.Event(), 0
    take = TCPServer.get_request

    def take_if_there_is_room(listener: TCPServer) -> object:
        nonlocal tries
        if not is_full.is_set():
            return take(listener)
        tries += 1
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(TCPServer, "get_request", take_if_there_is_room)
    async with exposed("127.0.0.1") as address, httpx.AsyncClient(timeout=20) as client:
        is_full.set()
        waiting = asyncio.create_task(client.get(f"http://{address}/metrics"))
        await asyncio.sleep(1)
        is_full.clear()
        assert (await waiting).status_code == 200
    assert 1 <= tries <= 6


async def test_whatever_is_asked_the_log_has_no_line_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    """Row 99: no form that we do not speak, no bad request and no hanging up writes to standard error."""
    async with exposed("127.0.0.1") as address, httpx.AsyncClient() as client:
        for accept in ("text/plain; version=latest", "application/openmetrics-text", "*/*;q=x"):
            page = await client.get(f"http://{address}/metrics", headers={"Accept": accept})
            assert (page.status_code, page.text) == (200, "answer 42\n")
            assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert (await client.request("NOTHING", f"http://{address}/metrics")).status_code == 501
        for data in (b"\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /metrics HTTP/1.1\r\n"):
            _, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(data)
            writer.transport.abort()
    assert capfd.readouterr().err == ""
