"""What goes to the login service and comes from it: requests that hold secrets, token answers, challenges."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import Final, cast

import httpx

from watchword import strictjson
from watchword.bearer_tokens import is_bearer_token
from watchword.client.errors import UnexpectedAnswer
from watchword.loopback import is_loopback

OK: Final = 200
UNAUTHORIZED: Final = 401
SERVICE_UNAVAILABLE: Final = 503
BUSY: Final = frozenset({429, 502, 503, 504})
"""What a login service answers, or a proxy before it, when a later try may fare better."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes that are read of a login service's answer. A token answer has one or two thousand."""

_NONE: Final = {400: "invalid_request", 413: "payload_too_large"}
"""A login service's words for a secret that could never be one: it holds what no JSON may, or is too long."""

_TIMEOUTS: Final = ("connect", "read", "write")
_TIMEOUT: Final = 5.0
"""Seconds of each of them where the caller has set none. For a connection of the pool one waits as the caller's would:
nothing has been sent."""

_SENT_AT_ONCE: Final = 1 << 16
"""Bytes of a body that the system takes, whatever the server does with them."""
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

_MAX_PORT: Final = 65_535
# Matched from the start, and by one word "bearer" only: a long row of them would cost the square of its length.
_INVALID_TOKEN: Final = re.compile(r"(?>.*?\bbearer\s).*\berror\s*=\s*\"?invalid_token\b", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The members of a body that nobody else may see: not in a log, and not among a traceback's variables."""

    members: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a login or a refresh gives (RFC 6749 §5.1).

    Attributes:
        token: the access token.
        expires_in: seconds until it expires.
        refresh_token: what gets the next one, or None where the former stays good (RFC 6749 §6).
    """

    token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(repr=False)


class _Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body that can be sent again, as by a transport that tries once more when a connection is lost."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Withdrawn(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The body of a request that leads elsewhere: there is none."""

    def __init__(self, on_behalf_of: httpx.Request) -> None:
        self._on_behalf_of = on_behalf_of

    def __iter__(self) -> Iterator[bytes]:
        raise self._error()

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise self._error()

    def _error(self) -> UnexpectedAnswer:
        message = "the login service redirects, and credentials go to its own address alone"
        return UnexpectedAnswer(message, request=self._on_behalf_of)


class Confidential(httpx.Request):
    """A request whose body goes to its own address alone.

    At a 307 or 308 httpx sends the body on to whatever address the redirect names, and a flow cannot forbid it. But
    whoever builds the request that is to follow asks for the fragment of this one's address (RFC 9110 §10.2.2), before
    it takes the body along; and then there is none to take.

    Hooks and transports may read the body, and even put another in its place. Pickled or copied, as with an error that
    has it along, this is a request without any.

    Args:
        url: where it goes.
        headers: its headers.
        body: what it says.
        on_behalf_of: the request that needs it. Its timeouts hold, for httpx gives none to a request of ours; where it
            has none, as an endless stream, httpx's own hold. An answer that is lost would be waited for for ever, and
            with it the turn of all others.
    """

    def __init__(self, url: httpx.URL, *, headers: dict[str, str], body: bytes, on_behalf_of: httpx.Request) -> None:
        given = on_behalf_of.extensions.get("timeout", {})
        timeouts = {**given, **{name: _TIMEOUT for name in _TIMEOUTS if given.get(name) is None}}
        super().__init__("POST", url, headers=headers, stream=_Body(body), extensions={"timeout": timeouts})
        self._body = body
        self._on_behalf_of = on_behalf_of

    @property
    def url(self) -> httpx.URL:
        """Where it goes."""
        return _Address(self._url, withdraw=self._withdraw)

    @url.setter
    def url(self, url: httpx.URL) -> None:
        self._url = httpx.URL(url)

    @property
    def content(self) -> bytes:
        """What it says."""
        return self._body

    def read(self) -> bytes:
        """Tell what it says."""
        return self._body

    async def aread(self) -> bytes:
        """Tell what it says."""
        return self._body

    def forget(self) -> None:
        """Say nothing more: an error or a history that has this request along would tell it."""
        self._body = b""
        self.stream = _Body(b"")

    def __reduce__(self) -> tuple[type[httpx.Request], tuple[str, str], dict[str, httpx.Headers]]:
        return httpx.Request, (self.method, str(self.url)), {"headers": self.headers}

    def _withdraw(self) -> None:
        self.stream = _Withdrawn(self._on_behalf_of)


class _Address(httpx.URL):
    """Where a confidential request goes; takes note of who prepares to follow a redirect from there."""

    def __init__(self, url: httpx.URL, *, withdraw: Callable[[], None]) -> None:
        super().__init__(url)
        self._withdraw = withdraw

    @property
    def fragment(self) -> str:
        """There is none."""
        self._withdraw()
        return ""

    def __reduce__(self) -> tuple[type[httpx.URL], tuple[str]]:
        return httpx.URL, (str(self),)


class Curtailed(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The beginning of an answer's body: so much of it as a login service would send, and in good time.

    What answers at its address may be another server, and one that never ends would fill our memory or hold our turn.
    So would a compressed one, of which a kilobyte can be hundreds of megabytes: nothing of it is let through.
    Nothing is raised, for an object that lacks its end is no JSON and so no token answer.

    Args:
        response: whose body it is.
        seconds: for how long it is read. A single part may take as long as the request's timeouts allow.
        clock: tells seconds that never go back.
    """

    def __init__(self, response: httpx.Response, seconds: float, clock: Callable[[], float]) -> None:
        self._stream = response.stream
        self._left = 0 if _is_compressed(response) else MAX_ANSWER
        self._clock = clock
        self._until = clock() + seconds

    def __iter__(self) -> Iterator[bytes]:
        return takewhile(self._bears, cast(httpx.SyncByteStream, self._stream))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in cast(httpx.AsyncByteStream, self._stream):
            if not self._bears(part):
                break
            yield part

    def close(self) -> None:
        """Let go of the connection."""
        cast(httpx.SyncByteStream, self._stream).close()

    async def aclose(self) -> None:
        """Let go of the connection."""
        await cast(httpx.AsyncByteStream, self._stream).aclose()

    def _bears(self, part: bytes) -> bool:
        self._left -= len(part)
        return self._left >= 0 and self._clock() <= self._until


def _is_compressed(response: httpx.Response) -> bool:
    return response.headers.get("Content-Encoding") not in {None, "identity"}


def service_url(base_url: str | httpx.URL) -> httpx.URL:
    """Read the address of a login service.

    Raises:
        ValueError: it is not the plain https URL of one, nor an http URL of this machine, for whoever is on the way
            would read the password; the message holds nothing of it.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ValueError("base_url is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("base_url must be a URL like https://login.example.com")
    if not 0 <= (url.port or 0) <= _MAX_PORT:
        raise ValueError("base_url has a port that is none")
    if url.userinfo or url.query or url.fragment or b"%" in url.raw_path:
        raise ValueError("base_url must have no user, query, fragment or escapes")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ValueError("base_url must be an https URL; http is for this machine alone, such as 127.0.0.1")
    return url


def request_with(secrets: Secrets, service: httpx.URL, path: str, *, on_behalf_of: httpx.Request) -> Confidential:
    """A request to the login service.

    Args:
        secrets: what it says.
        service: the login service's address.
        path: below that.
        on_behalf_of: the request that needs it.
    """
    body = json.dumps(secrets.members).encode()
    headers = {
        "Host": service.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    url = service.copy_with(path=service.path.rstrip("/") + path)
    return Confidential(url, headers=headers, body=body, on_behalf_of=on_behalf_of)


def read_token_answer(response: httpx.Response) -> TokenAnswer:
    """Read what should be a token answer.

    Raises:
        ValueError: it is none; the message holds nothing of it.
    """
    if response.status_code != OK:
        raise ValueError(f"status {response.status_code}")
    if _is_compressed(response):
        raise ValueError("a compressed answer, which may be of any length")
    answer = strictjson.loads(response.content)
    if not isinstance(answer, dict):
        raise ValueError("no object")
    token, expires_in, refresh_token = (answer.get(name) for name in ("token", "expires_in", "refresh_token"))
    if not isinstance(token, str) or not is_bearer_token(token):
        raise ValueError("no token")
    if type(expires_in) is not int or expires_in <= 0:
        raise ValueError("no lifetime")
    if refresh_token is not None and not (isinstance(refresh_token, str) and refresh_token):
        raise ValueError("a refresh token that is none")
    return TokenAnswer(token, expires_in, refresh_token)


def finds_none(response: httpx.Response) -> bool:
    """Whether a login service says that what it got for a refresh token, or for credentials, could never be such.

    The status alone does not say so: a proxy on the way has a 400 and a 413 of its own, whatever was sent.
    """
    if response.status_code not in _NONE:
        return False
    try:
        answer = strictjson.loads(response.content)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("code") == _NONE[response.status_code]


def is_not_done(response: httpx.Response) -> bool:
    """Whether a busy answer is surely of who has done nothing: a proxy's own 503 may hide what the service did."""
    return response.status_code in {429, SERVICE_UNAVAILABLE} and retry_after(response) is not None


def retry_after(response: httpx.Response) -> int | None:
    """The seconds of a ``Retry-After`` (RFC 9110 §10.2.3); None where there is none that can be read.

    A date counts from the answer's own ``Date``, whatever our clock shows; without that it cannot be read.
    """
    value = response.headers.get("Retry-After", "")
    if _SECONDS.fullmatch(value):
        return int(value)
    try:
        wait = _instant(value) - _instant(response.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return max(0, int(wait.total_seconds()))


def _instant(date: str) -> datetime:
    """Read an HTTP date, which is always of GMT: its oldest form names no zone (RFC 9110 §5.6.7)."""
    return parsedate_to_datetime(date).replace(tzinfo=UTC)


def refuses(response: httpx.Response, authorization: str) -> bool:
    """Whether an answer refuses this very token as invalid (RFC 6750 §3.1).

    Not so where a redirect has left the token behind, nor where a wider scope or a fresher login is asked for
    (RFC 9470): another token of the same session would fare no better.
    """
    if response.status_code != UNAUTHORIZED or response.request.headers.get("Authorization") != authorization:
        return False
    return any(map(_INVALID_TOKEN.match, response.headers.get_list("WWW-Authenticate")))


def can_be_replayed(request: httpx.Request, *, refused_by: httpx.Response) -> bool:
    """Whether a request whose token was refused can be sent again.

    What was redirected may have been carried out: a POST leads to its result, and the token is refused there.
    """
    return is_safe_to_repeat(request) or (refused_by.request is request and _is_in_memory(request))


def is_safe_to_repeat(request: httpx.Request) -> bool:
    """Whether a request that may have been carried out can be sent again (RFC 9110 §9.2.2)."""
    return request.method in _IDEMPOTENT and _is_in_memory(request)


def may_be_cut_short(request: httpx.Request) -> bool:
    """Whether an answer may come while a request's body is still on its way: what is less is out before."""
    length = request.headers.get("Content-Length", "")
    return "Transfer-Encoding" in request.headers or (length.isdecimal() and int(length) > _SENT_AT_ONCE)


def _is_in_memory(request: httpx.Request) -> bool:
    """Whether the body is. A file, too, could be read again, and would then be empty."""
    return isinstance(request.stream, httpx.ByteStream)
