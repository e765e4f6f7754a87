"""HTTP/1.1 on one connection: h11 reads what is asked, and the answers are written here, each head with its body.

It stands in for two classes of Hypercorn's, which take as long for a request as a refresh does for its session. Laws:

1. Nothing but h11 decides what a request is and where it ends. It reads each with a state of its own and is not told of
   its answer; what it has taken beyond the end of a request is the beginning of the next one.
2. One request at a time: the next one of a connection begins when the answer to the one before has ended. Until then a
   little of what follows is taken, so that who hangs up is missed although there was more to say.
3. A request that was not read to its end is the last of its connection, as is whichever comes after the last call.
4. What cannot be read as a request is answered as one that can, with the headers of all answers and a line in the log.
5. No answer ends elsewhere than it says: what follows would be taken for a part of it, or it for what follows.
6. Nothing else is spoken: who asks to change to HTTP/2 or to a WebSocket is answered as anybody (RFC 9110 §7.8), on a
   connection that goes on. What calls itself another HTTP than 1.x is refused, and a CONNECT is the last request: what
   follows may be meant for the other end of a tunnel, and come from a third.
7. No request makes the others wait by its form: h11 gets little at a time, no head of a thousand fields, and none with
   what no field may hold, for which it would try each way to part the blanks before it. Behind a head that announces
   chunks it gets less still: there may be fields, and they may not be told from a body. And no path is read that is
   written in thousands of escapes.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
import msgspec
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    HTTPScope,
    TaskGroup,
    WorkerContext,
)
from hypercorn.utils import valid_server_name

from watchword import telemetry
from watchword.endpoints.exchange import HEADERS, JSON, RawHeader
from watchword.identifiers import new_id
from watchword.problems import problem_at, problem_of_status

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_FIELDS_TOO_LARGE: Final = 431
_INTERNAL_ERROR: Final = 500
_NOT_IMPLEMENTED: Final = 501
"""What h11 makes of a transfer coding that it does not know."""
_BARE: Final = frozenset({204, 304})
"""Statuses whose answers have no body (RFC 9110 §6.4.1)."""

_PIECE: Final = 1 << 11
"""Bytes that h11 gets at once: it asks how long a head is only while that has no end, so that one which comes whole
would be of any length."""
_MOST_LINES: Final = 102
"""The request line, a hundred fields and the empty line: h11 takes microseconds for a field of two bytes too."""
_MOST_BETWEEN: Final = 1 << 8
"""Bytes of the fields behind a body, or between two chunks of it, where no client of ours has anything to say."""
_MOST_ESCAPES: Final = 1 << 10
"""Of a target. None of ours has any, but somebody's route beside them may."""
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_NO_TEXT: Final = re.compile(rb"[\x00\v\f]|\r(?=[^\n])")
"""What h11 takes for no part of a field (RFC 9110 §5.5); behind thousands of blanks it would be at it for seconds."""

_MOST_UNREAD: Final = 8
"""Pieces of a body that may wait for the application; no more is read from the client then."""
_MOST_AHEAD: Final = 1 << 14
"""Bytes beyond a request that are taken before its answer has ended; who sends more is missed when that is written."""
_CLOSE: Final = (b"connection", b"close")
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}


