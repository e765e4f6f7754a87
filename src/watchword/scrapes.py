"""The listener for Prometheus, in threads of its own: a few connections at a time, none of which may be idle for long.

Prometheus's library has one that lets whoever reaches it keep a thread and a descriptor for as long as they like.
"""

import asyncio
import logging
import socket
import threading
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

RETRY_SECONDS: Final = 1.0
MOST_CONNECTIONS: Final = 16
"""At the same time; who comes beside them is hung up on."""
IDLE_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


async def expose(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answer ``GET /metrics`` until cancelled.

    While the address cannot be had, as from a predecessor that still drains, the service goes on without it.
    """
    is_told = False
    while True:
        # Before the first try too: an application starts before its server listens, and where both are told the
        # same address it would take the server's from it, again in each successor.
        await asyncio.sleep(RETRY_SECONDS)
        try:
            # In a thread: the resolver may be asked for the host, and be silent.
            listener = await asyncio.to_thread(_Listener, registry, host, port)
            break
        except (OSError, OverflowError, UnicodeError) as fault:  # taken, beyond 65535, no host name
            if not is_told:
                _log.warning("no metrics on %s:%d yet: %s", host, port, fault)
            is_told = True
    serving = threading.Thread(target=listener.serve_forever, name="metrics", daemon=True)
    serving.start()
    try:
        await asyncio.Event().wait()
    finally:
        listener.shutdown()
        listener.server_close()
        serving.join()


class _Scrape(WSGIRequestHandler):
    """One connection, which asks once."""

    timeout = IDLE_SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is for the service."""


class _Listener(ThreadingMixIn, WSGIServer):
    """The socket, and a thread for each connection."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        (self.address_family, _, _, _, (address, *_)), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((str(address), port), _Scrape)
        self.set_app(make_wsgi_app(registry))

    def process_request(self, *connection: Any) -> None:
        """Answer in a thread, if there is room for one more."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(connection[0])
            return
        try:
            super().process_request(*connection)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, *connection: Any) -> None:
        """Answer, and make room for the next one."""
        try:
            super().process_request_thread(*connection)
        finally:
            self._room.release()

    def handle_error(self, *_: Any) -> None:
        """Say nothing, for the same reason: who has hung up is no fault of ours."""
