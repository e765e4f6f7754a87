"""Hypercorn's side of a connection, where its ways are not ours and it has no setting for them.

1. It speaks HTTP/2 on clear text to whoever asks, past the rules of a proxy that took the request for HTTP/1.1.
2. It answers by itself what it cannot read, with nothing that our answers carry and no line in the log.
3. Told to end, it closes every connection on which no request is under way, and so resets those whose request is
   already on the wire. Here each gets a last call: a request that arrives within it is answered.
4. From then on it closes each connection after its answer and does not say so, and so resets who asks again on it.
5. It writes an answer's head and its body one after the other, and starts a task to time each idle moment.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import h11
import hypercorn.asyncio.run
import hypercorn.protocol
import msgspec
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import TaskGroup

from watchword import telemetry
from watchword.endpoints.exchange import HEADERS, JSON
from watchword.identifiers import new_id
from watchword.problems import problem_of_status

_BAD_REQUEST: Final = 400
_NOT_IMPLEMENTED: Final = 501
"""What h11 makes of a transfer coding that it does not know."""

LAST_CALL: Final = 0.5
"""Seconds between being told to end and closing a connection on which nothing is asked."""


def serve_in_our_way() -> None:
    """Let Hypercorn make connections as this file has them, in a process that is ours alone."""
    hypercorn.asyncio.run.TCPServer = PatientServer  # type: ignore[attr-defined,assignment]
    hypercorn.protocol.H11Protocol = PlainProtocol  # type: ignore[attr-defined]


class PlainProtocol(H11Protocol):
    """HTTP/1.1 and nothing else, and no answer without our headers."""

    _head = b""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Take a request to change to HTTP/2 for any other (RFC 9110 §7.8 lets a server)."""

    async def _send_h11_event(self, event: Any) -> None:
        if isinstance(event, h11.Response) and self.context.terminated.is_set() and not _ends(event):
            headers = [*event.headers, (b"connection", b"close")]
            event = h11.Response(status_code=event.status_code, headers=headers)
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._head = data  # what comes next, a part of the body or its end, comes without delay
            return
        head, self._head = self._head, b""
        if head or data:
            await self.send(RawData(data=head + data))

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what could not be read as a request, as a request that could would have been."""
        arrived = time.perf_counter()
        status_code = _BAD_REQUEST if status_code == _NOT_IMPLEMENTED else status_code  # no fault of ours
        request_id, problem = new_id(), problem_of_status(status_code)
        body = msgspec.json.encode(problem.body(request_id=request_id))
        headers = [
            JSON,
            (b"content-length", b"%d" % len(body)),
            *HEADERS.items(),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
        telemetry.request_answered(
            request_id=request_id,
            method="-",
            route=None,
            status=status_code,
            seconds=time.perf_counter() - arrived,
            code=problem.code,
        )


def _ends(answer: h11.Response) -> bool:
    """Whether the answer says already that its connection ends."""
    return any(name == b"connection" for name, _ in answer.headers)


class PatientServer(TCPServer):
    """A connection that is closed when nothing was asked on it for a while, or after the last call."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._idle = _IdleTimer(self)
        self.idle_task = self._idle  # type: ignore[assignment]
        self._last_call = self.loop.create_task(self._leave_after_the_last_call())
        self._leaving: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Close the connection."""
        self._leaving = self.loop.create_task(self._initiate_server_close())

    async def _close(self) -> None:
        self._last_call.cancel()
        await self._idle.stop()
        await super()._close()

    async def _leave_after_the_last_call(self) -> None:
        await self.context.terminated.wait()
        await asyncio.sleep(LAST_CALL)
        if self._idle.runs:
            self.leave()


class _IdleTimer:
    """Closes a connection when it runs out, as Hypercorn's own ``idle_task`` does, but is no task."""

    def __init__(self, server: PatientServer) -> None:
        self._server = server
        self._timer: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether nothing is asked on the connection."""
        return self._timer is not None

    async def restart(self, _: TaskGroup, __: Callable[..., Any]) -> None:
        """Nothing is asked from now on."""
        await self.stop()
        self._timer = self._server.loop.call_later(self._server.config.keep_alive_timeout, self._server.leave)

    async def stop(self) -> None:
        """Something is asked, or the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