class Http1Protocol:
    """A connection's requests and answers, called by Hypercorn as it calls its own ``H11Protocol``."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        task_group: TaskGroup,
        state: ConnectionState,
        ssl: bool,
        client: tuple[str, int] | None,
        server: tuple[str, int] | None,
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._task_group = task_group
        self._state = state
        self._scheme = "https" if ssl else "http"
        self._client = client
        self._server = server
        self._send = send
        self._reading = self._fresh()
        self._ahead = bytearray()
        self._is_all = False
        self._is_chunked = False
        self._one_reads = asyncio.Lock()
        self._requests = 0
        self._request: _Request | None = None
        self._next_may_begin = asyncio.Event()
        self._is_over = False

    async def initiate(self) -> None:
        """Nothing is said before something is asked."""

    async def handle(self, event: Event) -> None:
        """Take bytes from the client, or that it has gone."""
        if isinstance(event, RawData):
            if self._is_reading():
                self._ahead += event.data
                self._is_all = not event.data
                self._give()
                await self._read_on()
        elif isinstance(event, Closed):
            self._leave()

    async def write(self, data: bytes) -> None:
        """Send bytes of an answer."""
        await self._send(RawData(data=data))

    def must_close(self) -> bool:
        """Whether the connection has to end with the answer that is about to begin."""
        return (
            self._reading.their_state is not h11.DONE
            or self._requests >= self._config.keep_alive_max_requests
            or self._context.terminated.is_set()
        )

    def head(self, status: int, headers: Iterable[RawHeader]) -> bytes:
        """The head of an answer.

        Raises:
            ValueError: a header would end its line, and forge what follows.
        """
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]  # an application may have one without a name
        lines += [b"%b: %b" % header for header in headers]
        lines += [b"%b: %b" % header for header in _Own.headers(self._config)]
        data = b"\r\n".join([*lines, b"", b""])
        if data.count(b"\n") != len(lines) + 1 or data.count(b"\r") != len(lines) + 1:
            raise ValueError("a header holds the end of a line")
        return data

    async def end(self, *, closes: bool) -> None:
        """End the request whose answer is complete, or never will be."""
        if closes:
            self._leave()
            await self._send(Closed())
            return
        self._request = None
        beyond, is_all = self._reading.trailing_data
        self._ahead[:0] = beyond
        self._is_all |= is_all
        self._reading = self._fresh()
        if self._give() and not self._one_reads.locked():  # else whoever reads goes on by itself
            self._task_group.spawn(self._read_on)
        self._next_may_begin.set()
        await self._send(Updated(idle=True))

    def _is_reading(self) -> bool:
        """Whether another request may come: what follows one that was to be the last is nobody's."""
        return not self._is_over and self._reading.their_state is not h11.MUST_CLOSE

    def _fresh(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._config.h11_max_incomplete_size)

    def _give(self) -> bool:
        """Let h11 have the next piece of what has come, and after the last one that this is all.

        Returns:
            Whether there was anything.
        """
        if self._ahead:
            size = self._size_of_piece()
            self._reading.receive_data(bytes(self._ahead[:size]))
            del self._ahead[:size]
            return True
        if self._is_all:
            self._reading.receive_data(b"")
            self._is_all = False
            return True
        return False

    def _size_of_piece(self) -> int:
        """How many bytes h11 may have next: of a head those to its end, so that what follows is not at hand with it."""
        if self._reading.their_state is not h11.IDLE:
            return _MOST_BETWEEN if self._is_chunked else _PIECE
        before = self._reading.trailing_data[0][-2:]
        end = _END_OF_HEAD.search(before + self._ahead[:_PIECE])
        return _PIECE if end is None else max(1, end.end() - len(before))

    def _fault_of_head(self) -> int | None:
        """The status for a head that h11 must not see, or for what is there of one; None where nothing is wrong."""
        if self._reading.their_state is not h11.IDLE:
            return None
        ahead, _ = self._reading.trailing_data
        most = self._config.h11_max_incomplete_size  # h11 asks only while the end is not there
        odd = _NO_TEXT.search(ahead) if _may_be_odd(ahead) else None
        if odd is None and len(ahead) <= most and ahead.count(b"\n") <= _MOST_LINES:
            return None
        end = _END_OF_HEAD.search(ahead)
        length = len(ahead) if end is None else end.end()
        if length > most or ahead.count(b"\n", 0, length) > _MOST_LINES:
            return _FIELDS_TOO_LARGE
        return _BAD_REQUEST if odd is not None and odd.start() < length else None

    def _has_too_much_between(self) -> bool:
        """Whether what h11 cannot make a piece of a body of, as its end is not there, is too long already."""
        return self._reading.their_state is h11.SEND_BODY and len(self._reading.trailing_data[0]) > _MOST_BETWEEN

    async def _read_on(self) -> None:
        async with self._one_reads:
            await self._read()

    async def _read(self) -> None:
        while self._is_reading():
            if self._reading.they_are_waiting_for_100_continue:
                told = self._reading.send(h11.InformationalResponse(status_code=100, headers=[]))
                await self.write(told or b"")
            if (fault_of_head := self._fault_of_head()) is not None:
                await self._refuse(fault_of_head)
                return
            try:
                event = self._reading.next_event()
            except h11.RemoteProtocolError as fault:
                await self._refuse(fault.error_status_hint)
                return
            if isinstance(event, h11.Request):
                path, _, _ = event.target.partition(b"?")
                if not event.http_version.startswith(b"1.") or path.count(b"%") > _MOST_ESCAPES:
                    await self._refuse(_BAD_REQUEST)
                    return
                if not valid_server_name(self._config, cast("Request", event)):
                    await self._refuse(_NOT_FOUND)
                    return
                await self._begin(event)
            elif isinstance(event, h11.Data):
                if self._request is not None:
                    await self._request.feed(bytes(event.data), more_body=True)
            elif isinstance(event, h11.EndOfMessage):
                if self._request is not None:
                    self._stay_with_http1(self._request)
                    await self._request.feed(b"", more_body=False)
            elif event is h11.PAUSED and len(self._ahead) + len(self._reading.trailing_data[0]) > _MOST_AHEAD:
                self._next_may_begin.clear()
                await self._next_may_begin.wait()
            elif event is h11.NEED_DATA and self._has_too_much_between():
                await self._refuse(_FIELDS_TOO_LARGE)
                return
            elif event is not h11.NEED_DATA or not self._give():  # nothing more will come, or has, or not yet
                return

    def _stay_with_http1(self, request: "_Request") -> None:
        """Show h11 a refusal, which nobody gets, where a request asked to change to something else: so it reads on.

        At the end of the request and no earlier: h11 would think that nobody waits for leave to send the body any more.
        """
        might_change = self._reading.their_state is h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]  # not listed
        if might_change and request.scope["method"] != "CONNECT":
            self._reading.send(h11.Response(status_code=_BAD_REQUEST, headers=[(b"content-length", b"0")]))

    async def _begin(self, asked: h11.Request) -> None:
        await self._send(Updated(idle=False))
        self._requests += 1
        self._is_chunked = any(name == b"transfer-encoding" for name, _ in asked.headers)
        raw_path, _, query = asked.target.partition(b"?")
        scope: HTTPScope = {
            "type": "http",
            "http_version": asked.http_version.decode(),
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": asked.method.decode(),
            "scheme": self._scheme,
            "path": unquote(raw_path.decode()),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": self._config.root_path,
            "headers": list(asked.headers),
            "client": self._client,
            "server": self._server,
            "state": self._state.copy(),  # type: ignore[typeddict-item]
            "extensions": {},
        }
        self._request = _Request(self, scope)
        self._task_group.spawn(self._answer, self._request)
        await self._context.mark_request()

    async def _answer(self, request: "_Request") -> None:
        try:
            await self._app(request.scope, request.receive, request.send, _not_for_us, _not_for_us)
        except Exception:
            await self._config.log.exception("Error in ASGI Framework")
        finally:
            if request is self._request:  # its answer is not complete
                await self._refuse(_INTERNAL_ERROR)

    async def _refuse(self, status: int) -> None:
        """Answer by hand if no answer has begun, and end the connection."""
        arrived = time.perf_counter()
        request = self._request
        self._leave()
        if request is None or not request.has_begun:
            status = _BAD_REQUEST if status == _NOT_IMPLEMENTED else status  # no fault of ours
            request_id, problem = new_id(), problem_of_status(status)
            if request is not None:
                problem = problem_at(request.scope["path"], problem)
            body = msgspec.json.encode(problem.body(request_id=request_id))
            length = (b"content-length", b"%d" % len(body))
            own = (JSON, length, *HEADERS.items(), (b"x-request-id", request_id.encode()), _CLOSE)
            await self.write(self.head(status, own) + body)
            telemetry.request_answered(
                request_id=request_id,
                method="-",
                route=None,
                status=status,
                seconds=time.perf_counter() - arrived,
                code=problem.code,
            )
        await self._send(Closed())

    def _leave(self) -> None:
        """Read no further, and let nobody wait."""
        self._is_over = True
        request, self._request = self._request, None
        if request is not None:
            request.hang_up()
        self._next_may_begin.set()


