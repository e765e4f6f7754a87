"""A login service in small, on a loopback port: metadata, keys and a feed, and any nonsense that a test wants of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.guard.issuer import Issuer
from tests.servers import free_port
from watchword.keys import KeyRing, SigningKey

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
FEED = "/revocations"
SERVICE_TOKEN = "a-service-token"
SECONDS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service sends: an endless body goes on while anybody reads, one in parts has so many bytes in each."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_endless: bool = False
    part: int = 0


def reply(members: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A reply of JSON."""
    return Reply(json.dumps(members).encode(), status, headers or {})


@dataclass(slots=True)
class Arrived:
    """A request as the service saw it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    connection: int


@dataclass
class LoginService:
    """Publishes keys and tells of ended sessions, until it is told to do otherwise.

    Attributes:
        issuer: who signs its tokens; its first key.
        keys: all that are published, oldest first.
        ended: entries of its feed.
        page: the most entries of one answer.
        planned: by path, what is answered instead.
        before: by path, what is awaited before an answer.
        arrived: all requests, in order.
        hung_up: set when the reader of an endless reply has had enough.
    """

    issuer: Issuer
    keys: list[SigningKey] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    page: int = 1000
    planned: dict[str, Reply] = field(default_factory=dict)
    before: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: list[asyncio.StreamWriter] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _asked: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.issuer.url).port or 0

    @property
    def path(self) -> str:
        """The path of its address."""
        return urlsplit(self.issuer.url).path

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(arrived.path == path for arrived in self.arrived)

    async def until(self, path: str, times: int) -> None:
        """Wait until a path was asked for so often."""
        async with asyncio.timeout(SECONDS), self._asked:
            await self._asked.wait_for(lambda: self.count(path) >= times)

    def end(self, session_id: str) -> None:
        """End a session."""
        now = 1_800_000_000
        self.ended.append({"seq": len(self.ended) + 1, "sid": session_id, "revoked_at": now, "expires_at": now + 900})

    def rotate(self) -> Issuer:
        """Publish a second key, and give who signs with it."""
        issuer = Issuer(url=self.issuer.url, key=SigningKey.generate("EdDSA"))
        self.keys.append(issuer.key)
        return issuer

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Be gone, with all connections."""
        assert self._server is not None
        self._server.close()
        for writer in self._connections:
            writer.transport.abort()
        self._connections.clear()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(writer)
        number = len(self._connections)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode("latin-1"), writer, number)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter, number: int) -> None:
        request_line, *lines = head.strip().split("\r\n")
        url = urlsplit(request_line.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        asked = Arrived(url.path, parse_qs(url.query), headers, number)
        async with self._asked:
            self.arrived.append(asked)
            self._asked.notify_all()
        if wait := self.before.get(url.path):
            await wait()
        found = self.planned.get(url.path) or self._reply_to(asked)
        length, body = {} if found.is_endless else {"Content-Length": str(len(found.body))}, found.body
        if found.part:
            parts = [body[at : at + found.part] for at in range(0, len(body), found.part)]
            length = {"Transfer-Encoding": "chunked"}
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
        fields = "".join(f"{name}: {value}\r\n" for name, value in {**length, **found.headers}.items())
        writer.write(f"HTTP/1.1 {found.status} Whatever\r\n{fields}\r\n".encode() + body)
        await writer.drain()
        while found.is_endless:
            writer.write(b" " * 65_536)
            await writer.drain()

    def _reply_to(self, asked: Arrived) -> Reply:
        if asked.path == METADATA + self.path:
            jwks_uri = f"{self.issuer.url}{JWKS}"
            return reply({"issuer": self.issuer.url, "jwks_uri": jwks_uri, "unknown": [1]})
        if asked.path == self.path + JWKS:
            return reply(KeyRing(self.keys).jwks(), headers={"Cache-Control": "public, max-age=600"})
        if asked.path == self.path + FEED:
            if asked.headers.get("authorization") != f"Bearer {SERVICE_TOKEN}":
                return reply({}, 401)
            return self._news(int(asked.query.get("after", ["0"])[0]))
        return reply({}, 404)

    def _news(self, after: int) -> Reply:
        news = [entry for entry in self.ended if entry["seq"] > after]
        told, is_more = news[: self.page], len(news) > self.page
        seq = told[-1]["seq"] if is_more else max((entry["seq"] for entry in self.ended), default=0)
        fingerprint = KeyRing(self.keys).fingerprint
        return reply({"seq": seq, "more": is_more, "now": 1, "keys": fingerprint, "revocations": told})


@asynccontextmanager
async def login_service(path: str = "", *, host: str = "127.0.0.1") -> AsyncIterator[LoginService]:
    """A login service under a name of this machine that listens until the block is left."""
    issuer = Issuer(url=f"http://{host}:{free_port()}{path}")
    service = LoginService(issuer, [issuer.key])
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
