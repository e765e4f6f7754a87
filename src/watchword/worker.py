"""A worker's half of the supervisor: say when this process serves and that it lives, end when the supervisor is gone.

``watchword.serve`` starts ``hypercorn -w 0 'watchword.worker:create_app()'`` and hands it one end of a socket pair.
"""

import asyncio
import os
import signal
import socket

from quart import Quart

from watchword import asgi
from watchword.serve import CHANNEL, LIVING, LOOKS, READY


def create_app() -> Quart:
    """The service, tied to the supervisor that started this process."""
    number, descriptor = map(int, os.environ.pop(CHANNEL).split("/"))
    channel = socket.socket(fileno=descriptor)
    channel.setblocking(False)  # nobody may keep the event loop, not even a supervisor that does not read
    app = asgi.create_app(worker=number)

    @app.before_serving
    async def tell() -> None:
        loop = asyncio.get_running_loop()

        def heed() -> None:
            """Tell the supervisor that we live; drain when it is gone, as nobody else would ever tell us to."""
            try:
                if channel.recv(LOOKS):
                    channel.send(LIVING)
                    return
            except BlockingIOError:
                return
            except OSError:  # gone before it had read our last answer
                pass
            loop.remove_reader(channel)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(channel, heed)
        channel.send(READY)

    return app