class _Stage(Enum):
    """How far an answer is."""

    AWAITED = auto()
    ANNOUNCED = auto()
    BEGUN = auto()
    ENDED = auto()


class _Request:
    """One request, as ASGI's ``receive`` and ``send`` know it.

    Attributes:
        scope: its ASGI scope.
    """

    __slots__ = (
        "_announced", "_closes", "_has_left", "_is_chunked", "_news", "_owed", "_protocol", "_room", "_stage",
        "_unread", "scope",
    )  # fmt: skip

    def __init__(self, protocol: Http1Protocol, scope: HTTPScope) -> None:
        self.scope = scope
        self._protocol = protocol
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
                await self._protocol.write(data)
            if is_last and not self._has_left:
                self._stage = _Stage.ENDED
                self._wake()
                self._make_room()
                await self._protocol.end(closes=self._closes)
        else:
            raise RuntimeError(f"no {event['type']} may come now")

    def _begun(self, body: bytes, *, is_whole: bool) -> bytes:
        status, headers = self._announced
        given = dict(headers)
        if b"transfer-encoding" in given:  # the server's to choose, says ASGI
            headers = [header for header in headers if header[0] != b"transfer-encoding"]
        self._closes = self._protocol.must_close() or _CLOSE in headers
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
        if self._closes and _CLOSE not in headers:
            headers.append(_CLOSE)
        return self._protocol.head(status, headers)

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


def _not_for_us(*_: Any) -> None:
    """Stand in for what Hypercorn hands to WSGI applications."""


def _may_be_odd(ahead: bytes) -> bool:
    """Whether there is something for ``_NO_TEXT``, in a tenth of its time: of all that is there each byte asks anew."""
    lone = ahead.count(b"\r") - ahead.count(b"\r\n") - ahead.endswith(b"\r")
    return lone > 0 or b"\0" in ahead or b"\v" in ahead or b"\f" in ahead
