"""Hypercorn's side of a connection, where its ways are not ours and it has no setting for them.

1. It speaks HTTP/2 on clear text to whoever asks, past the rules of a proxy that took the request for HTTP/1.1; it
   answers by itself what it cannot read; and it takes long for both directions. ``http1`` speaks in its place.
2. Told to end, it closes every connection on which no request is under way, and so resets those whose request is
   already on the wire. Here each gets a last call: a request that arrives within it is answered.
3. It waits for ever for a client that does not take its answer, and for half a minute for one that does not end TLS.
   Here both have ``keep_alive_timeout`` for it, again and again while they take something of it as the system tells,
   and once the service is told to end no more than ``graceful_timeout``, or a moment for who has taken all.
4. It closes both directions behind the last answer of a connection. Who is still writing a body that nobody waits for
   meets a broken pipe then, which a proxy takes for our failure and tells its client 502. Here only our direction is
   closed at first, and what still comes is dropped for a moment (RFC 9112 §9.6).
5. It starts a task to time each idle moment.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from sys import byteorder
from termios import TIOCOUTQ
from typing import Any, Final

import hypercorn.asyncio.run
import hypercorn.protocol
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import TaskGroup

from watchword.http1 import Http1Protocol

LAST_CALL: Final = 0.5
"""Seconds between being told to end and closing a connection on which nothing is asked."""
LINGER: Final = 1.0
"""Seconds for which a client may go on with what nobody reads, before it meets a closed connection."""


def serve_in_our_way() -> None:
    """Let Hypercorn make connections as this file has them, in a process that is ours alone."""
    hypercorn.asyncio.run.TCPServer = PatientServer  # type: ignore[attr-defined,assignment]
    hypercorn.protocol.H11Protocol = Http1Protocol  # type: ignore[attr-defined,assignment]


class PatientServer(TCPServer):
    """A connection that is closed when nothing was asked or taken on it for a while, or after the last call."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._idle = _IdleTimer(self)
        self.idle_task = self._idle  # type: ignore[assignment]
        self._last_call = self.loop.create_task(self._leave_after_the_last_call())
        self._leaving: asyncio.Task[None] | None = None
        self._deadline = _Deadline(self)

    async def run(self) -> None:
        """Serve the connection to its end, or until it is overdue."""
        # Behind ``graceful_timeout`` we are cancelled, which is no news; but asyncio before 3.12 logs a task of its own
        # callback that ends so as a fault, with a traceback.
        with suppress(asyncio.CancelledError):
            await super().run()

    def leave(self) -> None:
        """Close the connection, once what was written has been taken, within the time that the first call gives."""
        if self._leaving is not None:  # idle until the last call, and idle for too long since
            return
        self._leaving = self.loop.create_task(self._initiate_server_close())
        self._deadline.begin()

    async def protocol_send(self, event: Event) -> None:
        """Send bytes to the client, or do what else its protocol says."""
        if isinstance(event, RawData):
            if not await self._write(event.data):
                await self.protocol.handle(Closed())
        elif not isinstance(event, Closed) or not self._linger():
            await super().protocol_send(event)

    def _linger(self) -> bool:
        """Close our direction alone, and tell whether that was to be done; ``run`` goes on reading until they do."""
        transport = self.writer.transport
        if self.reader.at_eof() or transport.is_closing() or not transport.can_write_eof():  # TLS has no such thing
            return False
        with suppress(OSError):  # their reset was quicker; asyncio's own loop raises here, uvloop when it is closed
            transport.write_eof()
        self._deadline.begin()
        return True

    async def _write(self, data: bytes) -> bool:
        """Write; wait while much has not been taken yet; tell whether the client is still there."""
        transport = self.writer.transport
        if transport.is_closing():
            return False
        self.writer.write(data)
        while transport.get_write_buffer_size() and not transport.is_closing():
            untaken = self._deadline.untaken()
            try:
                async with asyncio.timeout(self.config.keep_alive_timeout):
                    await self.writer.drain()
                break
            except TimeoutError:
                if self._deadline.untaken() >= untaken:
                    transport.abort()
            except ConnectionError:
                break
        return not transport.is_closing()

    async def _close(self) -> None:
        self._last_call.cancel()
        await self._idle.stop()
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # ``graceful_timeout`` has passed
            self.writer.transport.abort()
        self._deadline.begin()
        if not self.writer.is_closing():  # closed twice, TLS on asyncio's own loop could not be aborted any more
            self.writer.close()
        try:
            await self.writer.wait_closed()
        except asyncio.CancelledError:
            # Quart cancels a view whose answer is the last. Under TLS we are in its task, and nothing is closed before
            # the client says so too, which it need not; the deadline stays.
            return
        except OSError:  # a reset has met the end of our direction; raised, it would end the drain of all others
            pass
        self._deadline.end()

    async def _leave_after_the_last_call(self) -> None:
        await self.context.terminated.wait()
        await asyncio.sleep(LAST_CALL)
        if self._idle.runs:
            self.leave()


class _Deadline:
    """Aborts a connection whose client takes nothing of what was written for a ``keep_alive_timeout``.

    One that has taken all has a moment more, where we wait for nothing but that it ends its direction or TLS.
    """

    def __init__(self, server: PatientServer) -> None:
        self._server = server
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Count from now on."""
        self._wait(self._server.loop.time() + self._server.config.keep_alive_timeout, most=self.untaken())

    def end(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def untaken(self) -> int:
        """How many bytes of those written are not with the client; under TLS a transport counts only a part of them."""
        waiting = self._server.writer.transport.get_write_buffer_size()
        try:
            queued = ioctl(self._server.writer.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        except (AttributeError, OSError, ValueError):  # not every system tells it of a socket, and none of a closed one
            return waiting + 1  # so that nobody counts as having taken all
        return waiting + int.from_bytes(queued, byteorder)

    def _wait(self, end: float, *, most: int) -> None:
        self.end()
        seconds = min(end - self._server.loop.time(), LINGER)
        self._timer = self._server.loop.call_later(seconds, self._look, end, most)

    def _look(self, end: float, most: int) -> None:
        """Abort, unless all is well or may be yet: less is untaken at the end than there was when it was set."""
        if self._server.writer.get_extra_info("socket") is None:  # TLS has ended in the meantime
            return
        transport, untaken = self._server.writer.transport, self.untaken()
        is_lingering = not transport.is_closing()
        is_enough = not untaken and (self._server.context.terminated.is_set() or is_lingering)
        if not is_enough and self._server.loop.time() < end:
            self._wait(end, most=most)
        elif not is_enough and untaken < most:
            self.begin()
        else:
            transport.abort()


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
