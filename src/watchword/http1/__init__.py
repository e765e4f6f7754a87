"""HTTP/1.1 on one connection: h11 reads what is asked, and the answers are written here, each head with its body.

It stands in for two classes of Hypercorn's, which take as long for a request as a refresh does for its session. Its
laws, of which ``reading`` keeps the first and the seventh, and ``request`` the fifth:

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
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
import msgspec
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request as HypercornRequest
from hypercorn.typing import AppWrapper, ConnectionState, HTTPScope, TaskGroup, WorkerContext
from hypercorn.utils import valid_server_name

from watchword import telemetry
from watchword.endpoints.exchange import HEADERS, JSON
from watchword.http1.reading import Reading, Unreadable
from watchword.http1.request import CLOSE, Request, head
from watchword.identifiers import new_id
from watchword.problems import problem_at, problem_of_status

_NOT_FOUND: Final = 404
_INTERNAL_ERROR: Final = 500


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
        self.config = config
        self._context = context
        self._task_group = task_group
        self._state = state
        self._scheme = "https" if ssl else "http"
        self._client = client
        self._server = server
        self._send = send
        self._reading = Reading(most=config.h11_max_incomplete_size)
        self._one_reads = asyncio.Lock()
        self._requests = 0
        self._request: Request | None = None
        self._next_may_begin = asyncio.Event()
        self._is_over = False

    async def initiate(self) -> None:
        """Nothing is said before something is asked."""

    async def handle(self, event: Event) -> None:
        """Take bytes from the client, or that it has gone."""
        if isinstance(event, RawData):
            if self._is_reading():
                self._reading.take(event.data)
                await self._read_on()
        elif isinstance(event, Closed):
            self._leave()

    async def write(self, data: bytes) -> None:
        """Send bytes of an answer."""
        await self._send(RawData(data=data))

    def must_close(self) -> bool:
        """Whether the connection has to end with the answer that is about to begin."""
        return (
            not self._reading.is_done
            or self._requests >= self.config.keep_alive_max_requests
            or self._context.terminated.is_set()
        )

    async def end(self, *, closes: bool) -> None:
        """End the request whose answer is complete, or never will be."""
        if closes:
            self._leave()
            await self._send(Closed())
            return
        self._request = None
        if self._reading.begin_anew() and not self._one_reads.locked():  # else whoever reads goes on by itself
            self._task_group.spawn(self._read_on)
        self._next_may_begin.set()
        await self._send(Updated(idle=True))

    def _is_reading(self) -> bool:
        """Whether another request may come: what follows one that was to be the last is nobody's."""
        return not (self._is_over or self._reading.is_over)

    async def _read_on(self) -> None:
        async with self._one_reads:
            await self._read()

    async def _read(self) -> None:
        while self._is_reading():
            if leave := self._reading.leave_to_go_on():
                await self.write(leave)
            try:
                event = self._reading.next_event()
            except Unreadable as fault:
                await self._refuse(fault.status)
                return
            if isinstance(event, h11.Request):
                if not valid_server_name(self.config, cast("HypercornRequest", event)):
                    await self._refuse(_NOT_FOUND)
                    return
                await self._begin(event)
            elif isinstance(event, h11.Data):
                if self._request is not None:
                    await self._request.feed(bytes(event.data), more_body=True)
            elif isinstance(event, h11.EndOfMessage):
                if self._request is not None:
                    await self._request.feed(b"", more_body=False)
            elif event is h11.PAUSED and self._reading.is_far_ahead:
                self._next_may_begin.clear()
                await self._next_may_begin.wait()
            else:
                return

    async def _begin(self, asked: h11.Request) -> None:
        await self._send(Updated(idle=False))
        self._requests += 1
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
            "root_path": self.config.root_path,
            "headers": list(asked.headers),
            "client": self._client,
            "server": self._server,
            "state": self._state.copy(),  # type: ignore[typeddict-item]
            "extensions": {},
        }
        self._request = Request(self, scope)
        self._task_group.spawn(self._answer, self._request)
        await self._context.mark_request()

    async def _answer(self, request: Request) -> None:
        try:
            await self._app(request.scope, request.receive, request.send, _not_for_us, _not_for_us)
        except Exception:
            await self.config.log.exception("Error in ASGI Framework")
        finally:
            if request is self._request:  # its answer is not complete
                await self._refuse(_INTERNAL_ERROR)

    async def _refuse(self, status: int) -> None:
        """Answer by hand if no answer has begun, and end the connection."""
        arrived = time.perf_counter()
        request = self._request
        self._leave()
        if request is None or not request.has_begun:
            request_id, problem = new_id(), problem_of_status(status)
            if request is not None:
                problem = problem_at(request.scope["path"], problem)
            body = msgspec.json.encode(problem.body(request_id=request_id))
            length = (b"content-length", b"%d" % len(body))
            own = (JSON, length, *HEADERS.items(), (b"x-request-id", request_id.encode()), CLOSE)
            await self.write(head(status, own, config=self.config) + body)
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


def _not_for_us(*_: Any) -> None:
    """Stand in for what Hypercorn hands to WSGI applications."""
