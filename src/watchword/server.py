"""Hypercorn's side of a connection, where its ways are not ours and it has no setting for them.

1. It speaks HTTP/2 on clear text to whoever asks, past the rules of a proxy that took the request for HTTP/1.1; it
   answers by itself what it cannot read; and it takes long for both directions. ``http1`` speaks in its place.
2. Told to end, it closes every connection on which no request is under way, and so resets those whose request is
   already on the wire. Here each gets a last call: a request that arrives within it is answered.
3. It starts a task to time each idle moment.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import hypercorn.asyncio.run
import hypercorn.protocol
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.typing import TaskGroup

from watchword.http1 import Http1Protocol

LAST_CALL: Final = 0.5
"""Seconds between being told to end and closing a connection on which nothing is asked."""


def serve_in_our_way() -> None:
    """Let Hypercorn make connections as this file has them, in a process that is ours alone."""
    hypercorn.asyncio.run.TCPServer = PatientServer  # type: ignore[attr-defined,assignment]
    hypercorn.protocol.H11Protocol = Http1Protocol  # type: ignore[attr-defined,assignment]


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
