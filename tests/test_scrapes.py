"""The listener for the metrics: what goes wrong with it, or who is idle on it, costs the service nothing."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from tests.servers import free_port
from watchword import scrapes


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes, "RETRY_SECONDS", 0.01)


@asynccontextmanager
async def exposed(host: str) -> AsyncIterator[str]:
    """The address of a listener that tells of one gauge."""
    registry, port = CollectorRegistry(), free_port()
    Gauge("tests_answer", "What is asked for.", registry=registry).set(42)
    listening = asyncio.create_task(scrapes.expose(registry, host.strip("[]"), port))
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
            await scrapes.expose(CollectorRegistry(), host, 9464)
    (told,) = caplog.messages
    assert told.startswith(f"no metrics on {host}:9464 yet: ")


async def test_a_resolver_that_is_silent_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 29: it is asked in a thread, and the event loop goes on meanwhile."""
    loop, is_asked, speaks = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        loop.call_soon_threadsafe(is_asked.set)
        speaks.wait(10)
        raise OSError("nobody answered")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    listening = asyncio.create_task(scrapes.expose(CollectorRegistry(), "metrics.internal", 9464))
    async with asyncio.timeout(5):
        await is_asked.wait()
    assert not speaks.is_set()
    speaks.set()
    listening.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_who_is_idle_is_hung_up_on(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 29: a connection on which nothing is asked ends, and of many at once all but a few at once."""
    monkeypatch.setattr(scrapes._Scrape, "timeout", 0.3)
    async with exposed(host) as address, asyncio.timeout(20):
        name, _, port = address.rpartition(":")
        idle = [await asyncio.open_connection(name.strip("[]"), int(port)) for _ in repeat(None, 60)]
        assert await asyncio.gather(*(reader.read() for reader, _ in idle)) == [b""] * 60
        for _, writer in idle:
            writer.close()
        async with httpx.AsyncClient() as client:
            page = await client.get(f"http://{address}/metrics")
    assert "tests_answer 42.0" in page.text
