"""One request as ASGI knows it, and its answer as it is written to the connection."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol

from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope

from watchword.endpoints.exchange import RawHeader

CLOSE: Final = (b"connection", b"close")
_BARE: Final = frozenset({204, 304})
"""Statuses whose answers have no body (RFC 9110 §6.4.1)."""
_MOST_UNREAD: Final = 8
"""Pieces of a body that may wait for the application; no more is read from the client then."""
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}


class Connection(Protocol):
    """What a request came by.

    Attributes:
        config: Hypercorn's.
    """

    config: Config

    async def write(self, data: bytes) -> None:
        """Send bytes of an answer."""

    def must_close(self) -> bool:
        """Whether the connection has to end with the answer that is about to begin."""

    async def end(self, *, closes: bool) -> None:
        """End the request whose answer is complete, or never will be."""


def head(status: int, headers: Iterable[RawHeader], *, config: Config) -> bytes:
    """The head of an answer.

    Raises:
        ValueError: a header would end its line, and forge what follows.
    """
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]  # an application may have one without a name
    lines += [b"%b: %b" % header for header in headers]
    lines += [b"%b: %b" % header for header in _Own.headers(config)]
    data = b"\r\n".join([*lines, b"", b""])
    if data.count(b"\n") != len(lines) + 1 or data.count(b"\r") != len(lines) + 1:
        raise ValueError("a header holds the end of a line")
    return data


class _Stage(Enum):
    """How far an answer is."""

    AWAITED = auto()
    ANNOUNCED = auto()
    BEGUN = auto()
    ENDED = auto()


class Request:
    """One request, as ASGI's ``receive`` and ``send`` know it.

    Attributes:
        scope: its ASGI scope.
    """

    __slots__ = (
        "_announced", "_closes", "_connection", "_has_left", "_is_chunked", "_news", "_owed", "_room", "_stage",
        "_unread", "scope",
    )  # fmt: skip

    def __init__(self, connection: Connection, scope: HTTPScope) -> None:
        self.scope = scope
        self._connection = connection
        self._unread: deque[ASGIReceiveEvent] = deque()
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._stage = _Stage.AWAITED
        self._announced: tuple[int, list[RawHeader]] = (0, [])
        self._has_left = False
        self._is_chunked = False
        self._owed: int | None = None
        self._closes = True

    @property
    def has_begun(self) -> bool:
        """Whether a part of the answer has been sent."""
        return self._stage in {_Stage.BEGUN, _Stage.ENDED}

    async def feed(self, body: bytes, *, more_body: bool) -> None:
        """Take a piece of the body from the client; wait while there are too many."""
        self._unread.append({"type": "http.request", "body": body, "more_body": more_body})
        self._wake()
        if len(self._unread) > _MOST_UNREAD:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def hang_up(self) -> None:
        """Take it that nobody waits for the answer any more."""
        self._has_left = True
        self._wake()
        self._make_room()

    async def receive(self) -> ASGIReceiveEvent:
        """What comes next from the client, as ASGI has it."""
        while not self._unread:
            if self._has_left or self._stage is _Stage.ENDED:
                return {"type": "http.disconnect"}
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        piece = self._unread.popleft()
        self._make_room()
        return piece

    async def send(self, event: ASGISendEvent) -> None:
        """Send a part of the answer, as ASGI has it."""
        if self._has_left:
            return
        if event["type"] == "http.response.start" and self._stage is _Stage.AWAITED:
            self._announced = event["status"], list(event["headers"])
            self._stage = _Stage.ANNOUNCED
        elif event["type"] == "http.response.body" and self._stage in {_Stage.ANNOUNCED, _Stage.BEGUN}:
            body, is_last = event.get("body", b""), not event.get("more_body", False)
            data = self._begun(body, is_whole=is_last) if self._stage is _Stage.ANNOUNCED else b""
            data += self._framed(body, is_last=is_last)
            self._stage = _Stage.BEGUN
            if data:
                await self._connection.write(data)
            if is_last and not self._has_left:
                self._stage = _Stage.ENDED
                self._wake()
                self._make_room()
                await self._connection.end(closes=self._closes)
        else:
            raise RuntimeError(f"no {event['type']} may come now")

    def _begun(self, body: bytes, *, is_whole: bool) -> bytes:
        status, headers = self._announced
        given = dict(headers)
        if b"transfer-encoding" in given:  # the server's to choose, says ASGI
            headers = [header for header in headers if header[0] != b"transfer-encoding"]
        self._closes = self._connection.must_close() or CLOSE in headers
        if (length := given.get(b"content-length")) is not None:
            self._owed = int(length)
        elif status not in _BARE:
            if is_whole:
                headers.append((b"content-length", b"%d" % len(body)))
            elif self.scope["http_version"] == "1.1":
                self._is_chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
            else:  # the end of the connection is the end of the body
                self._closes = True
        if self._closes and CLOSE not in headers:
            headers.append(CLOSE)
        return head(status, headers, config=self._connection.config)

    def _framed(self, body: bytes, *, is_last: bool) -> bytes:
        if self.scope["method"] == "HEAD" or self._announced[0] in _BARE:
            return b""
        if self._owed is not None:
            self._owed -= len(body)
            if self._owed < 0 or (is_last and self._owed):
                raise ValueError("the body is not as long as its header says")
        if not self._is_chunked:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + b"0\r\n\r\n" if is_last else chunk

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class _Own:
    """The headers that Hypercorn's configuration adds to each answer, the date among them: made once a second."""

    second = 0
    made: tuple[RawHeader, ...] = ()

    @classmethod
    def headers(cls, config: Config) -> tuple[RawHeader, ...]:
        """As of now."""
        second = int(time.monotonic())
        if second != cls.second:
            cls.second, cls.made = second, tuple(config.response_headers("h11"))
        return cls.made
