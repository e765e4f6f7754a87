"""A lean HTTP/1.1 client: a keep-alive connection, one request at a time, and nothing that a load test can do without.

No redirects, no cookies, no compression, no second try: what the server did is what the caller sees.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final, cast

CONNECT_SECONDS: Final = 5.0
MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 4 * 1024 * 1024

_FIRST_FINAL_STATUS: Final = 200
_BODILESS: Final = frozenset({204, 304})
_BLANK_LINE: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: |\r|\Z)")
_LENGTH: Final = re.compile(rb"[0-9]{1,10}")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f]")
_FORBIDDEN_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class BadAnswer(ConnectionError):
    """What came is no answer that this client can read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; the client adds Host and Content-Length where they are missing."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self, host: str, port: int) -> bytes:
        """The bytes that go over the wire.

        Raises:
            ValueError: a control character would make another request of it.
        """
        given = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if "host" not in given:
            headers.insert(0, ("Host", authority(host, port)))
        if "content-length" not in given and (self.body or self.method not in {"GET", "DELETE"}):
            headers.append(("Content-Length", str(len(self.body))))
        if _FORBIDDEN.search(f"{self.method}{self.path}{''.join(name for name, _ in headers)}"):
            raise ValueError("a request cannot have blanks or control characters in its method, path or header names")
        if _FORBIDDEN_IN_VALUE.search("".join(value for _, value in headers)):
            raise ValueError("a header cannot have control characters")
        lines = "\r\n".join(f"{name}: {value}" for name, value in headers)
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n\r\n".encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the status code.
        head: the status line and the header lines as they came.
        body: the body, whole.
        keeps_alive: whether the connection takes another request.
    """

    status: int
    head: bytes
    body: bytes
    keeps_alive: bool

    def header(self, name: str) -> str | None:
        """The value of a header's first line, or None."""
        value = _field(self.head, name.lower().encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def headers(self) -> dict[str, str]:
        """All headers under lower-case names; lines of one name are joined by commas (RFC 9110 §5.3)."""
        headers: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers


class AnswerReader:
    """Puts one answer together from pieces of any size; does no input or output."""

    def __init__(self) -> None:
        self._data = b""
        self._head = b""
        self._status = 0
        self._length: int | None = None  # of the body; None: to the end of the connection
        self._chunked = False
        self._keeps_alive = True

    def feed(self, data: bytes) -> Answer | None:
        """Take a piece; return the answer once it is whole.

        Raises:
            BadAnswer: this is not HTTP/1.1, or more than the client reads.
        """
        self._data = self._data + data if self._data else data
        while not self._head:
            end = self._data.find(_BLANK_LINE)
            if end < 0:
                if len(self._data) > MAX_HEAD:
                    raise BadAnswer("the head of the answer is too long")
                return None
            self._take_head(self._data[:end])
            self._data = self._data[end + len(_BLANK_LINE) :]
        return self._take_body()

    def end(self) -> Answer | None:
        """The connection has ended: the answer that ends with it, or None if it is torn."""
        if self._head and self._length is None and not self._chunked:
            return Answer(self._status, self._head, self._data, keeps_alive=False)
        return None

    def _take_head(self, head: bytes) -> None:
        line = _STATUS_LINE.match(head)
        if line is None:
            raise BadAnswer("the answer is not HTTP/1.1")
        self._status = int(line[2])
        if self._status < _FIRST_FINAL_STATUS:
            return  # an interim answer; the real one follows
        self._head = head
        connection = (_field(head, b"connection") or b"").lower()
        self._keeps_alive = b"close" not in connection and (line[1] == b"1" or b"keep-alive" in connection)
        self._chunked = b"chunked" in (_field(head, b"transfer-encoding") or b"").lower()
        if self._status in _BODILESS:
            self._length, self._chunked = 0, False
        elif not self._chunked and (length := _field(head, b"content-length")) is not None:
            if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
                raise BadAnswer("the answer's Content-Length is not one that this client reads")
            self._length = int(length)

    def _take_body(self) -> Answer | None:
        if self._chunked:
            unchunked = _unchunk(self._data)
            if unchunked is not None:
                body, used = unchunked
                return Answer(self._status, self._head, body, self._keeps_alive and used == len(self._data))
        elif self._length is not None and len(self._data) >= self._length:
            keeps_alive = self._keeps_alive and len(self._data) == self._length
            return Answer(self._status, self._head, self._data[: self._length], keeps_alive)
        if len(self._data) > MAX_BODY:
            raise BadAnswer("the answer is too long")
        return None


class Line:
    """A client's line to a server: opened when it is needed, kept for as long as the server keeps it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._connection = _Connection()
        self._cut = False

    async def exchange(self, request: Request) -> Answer:
        """Send a request and wait for its answer, for as long as that takes.

        Raises:
            OSError: nobody listens, the connection ended before the answer did, or the line was cut.
        """
        wire = request.encode(self._host, self._port)
        if not self._connection.is_open:
            await self._connect()
        return await self._connection.exchange(wire)

    def cut(self) -> None:
        """Hang up for good: who waits is told at once, and so is everybody who comes later."""
        self._cut = True
        self._connection.hang_up()

    async def _connect(self) -> None:
        if not self._cut:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    loop = asyncio.get_running_loop()
                    _, self._connection = await loop.create_connection(_Connection, self._host, self._port)
            except TimeoutError:
                raise ConnectionError(f"no connection within {CONNECT_SECONDS:g} s") from None
        if self._cut:
            self._connection.hang_up()
            raise ConnectionAbortedError("the line was cut")


class _Connection(asyncio.Protocol):
    """What a line has while it is open."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiting: asyncio.Future[Answer] | None = None

    async def exchange(self, wire: bytes) -> Answer:
        if self._transport is None or not self.is_open:
            raise ConnectionResetError("the connection is closed")
        self._reader = AnswerReader()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(wire)
        try:
            answer = await self._waiting
        except asyncio.CancelledError:
            self.hang_up()
            raise
        finally:
            self._waiting = None
        if not answer.keeps_alive:
            self.hang_up()
        return answer

    def hang_up(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
        self._settle(ConnectionAbortedError("hung up"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.hang_up()  # nobody asked: the server gives the connection up
            return
        try:
            answer = self._reader.feed(data)
        except BadAnswer as fault:
            self._settle(fault)
            self.hang_up()
        else:
            if answer is not None:
                self._settle(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._settle(self._reader.end() or ConnectionResetError(f"the connection was closed: {exc or 'no reason'}"))

    def _settle(self, outcome: Answer | OSError) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if isinstance(outcome, Answer):
            self._waiting.set_result(outcome)
        else:
            self._waiting.set_exception(outcome)


def authority(host: str, port: int) -> str:
    """Host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _field(head: bytes, name: bytes) -> bytes | None:
    lowered = head.lower()
    start = lowered.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = lowered.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].strip()


def _unchunk(data: bytes) -> tuple[bytes, int] | None:
    """The body of RFC 9112 §7.1 and how many bytes it took, or None if more must come."""
    body: list[bytes] = []
    position = 0
    while (end := data.find(b"\r\n", position)) >= 0:
        size_text = data[position:end].partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size_text):  # int() takes more than sizes: a negative one would go round for ever
            raise BadAnswer("a chunk without a size")
        size = int(size_text, 16)
        position = end + 2
        if size == 0:
            trailers = data.find(_BLANK_LINE, position - 2)  # none: the two line ends touch
            return None if trailers < 0 else (b"".join(body), trailers + len(_BLANK_LINE))
        if len(data) < position + size + 2:
            return None
        body.append(data[position : position + size])
        position += size + 2
    return None
