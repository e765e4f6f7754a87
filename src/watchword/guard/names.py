"""From the name of a login service to a connection: its addresses are looked up in a thread of their own, and tried.

asyncio looks names up in the threads in which the application's own views run. Laws of this file:

1. A look-up that has begun runs to its end, which a silent resolver makes half a minute or more. So there is one at a
   time, whoever needs the name waits for that one, and those who give up begin no other. An address with a zone, such
   as ``fe80::1%eth0``, asyncio looks up once more, in the threads that it has.
2. An address that is silent keeps nobody from the next: that is tried beside it soon (RFC 8305 §5).
3. Nobody waits for the thread in the end.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import httpcore

from watchword.threads import Threads

HEAD_START: Final = 0.25
"""Seconds that an address has before the next one is tried too."""


class Names(httpcore.AsyncNetworkBackend):
    """Connects to hosts by their names, or their addresses."""

    def __init__(self) -> None:
        self._thread = Threads(1, name="names")
        self._asked: dict[str, asyncio.Future[tuple[str, ...]]] = {}
        self._addresses = httpcore.AnyIOBackend()

    def close(self) -> None:
        """Look nothing up any more."""
        self._thread.dismiss()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers.

        Raises:
            ConnectError: the name has no address, or none that answers.
        """
        connect = partial(
            self._addresses.connect_tcp,
            port=port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        waiting = deque(await self._look_up(host))
        attempts: set[asyncio.Task[httpcore.AsyncNetworkStream]] = set()
        try:
            while True:
                if waiting:
                    attempts.add(asyncio.create_task(connect(waiting.popleft())))
                done, _ = await asyncio.wait(
                    attempts, timeout=HEAD_START if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    attempts.remove(attempt)
                    if attempt.exception() is None or not (attempts or waiting):
                        return _Stream(attempt.result())
        finally:
            for attempt in attempts:
                attempt.cancel()
                if attempt.done() and attempt.exception() is None:  # in the same moment as the one that is returned
                    await attempt.result().aclose()

    async def _look_up(self, host: str) -> tuple[str, ...]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        if host not in self._asked:
            asked = self._asked[host] = self._thread.run(partial(_addresses_of, host))
            asked.add_done_callback(partial(self._forget, host))
        try:
            return await asyncio.shield(self._asked[host])
        except (OSError, UnicodeError) as fault:  # UnicodeError: it can be no name
            raise httpcore.ConnectError(str(fault)) from fault

    def _forget(self, host: str, asked: "asyncio.Future[tuple[str, ...]]") -> None:
        del self._asked[host]
        if not asked.cancelled():
            asked.exception()  # or asyncio would complain where all who asked have given up


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is given up too: httpcore closes it after errors alone."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses_of(host: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address) for *_, (address, *_) in found))
