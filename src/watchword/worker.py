"""A worker's half of the supervisor: say when this process serves, and end when the supervisor is gone.

``watchword.serve`` starts ``hypercorn -w 0 'watchword.worker:create_app()'`` and hands it one end of a socket pair.
"""

import asyncio
import os
import signal
import socket
from typing import Final

import hypercorn.asyncio.run
from hypercorn.asyncio.tcp_server import TCPServer
from quart import Quart

from watchword import asgi
from watchword.serve import CHANNEL, READY

LAST_CALL: Final = 0.5
"""Seconds between being told to end and closing a connection on which nothing is asked."""


class PatientServer(TCPServer):
    """Hypercorn's side of a connection, but for the moment when the worker is told to end.

    Hypercorn then closes every connection on which no request is under way, and so resets those whose request is
    already on the wire. Here each gets a last call: a request that arrives within it is answered.
    """

    async def _idle_timeout(self) -> None:
        try:
            async with asyncio.timeout(self.config.keep_alive_timeout):
                await self.context.terminated.wait()
                await asyncio.sleep(LAST_CALL)
        except TimeoutError:
            pass
        await asyncio.shield(self._initiate_server_close())


def create_app() -> Quart:
    """The service, tied to the supervisor that started this process."""
    number, descriptor = map(int, os.environ.pop(CHANNEL).split("/"))
    channel = socket.socket(fileno=descriptor)
    app = asgi.create_app(worker=number)
    hypercorn.asyncio.run.TCPServer = PatientServer  # type: ignore[attr-defined]  # it has no setting for this

    @app.before_serving
    async def tell() -> None:
        loop = asyncio.get_running_loop()

        def end() -> None:
            """Drain: the supervisor is gone, and nobody else would ever tell us to."""
            loop.remove_reader(channel)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(channel, end)
        channel.send(READY)

    return app
