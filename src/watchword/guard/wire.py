"""What goes to a login service elsewhere and comes back: small GET requests, and answers that cannot grow.

It speaks through httpcore and not through httpx's client, which would follow redirects, keep cookies, read proxies from
the environment, and write a line into the log for each of three polls a second; and which cannot be told how to look a
name up.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx

from watchword.guard.issuer import ServiceTokenRefused, Trouble
from watchword.guard.names import Names

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_REFUSALS: Final = frozenset({401, 403})
_IDLE_SECONDS: Final = 5.0
_MOST_PARTS: Final = 128
_LEAST_PART: Final = 256
"""Bytes that further parts have on average; byte by byte, an answer would keep the event loop while it comes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with status 200.

    Attributes:
        body: its bytes.
        cache_control: for how long it may be kept, in HTTP's words.
    """

    body: bytes
    cache_control: str


class Wire:
    """Connections that are kept between requests.

    Args:
        is_encrypted: whether certificates are needed: httpx's, or those of ``SSL_CERT_FILE``.

    Attributes:
        names: looks up where they lead to, in a thread that outlives an event loop which nobody stopped.

    Raises:
        RuntimeError: they cannot be read.
    """

    def __init__(self, *, is_encrypted: bool) -> None:
        # Certificates take a while to load. Where none are needed, none are trusted.
        try:
            trusted = httpx.create_ssl_context() if is_encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except OSError as fault:  # the system's or OpenSSL's, which says what is wrong and not with which file
            raise RuntimeError(f"certificates (httpx's, or SSL_CERT_FILE) cannot be read: {fault}") from None
        self.names = Names()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted, keepalive_expiry=_IDLE_SECONDS, network_backend=self.names
        )

    async def close(self) -> None:
        """Hang up."""
        await self._pool.aclose()
        self.names.close()

    async def get(self, url: str, *, limit: int, seconds: float, token: str | None = None) -> Answer:
        """Ask for a document.

        Args:
            url: where it is.
            limit: bytes after which no more is read.
            seconds: how long the whole answer may take.
            token: who asks; sent as a bearer token.

        Raises:
            ServiceTokenRefused: 401 or 403 to a request with a token.
            Trouble: no answer, or none that is taken.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._get(url, limit=limit, token=token)
        except TimeoutError:
            raise Trouble(f"no answer within {seconds:g} s") from None
        except httpcore.ConnectError as fault:  # its words are the system's own, such as why a certificate is refused
            raise Trouble(f"no connection: {fault}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as fault:
            raise Trouble(f"no answer: {type(fault).__name__}") from None

    async def _get(self, url: str, *, limit: int, token: str | None) -> Answer:
        asked = httpx.URL(url)  # httpcore's own reading drops what stands behind a semicolon
        address = httpcore.URL(scheme=asked.raw_scheme, host=asked.raw_host, port=asked.port, target=asked.raw_path)
        headers: dict[str | bytes, str | bytes] = {
            "Host": asked.netloc,  # httpcore would leave out the brackets of an IPv6 address
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",  # a shared cache on the way must not hide a key that was retired just now
        }
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self._pool.stream("GET", address, headers=headers) as response:  # closes it, unless all was read
            fields = httpx.Headers(response.headers)
            _check_head(response.status, fields, is_with_token=token is not None)
            body, parts = bytearray(), 0
            async for part in response.aiter_stream():
                body += part
                parts += 1
                if len(body) > limit:
                    raise Trouble(f"an answer of more than {limit} bytes")
                if parts > _MOST_PARTS + len(body) / _LEAST_PART:
                    raise Trouble("an answer in too many parts")
        return Answer(bytes(body), fields.get("Cache-Control", ""))


def _check_head(status: int, fields: httpx.Headers, *, is_with_token: bool) -> None:
    if is_with_token and status in _REFUSALS:
        raise ServiceTokenRefused(f"the service token is refused with {status}")
    if status in _REDIRECTS:
        raise Trouble(f"it redirects with {status}, and nobody follows")
    if status != _OK:
        raise Trouble(f"status {status}")
    if fields.get("Content-Encoding", "identity") != "identity":
        raise Trouble("a compressed answer, which may be of any length")  # none was asked for
