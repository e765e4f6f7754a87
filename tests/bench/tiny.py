"""An HTTP server of a few lines that does what a test says and remembers what it saw."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvloop

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Seen:
    """A request as it came in.

    Attributes:
        number: how many came before it.
        at: when, by the clock that the engine takes times with.
        head: request line and headers.
        body: the body.
    """

    number: int
    at: float
    head: str
    body: bytes


@dataclass
class TinyServer:
    """Where it listens, what it saw, and the most connections it had at once."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connected: int = 0
    most_connected: int = 0


Answering = Callable[[Seen], Awaitable[bytes]]
"""Gives the bytes of an answer; after an answer without a length, and after none at all, the connection is closed."""


def answer(status: int = 200, body: bytes = b"{}", *headers: str) -> bytes:
    """An answer that keeps the connection."""
    lines = (f"HTTP/1.1 {status} As Told", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body


async def well(_: Seen) -> bytes:
    """The answer of a server that is well."""
    return answer()


@asynccontextmanager
async def tiny_server(answering: Answering = well) -> AsyncIterator[TinyServer]:
    """The server, on a free loopback port."""
    tiny = TinyServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tiny.connected += 1
        tiny.most_connected = max(tiny.most_connected, tiny.connected)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                _, _, length = head.lower().partition("content-length: ")
                body = await reader.readexactly(int(length.partition("\r\n")[0] or 0))
                seen = Seen(len(tiny.seen), time.perf_counter(), head, body)
                tiny.seen.append(seen)
                said = await answering(seen)
                writer.write(said)
                if b"Content-Length" not in said or b"Connection: close" in said:
                    return
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            tiny.connected -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tiny.port = server.sockets[0].getsockname()[1]
    try:
        yield tiny
    finally:
        server.close()
        await server.wait_closed()


def run_on(loop: str, story: Awaitable[None]) -> None:
    """Run a story on a loop of that kind."""

    async def told() -> None:
        await story

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(told())
