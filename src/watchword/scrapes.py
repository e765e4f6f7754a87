"""The listener for Prometheus, in threads of its own: few connections at a time, and none for long.

Prometheus's library has one that lets whoever reaches it keep a thread and a descriptor for as long as they like, and
writes tracebacks between the lines of the log.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, cast

from watchword.metrics import TEXT
from watchword.threads import Threads
from watchword.told import Told

RETRY_SECONDS: Final = 1.0
MOST_CONNECTIONS: Final = 16
"""At the same time; who comes beside them is hung up on."""
PATIENCE: Final = 5.0
"""Seconds for a connection, from its beginning to its end."""

Exposition = Callable[[], bytes]
"""Gives what is answered."""

_log = logging.getLogger(__name__)


async def expose(exposition: Exposition, host: str, port: int) -> None:
    """Answer ``GET /metrics`` until cancelled.

    While the address cannot be had, as from a predecessor that still drains, or a thread to listen there, the service
    goes on without it.
    """
    # A thread of our own for what makes its caller wait, as views may take all of the event loop's. Nobody waits for it
    # in the end: the resolver may be asked for the host, and be silent.
    beside = Threads(1, name="resolver")
    try:
        listener, serving = await _begin(beside, exposition, host, port)
        try:
            await asyncio.Event().wait()
        finally:
            await beside.run(listener.shutdown)  # which may take half a second
            listener.server_close()
            serving.join()
    finally:
        beside.dismiss()


async def _begin(beside: Threads, exposition: Exposition, host: str, port: int) -> tuple["_Listener", threading.Thread]:
    """Try until the address can be had, and a thread to listen there."""
    # It is taken, beyond 65535, or no host name; or there is no room for a thread.
    foreseen = OSError, OverflowError, UnicodeError, RuntimeError
    told = Told(
        _log,
        trouble=f"no metrics on {host}:{port} yet",
        meanwhile="the service goes on without",
        over=f"metrics are on {host}:{port}",
        foreseen=foreseen,
    )
    while True:
        # Before the first try too: an application starts before its server listens, and where both are told the same
        # address it would take the server's from it, again in each successor.
        await asyncio.sleep(RETRY_SECONDS)
        try:
            listener = await beside.run(partial(_Listener, exposition, host, port))
            serving = _serving(listener)
        except foreseen as fault:
            told.say(fault)
        else:
            told.is_over()
            return listener, serving


def _serving(listener: "_Listener") -> threading.Thread:
    serving = threading.Thread(target=listener.serve_forever, name="metrics", daemon=True)
    try:
        serving.start()
    except RuntimeError:
        listener.server_close()  # else whoever scrapes would be let in by the kernel, and wait
        raise
    return serving


class _Listener(ThreadingTCPServer):
    """The socket, and a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, exposition: Exposition, host: str, port: int) -> None:
        (self.address_family, _, _, _, (address, *_)), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.exposition = exposition
        self._open: dict[socket.socket, float] = {}
        super().__init__((str(address), port), _Scrape)

    def get_request(self) -> Any:
        """Take the next connection; where that fails, as for want of a descriptor, it is not tried again at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(RETRY_SECONDS)
            raise

    def verify_request(self, *_: Any) -> bool:
        """Whether there is room for one more."""
        return len(self._open) < MOST_CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection."""
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection, whatever came of it."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on whoever takes too long; this is called twice a second."""
        for connection, begun in list(self._open.items()):
            if time.monotonic() - begun > PATIENCE:
                with suppress(OSError):  # it has ended meanwhile
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: who has hung up is no fault of ours."""


class _Scrape(BaseHTTPRequestHandler):
    """One connection, which asks once."""

    def do_GET(self) -> None:
        """Answer in the one form that every scraper reads, whatever it would like."""
        body = cast("_Listener", self.server).exposition()
        self.send_response(200)
        self.send_header("Content-Type", TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is for the service."""
