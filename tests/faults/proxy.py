"""A network that fails on request: a TCP proxy in front of a database, in a thread of its own.

with Proxy.before(url) as proxy:
    ...  # proxy.url leads to the database
    proxy.go_away()      # connections are cut, new ones refused
    proxy.come_back()
    proxy.swallow()      # connections stay and nothing comes through
    proxy.delay = 5.0    # seconds that each message to the database takes
    proxy.cut_rate = .01 # the part of messages, either way, on which the connection is cut instead
    proxy.drops = frozenset({"lock_timeout"})  # settings that connections are opened without, as by a pooler
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from random import Random  # noqa: TID251  # seeded, so that a run can be had again
from typing import Any, Self
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_SECONDS = 10.0
_STARTUP = (3 << 16).to_bytes(4)  # the version of the protocol, behind the length of the message


class Proxy:
    """Passes everything on until told otherwise.

    Attributes:
        url: the database, through the proxy.
        delay: seconds that each message to the database takes.
        cut_rate: the part of messages on which the connection is cut.
        drops: names of the settings that it takes out of what a connection is opened with.
        cuts: how many were cut so.
        arrivals: how many connections there were in all.
    """

    def __init__(self, url: str, *, seed: int = 1) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._parts = parts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._random = Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay = 0.0
        self.cut_rate = 0.0
        self.drops: frozenset[str] = frozenset()
        self.cuts = 0
        self.arrivals = 0

    @classmethod
    @contextmanager
    def before(cls, url: str) -> Iterator[Self]:
        """A proxy in front of a database."""
        proxy = cls(url)
        proxy._thread.start()
        proxy.come_back()
        proxy.pass_on()
        try:
            yield proxy
        finally:
            proxy.go_away()
            proxy._loop.call_soon_threadsafe(proxy._loop.stop)
            proxy._thread.join()
            proxy._loop.close()

    @property
    def url(self) -> str:
        """The database's URL, by way of the proxy."""
        return self._parts._replace(netloc=f"{self._parts.username}@127.0.0.1:{self._port}").geturl()

    def go_away(self) -> None:
        """Cut all connections and refuse new ones."""

        async def go() -> None:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            self._cut_all()
            while self._tasks:
                await asyncio.wait(self._tasks)

        self._do(go())

    def come_back(self) -> None:
        """Listen again, on the same port."""

        async def come() -> None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=_CHUNK)
            self._port = self._listener.sockets[0].getsockname()[1]

        self._do(come())

    def cut_all(self) -> None:
        """Cut all connections; new ones are taken."""

        async def cut() -> None:
            self._cut_all()

        self._do(cut())

    def swallow(self) -> None:
        """Let nothing through any more, without a word, as a network does that has lost its route."""

        async def close() -> None:
            self._passes.clear()

        self._do(close())

    def pass_on(self) -> None:
        """Let through what comes, and what has been swallowed."""

        async def open_() -> None:
            self._passes.set()

        self._do(open_())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def _cut_all(self) -> None:
        for each in tuple(self._open):
            each.transport.abort()
        self._passes.set()  # or what is swallowed would never learn that it is over

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.arrivals += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._open.add(writer)
        far = None
        try:
            await self._passes.wait()
            if writer.is_closing():
                return
            far_reader, far = await asyncio.open_connection(*self._target, limit=_CHUNK)
            self._open.add(far)
            directions = [
                asyncio.ensure_future(self._carry(reader, far, to_the_database=True)),
                asyncio.ensure_future(self._carry(far_reader, writer, to_the_database=False)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for each in directions:
                each.cancel()
            await asyncio.wait(directions)
        except OSError:
            pass  # nobody there: the connection ends
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()
                    self._open.discard(end)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_the_database: bool) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if to_the_database and self.delay:
                    await asyncio.sleep(self.delay)
                await self._passes.wait()
                if to_the_database and self.drops and data[4:8] == _STARTUP:
                    data = self._without_what_it_drops(data)
                if self.cut_rate and self._random.random() < self.cut_rate:
                    self.cuts += 1
                    return
                sink.write(data)
                await sink.drain()

    def _without_what_it_drops(self, startup: bytes) -> bytes:
        """A StartupMessage: its length, the version, then name after value, each with a zero behind it, and a zero."""
        texts = startup[8:-2].decode().split("\0")
        kept = [pair for pair in zip(texts[::2], texts[1::2], strict=True) if pair[0] not in self.drops]
        body = _STARTUP + "".join(f"{name}\0{value}\0" for name, value in kept).encode() + b"\0"
        return (len(body) + 4).to_bytes(4) + body
