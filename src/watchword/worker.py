"""A worker's half of the supervisor: say when this process serves, and end when the supervisor is gone.

``watchword.serve`` starts ``hypercorn -w 0 'watchword.worker:create_app()'`` and hands it one end of a socket pair.
"""

import asyncio
import os
import signal
import socket

from quart import Quart

from watchword import asgi
from watchword.serve import CHANNEL, READY


def create_app() -> Quart:
    """The service, tied to the supervisor that started this process."""
    number, descriptor = map(int, os.environ.pop(CHANNEL).split("/"))
    channel = socket.socket(fileno=descriptor)
    app = asgi.create_app(worker=number)

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
