"""A login service in small, with guarded endpoints, a wire that leads to it, and a clock that all of them share.

Its refresh tokens count as the real one's do: the present one is exchanged, its predecessor gets the same successor
for a while, and anything older ends the session.
"""

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

URL = "https://login.test"
REPORTS = "http://reports.test/reports"
USERNAME = "alice"
PASSWORD = "correct horse battery staple"
LIFETIME = 900
GRACE = 10

CHALLENGE = 'Bearer realm="watchword"'


class Stopwatch:
    """Seconds that pass when somebody sleeps, and at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, and remember for how long."""
        self.slept.append(seconds)
        self.advance(seconds)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as a server sees it."""

    method: str
    url: httpx.URL
    headers: httpx.Headers
    body: bytes
    timeout: dict[str, float | None]

    @property
    def bearer(self) -> str | None:
        """The token, if there is one."""
        return self.headers.get("Authorization", "").partition("Bearer ")[2] or None


@dataclass(slots=True)
class Login:
    """One session: how often it was refreshed, and when last."""

    counter: int = 0
    refreshed_at: float = 0.0


@dataclass
class LoginService:
    """Logs alice in, refreshes, and answers guarded requests of any other path.

    Attributes:
        arrived: all requests, in order.
        planned: by path, answers that come before those that it would give.
        afterwards: by path, what happens between an answer's being made and its being sent.
        lifetime: of its access tokens, in seconds.
    """

    clock: Callable[[], float]
    arrived: list[Arrived] = field(default_factory=list)
    planned: defaultdict[str, deque[httpx.Response]] = field(default_factory=lambda: defaultdict(deque))
    afterwards: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    lifetime: int = LIFETIME

    def plan(self, path: str, *answers: httpx.Response) -> None:
        """Have the next requests of a path answered so."""
        self.planned[path].extend(answers)

    def count(self, path: str) -> int:
        """How many requests of a path have arrived."""
        return sum(arrived.url.path == path for arrived in self.arrived)

    def revoke_tokens(self) -> None:
        """Let no access token that was given so far be valid any more; sessions stay."""
        self.tokens.clear()

    def answer(self, arrived: Arrived) -> httpx.Response:
        """Answer a request."""
        self.arrived.append(arrived)
        if self.planned[arrived.url.path]:
            return self.planned[arrived.url.path].popleft()
        if arrived.url.path.endswith("/login"):
            return self._log_in(**json.loads(arrived.body))
        if arrived.url.path.endswith("/refresh"):
            return self._refresh(**json.loads(arrived.body))
        if arrived.bearer is None:
            return httpx.Response(401, headers={"WWW-Authenticate": CHALLENGE})
        if self.tokens.get(arrived.bearer, 0.0) <= self.clock():
            return token_refused()
        return httpx.Response(200, json={"received": arrived.body.decode()})

    def open(self) -> str:
        """Open a session and give its first refresh token, as if kept from another day."""
        session = f"session{len(self.logins)}"
        self.logins[session] = Login()
        return refresh_token(session, 0)

    def _log_in(self, username: str, password: str) -> httpx.Response:
        if (username, password) != (USERNAME, PASSWORD):
            return httpx.Response(401, headers={"WWW-Authenticate": CHALLENGE}, json={"code": "invalid_credentials"})
        return self._issue(self.open().split(".")[0].removeprefix("wwr_"))

    def _refresh(self, refresh_token: str) -> httpx.Response:
        session, counter, _ = refresh_token.removeprefix("wwr_").split(".")
        login = self.logins.get(session)
        if login is None:
            return refresh_refused()
        if int(counter) == login.counter:
            login.counter += 1
            login.refreshed_at = self.clock()
        elif int(counter) != login.counter - 1 or self.clock() >= login.refreshed_at + GRACE:
            del self.logins[session]  # theft, for all it knows
            return refresh_refused()
        return self._issue(session)

    def _issue(self, session: str) -> httpx.Response:
        token = f"access-{len(self.tokens)}-{len(self.arrived)}"
        self.tokens[token] = self.clock() + self.lifetime
        return token_answer(token, refresh_token(session, self.logins[session].counter), lifetime=self.lifetime)


class Wire(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Leads to the service whatever the address, and reads a body once, as a socket does."""

    def __init__(self, service: LoginService) -> None:
        self.service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of an ``AsyncClient``."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        answer = self.service.answer(arrival(request, b"".join([part async for part in request.stream])))
        if afterwards := self.service.afterwards.get(request.url.path):
            await afterwards()
        return unread(answer)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of a ``Client``."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        return unread(self.service.answer(arrival(request, b"".join(request.stream))))


def arrival(request: httpx.Request, body: bytes) -> Arrived:
    """What a server sees of a request, as it is now; the client may change it to send it again."""
    return Arrived(request.method, request.url, request.headers.copy(), body, request.extensions.get("timeout", {}))


def unread(answer: httpx.Response) -> httpx.Response:
    """An answer as it comes from a socket: its body is still to be read."""
    return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


def refresh_token(session: str, counter: int) -> str:
    """A refresh token."""
    return f"wwr_{session}.{counter}.mac"


def token_answer(token: str, refresh_token: str | None = None, *, lifetime: int = LIFETIME) -> httpx.Response:
    """What a login or a refresh gives."""
    members: dict[str, object] = {"token": token, "token_type": "Bearer", "expires_in": lifetime}
    if refresh_token is not None:
        members |= {"refresh_token": refresh_token, "refresh_expires_in": 604_800}
    return httpx.Response(200, json=members)


def token_refused() -> httpx.Response:
    """What a guarded endpoint says to a bad token."""
    return httpx.Response(401, headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})


def refresh_refused() -> httpx.Response:
    """What the service says to a bad refresh token."""
    return httpx.Response(401, json={"code": "invalid_refresh_token"})


def busy(seconds: int = 2, *, status: int = 503) -> httpx.Response:
    """What a server says that has no time."""
    return httpx.Response(status, headers={"Retry-After": str(seconds)})
