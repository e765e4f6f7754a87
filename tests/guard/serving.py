"""An application on a real Hypercorn in this event loop, and a WebSocket client that sees the handshake's answer."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

SECONDS = 10


@asynccontextmanager
async def serving(app: Quart) -> AsyncIterator[int]:
    """Serve an application on a loopback port, which is given, until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]  # it listens already, so nobody has to wait for it
    config.errorlog = None
    stop = asyncio.Event()
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield port
    finally:
        stop.set()
        await server


@dataclass(slots=True)
class WebSocket:
    """A client's end.

    Attributes:
        status: of the handshake's answer: 101 if it was accepted.
        headers: of a refusal, by lower-case name.
        body: of a refusal.
        code: with which the server has closed it.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: WSConnection
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    code: int = 0
    messages: list[str] = field(default_factory=list)
    is_over: bool = False

    async def send(self, text: str) -> None:
        """Send a message."""
        self.writer.write(self.protocol.send(TextMessage(text)))
        await self.writer.drain()

    async def receive(self) -> str:
        """The next message."""
        while not self.messages:
            await self.read()
        return self.messages.pop(0)

    async def read(self) -> None:
        """Take in what the server sends."""
        async with asyncio.timeout(SECONDS):
            data = await self.reader.read(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.protocol.receive_data(data)
        for event in self.protocol.events():
            match event:
                case AcceptConnection():
                    self.status, self.is_over = 101, True
                case RejectConnection(status_code=status, headers=headers, has_body=has_body):
                    self.status, self.is_over = status, not has_body
                    self.headers = {name.decode(): value.decode() for name, value in headers}
                case RejectData(data=part, body_finished=is_over):
                    self.body += part
                    self.is_over = is_over
                case TextMessage(data=text):
                    self.messages.append(text)
                case CloseConnection(code=code):
                    self.code = code
                    raise ConnectionError("the server closed the WebSocket")


@asynccontextmanager
async def websocket(
    port: int, path: str, headers: Mapping[str, str] | list[tuple[str, str]] | None = None
) -> AsyncIterator[WebSocket]:
    """Ask for a WebSocket and wait for the answer, whatever it is."""
    fields = list(headers.items() if isinstance(headers, Mapping) else headers or [])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = WebSocket(reader, writer, WSConnection(ConnectionType.CLIENT))
    extra = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    try:
        writer.write(client.protocol.send(Request(host="localhost", target=path, extra_headers=extra)))
        await writer.drain()
        while not client.is_over:
            await client.read()
        yield client
    finally:
        writer.close()
        await writer.wait_closed()
