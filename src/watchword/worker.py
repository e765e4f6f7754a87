"""A worker's half of the supervisor: say when this process serves and that it lives, end when the supervisor is gone.

``watchword.serve`` starts ``hypercorn -w 0 'watchword.worker:create_app()'`` and hands it one end of a socket pair.
"""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Final

from quart import Quart

from watchword import asgi, hypercorn_toml
from watchword.errors import StartRefused
from watchword.serve import CHANNEL, LIVING, LOOKS, READY

_A_MOMENT: Final = 0.005
"""Seconds after the start of the application in which Hypercorn reads the certificate and listens."""


def create_app() -> Quart:
    """The service, tied to the supervisor that started this process.

    Raises:
        SystemExit: it cannot start, or would not be served; the one line says why.
    """
    try:
        hypercorn_toml.read()  # of what Hypercorn itself cannot read it makes a traceback, and of some a deaf service
    except StartRefused as refusal:
        raise SystemExit(f"watchword: {refusal}") from None
    number, descriptor = map(int, os.environ.pop(CHANNEL).split("/"))
    channel = socket.socket(fileno=descriptor)
    channel.setblocking(False)  # nobody may keep the event loop, not even a supervisor that does not read
    app = asgi.create_app(worker=number)
    telling: asyncio.Task[None]

    @app.before_serving
    async def tell() -> None:
        nonlocal telling
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

        async def say_that_we_serve() -> None:
            # Hypercorn listens next. Where it cannot, the loop ends, and this with it: our predecessor stays.
            await asyncio.sleep(_A_MOMENT)
            with suppress(OSError):  # the supervisor has ended
                channel.send(READY)

        loop.add_reader(channel, heed)
        telling = asyncio.create_task(say_that_we_serve())

    return app
