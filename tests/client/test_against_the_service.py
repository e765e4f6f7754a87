"""The client against a real ``watchword serve``: what one of them promises the other keeps."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import PASSWORD
from tests.servers import Server, watchword, watchword_server
from watchword.client import LoginRefused, NotAuthenticated, SessionOver, UnexpectedAnswer, WatchwordAuth

ALICE: dict[str, Any] = {"username": "alice", "password": PASSWORD}
LIFETIME = 900


class Later:
    """The real clock, that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """The time."""
        return time.monotonic() + self.ahead


class Forgetful(httpx.AsyncHTTPTransport):
    """Loses the answer to the first refresh, when the service has given it."""

    def __init__(self) -> None:
        super().__init__()
        self.has_lost = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request."""
        answer = await super().handle_async_request(request)
        if request.url.path == "/refresh" and not self.has_lost:
            self.has_lost = True
            await answer.aread()
            await answer.aclose()
            raise httpx.ReadError("the connection is gone")
        return answer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service, where alice may log in; nothing here changes more than her sessions."""
    with watchword_server(tmp_path_factory.mktemp("service") / "instance") as server:
        add_alice(server)
        yield server


@pytest.fixture
def sent() -> Counter[str]:
    """How often each path was asked for."""
    return Counter()


@pytest.fixture
async def caller(service: Server, sent: Counter[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, without authentication of its own."""

    async def count(request: httpx.Request) -> None:
        sent[request.url.path] += 1

    async with httpx.AsyncClient(base_url=service.url, event_hooks={"request": [count]}) as caller:
        yield caller


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Server]:
    """A service whose access tokens live for two seconds: of one they might be over as they arrive."""
    with watchword_server(tmp_path / "short", ACCESS_TOKEN_LIFETIME="2") as server:
        add_alice(server)
        yield server


def add_alice(server: Server) -> None:
    """Somebody who may log in."""
    arguments = ("users", "add", "alice", "--password-stdin")
    watchword(*arguments, environ=server.environ, stdin=PASSWORD).check_returncode()


async def test_one_login_for_fifty_concurrent_requests(
    service: Server, caller: httpx.AsyncClient, sent: Counter[str]
) -> None:
    """All are answered, in one session."""
    auth = WatchwordAuth(service.url, **ALICE)
    answers = await asyncio.gather(*(caller.get("/me", auth=auth) for _ in range(50)))
    assert {answer.json()["username"] for answer in answers} == {"alice"}
    assert sent == {"/login": 1, "/me": 50}


async def test_a_wrong_password(service: Server, caller: httpx.AsyncClient) -> None:
    """The service's 401 is the client's ``LoginRefused``."""
    with pytest.raises(LoginRefused):
        await caller.get("/me", auth=WatchwordAuth(service.url, username="alice", password="not hers, and long enough"))


@pytest.mark.parametrize(
    ("username", "password"),
    [("alice", "x" * 5_000), ("alice", "x" * 50_000), ("al\0ice", PASSWORD), ("alice", f"{PASSWORD}\udce9")],
    ids=["too long", "far too long", "a NUL", "no character"],
)
async def test_what_is_no_user_name_or_password(
    service: Server, caller: httpx.AsyncClient, username: str, password: str
) -> None:
    """Is refused as a wrong one is, and not taken for a wrong address."""
    with pytest.raises(LoginRefused, match="refused as none"):
        await caller.get("/me", auth=WatchwordAuth(service.url, username=username, password=password))


async def test_one_refresh_for_fifty_concurrent_requests(
    service: Server, caller: httpx.AsyncClient, sent: Counter[str]
) -> None:
    """When the token is over by the client's clock it is exchanged once, and the session goes on."""
    later = Later()
    told: list[str] = []
    auth = WatchwordAuth(service.url, **ALICE, on_refresh_token=told.append, clock=later)
    before = (await caller.get("/me", auth=auth)).json()
    later.ahead = LIFETIME
    answers = await asyncio.gather(*(caller.get("/me", auth=auth) for _ in range(50)))
    assert {answer.json()["sid"] for answer in answers} == {before["sid"]}
    assert (sent["/login"], sent["/refresh"]) == (1, 1)
    assert len(set(told)) == 2


async def test_more_requests_are_refused_than_there_are_connections(service: Server) -> None:
    """Who waits for the new token keeps no connection from whoever fetches it, nor from the others."""
    auth = WatchwordAuth(service.url, **ALICE)
    limits = httpx.Limits(max_connections=5, max_keepalive_connections=2)
    timeout = httpx.Timeout(20, pool=5)
    async with httpx.AsyncClient(base_url=service.url, auth=auth, limits=limits, timeout=timeout) as caller:
        first = await caller.get("/me")
        bearer = {"Authorization": first.request.headers["Authorization"]}
        async with httpx.AsyncClient(base_url=service.url) as other:
            assert (await other.post("/logout", headers=bearer)).status_code == 204
        answers = await asyncio.gather(*(caller.get("/me") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["sid"] for answer in answers} - {first.json()["sid"]}) == 1


async def test_a_token_that_expired_unnoticed(short_lived: Server) -> None:
    """The client's clock stands still; ``invalid_token`` tells it to refresh, and the request is repeated."""
    auth = WatchwordAuth(short_lived.url, **ALICE, clock=lambda: 0.0)
    async with httpx.AsyncClient(base_url=short_lived.url) as caller:
        first = await caller.get("/me", auth=auth)
        bearer = {"Authorization": first.request.headers["Authorization"]}
        while (await caller.get("/me", headers=bearer)).is_success:  # the clock is the service's
            await asyncio.sleep(0.1)
        second = await caller.get("/me", auth=auth)
    assert second.json()["sid"] == first.json()["sid"]
    assert [answer.status_code for answer in second.history] == [401, 200]


async def test_a_lost_refresh_answer(service: Server) -> None:
    """The service has refreshed, the client does not know: the same token gets the same successor."""
    later = Later()
    told: list[str] = []
    auth = WatchwordAuth(service.url, **ALICE, on_refresh_token=told.append, clock=later)
    async with httpx.AsyncClient(base_url=service.url, transport=Forgetful(), auth=auth) as caller:
        before = (await caller.get("/me")).json()
        for _ in range(2):
            later.ahead += LIFETIME
            try:
                answer = await caller.get("/me")
            except httpx.ReadError:
                answer = await caller.get("/me")
            assert answer.json()["sid"] == before["sid"]
    assert len(told) == len(set(told)) == 3


async def test_a_refresh_token_that_was_used_long_ago(service: Server, caller: httpx.AsyncClient) -> None:
    """Whoever presents it ends the session: a client without a password is out, one with it logs in again."""
    later = Later()
    told: list[str] = []
    auth = WatchwordAuth(service.url, **ALICE, on_refresh_token=told.append, clock=later)
    before = (await caller.get("/me", auth=auth)).json()
    for _ in range(2):
        later.ahead += LIFETIME
        await caller.get("/me", auth=auth)
    with pytest.raises(SessionOver):
        await caller.get("/me", auth=WatchwordAuth(service.url, refresh_token=told[0]))
    with pytest.raises(SessionOver):
        await caller.get("/me", auth=WatchwordAuth(service.url, refresh_token=told[2]))
    later.ahead += LIFETIME
    after = (await caller.get("/me", auth=auth)).json()
    assert after["sid"] != before["sid"]


@pytest.mark.parametrize(
    ("nonsense", "fault"),
    [
        ("none", SessionOver),
        ("wwr_", SessionOver),
        ("wwr_a.b.c", SessionOver),
        ("Bearer x", SessionOver),
        ("☃", SessionOver),
        ("\x00" * 80, UnexpectedAnswer),
        ("\udcff", UnexpectedAnswer),
        ("a" * 20_000, UnexpectedAnswer),
    ],
    ids=lambda argument: ascii(argument[:10]) if isinstance(argument, str) else argument.__name__,
)
async def test_what_is_no_refresh_token(
    service: Server, caller: httpx.AsyncClient, nonsense: str, fault: type[NotAuthenticated]
) -> None:
    """A file that holds something else is of no use, whatever the service calls it; a password helps."""
    with pytest.raises(fault):
        await caller.get("/me", auth=WatchwordAuth(service.url, refresh_token=nonsense))
    auth = WatchwordAuth(service.url, **ALICE, refresh_token=nonsense)
    assert (await caller.get("/me", auth=auth)).status_code == 200


def test_threads(service: Server) -> None:
    """``httpx.Client`` logs in and refreshes just so."""
    later = Later()
    auth = WatchwordAuth(service.url, **ALICE, clock=later)
    with httpx.Client(base_url=service.url, auth=auth) as caller:
        before = caller.get("/me").json()
        later.ahead = LIFETIME
        assert caller.get("/me").json()["sid"] == before["sid"]


async def test_nothing_that_goes_over_the_wire_is_logged(
    service: Server, caller: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG httpx and its connections tell much, and neither they nor we a secret; nor does the service."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    later = Later()
    auth = WatchwordAuth(service.url, **ALICE, on_refresh_token=told.append, clock=later)
    tokens = [(await caller.get("/me", auth=auth)).request.headers["Authorization"].removeprefix("Bearer ")]
    later.ahead = LIFETIME
    tokens.append((await caller.get("/me", auth=auth)).request.headers["Authorization"].removeprefix("Bearer "))
    logged = "\n".join(record.getMessage() for record in caplog.records) + service.logged(4)
    assert "/refresh" in logged
    for secret in (PASSWORD, *told, *tokens):
        assert secret not in logged
