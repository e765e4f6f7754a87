"""``WatchwordAuth`` as its users see it: what it takes, what it tells, and that threads may have it too."""

import asyncio
import copy
import logging
import pickle
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.client.conftest import AuthMaker
from tests.client.service import (
    LIFETIME,
    PASSWORD,
    REPORTS,
    URL,
    USERNAME,
    LoginService,
    Stopwatch,
    Wire,
    busy,
    refresh_token,
    token_answer,
    token_refused,
)
from watchword.client import (
    LoginRefused,
    NotAuthenticated,
    ServiceUnavailable,
    SessionOver,
    UnexpectedAnswer,
    WatchwordAuth,
)

ALICE: dict[str, Any] = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture
def sync_caller(service: LoginService) -> Iterator[httpx.Client]:
    """A ``Client`` without authentication of its own."""
    with httpx.Client(transport=Wire(service)) as caller:
        yield caller


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "a username and a password are needed"),
        ({"username": "alice"}, "belong together"),
        ({"password": "secret"}, "belong together"),
        ({"username": "alice", "refresh_token": "secret"}, "belong together"),
        ({"username": "", "password": "secret"}, "username is empty"),
        ({"username": "alice", "password": ""}, "password is empty"),
        ({"refresh_token": ""}, "refresh_token is empty"),
        ({"refresh_token": "\n"}, "refresh_token is empty"),
        ({"refresh_token": "secret", "patience": 0}, "patience"),
        ({"refresh_token": "secret", "patience": -1.0}, "patience"),
        ({"refresh_token": "secret", "patience": 1e10}, "patience"),  # longer than a thread can wait for a lock
        ({"refresh_token": "secret", "patience": float("inf")}, "patience"),
        ({"refresh_token": "secret", "patience": float("nan")}, "patience"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], fault: str) -> None:
    """They are refused where they are written, in words that name them and hold no secret."""
    with pytest.raises(ValueError, match=fault) as caught:
        WatchwordAuth(URL, **arguments)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "login.example.com",
        "/login",
        "ftp://login.example.com",
        "https://",
        "https://alice:secret@login.example.com",
        "https://login.example.com?token=secret",
        "https://login.example.com#secret",
        "https://login.example.com/auth%3Fsecret",
        "https://login.example.com/auth%2Fsecret",
        "https://login.example.com:secret",
        "https://login.example.com:65536",
        "https://login.example.com:-1",
        "https://login.example.com\n",
    ],
)
def test_addresses_that_are_none(base_url: str) -> None:
    """A whole plain URL is asked for, and a wrong one is not repeated: it may hold a password."""
    with pytest.raises(ValueError, match="base_url") as caught:
        WatchwordAuth(base_url, **ALICE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://login.example.com",
        "HTTP://login.example.com:8000/auth",
        "http://10.0.0.1",
        "http://127.1.evil.example",
        "http://localhost.evil.example",
        "http://[2001:db8::1]:8000",
        httpx.URL("http://login.example.com"),
    ],
)
def test_a_password_is_not_sent_in_clear(base_url: str | httpx.URL) -> None:
    """Over http whoever is on the way reads it; the guard refuses the same addresses."""
    with pytest.raises(ValueError, match="https"):
        WatchwordAuth(base_url, **ALICE)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_http_is_for_this_machine(host: str) -> None:
    """Nobody is on the way there."""
    assert repr(WatchwordAuth(f"http://{host}", **ALICE)).endswith(f"http://{host.lower()}>")


@pytest.mark.parametrize(
    "arguments",
    [{"username": "alice", "password": b"secret"}, {"username": 7, "password": "secret"}, {"refresh_token": b"secret"}],
)
def test_arguments_of_another_type(arguments: dict[str, Any]) -> None:
    """Bytes are not taken for text."""
    with pytest.raises(TypeError, match="must be a string"):
        WatchwordAuth(URL, **arguments)


async def test_an_empty_refresh_token_beside_a_password_is_none(service: LoginService) -> None:
    """It is what a file holds that was emptied and not written any more."""
    auth = WatchwordAuth(URL, **ALICE, refresh_token="")
    async with httpx.AsyncClient(auth=auth, transport=Wire(service)) as client:
        assert (await client.get(REPORTS)).status_code == 200
    assert (service.count("/login"), service.count("/refresh")) == (1, 0)


async def test_it_is_the_authentication_of_a_client(service: LoginService) -> None:
    """The four lines of the README, on whatever address the client then calls."""
    async with httpx.AsyncClient(auth=WatchwordAuth(URL, **ALICE), transport=Wire(service)) as client:
        assert (await client.get(REPORTS)).status_code == 200
        assert (await client.get(f"{URL}/me")).status_code == 200
    assert service.count("/login") == 1


async def test_one_object_serves_several_clients(service: LoginService, auth: WatchwordAuth) -> None:
    """Short-lived clients do not log in anew: token and lock are the object's."""
    for _ in range(3):
        async with httpx.AsyncClient(auth=auth, transport=Wire(service)) as client:
            await client.get(REPORTS)
    assert service.count("/login") == 1


async def test_each_new_refresh_token_is_told_once(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """After a login and after each refresh, whatever the number of requests; in the order in which they came."""
    told: list[str] = []
    auth = make_auth(on_refresh_token=told.append, **ALICE)
    for _ in range(3):
        await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(10)))
        stopwatch.advance(LIFETIME)
    assert told == [refresh_token("session0", counter) for counter in range(3)]


async def test_a_refresh_token_is_told_before_its_access_token_is_used(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """While the hook saves it no request goes out, not even of those who come later."""
    may_go_on = asyncio.Event()
    reached = asyncio.Event()

    async def save(_: str) -> None:
        reached.set()
        await may_go_on.wait()

    auth = make_auth(on_refresh_token=save, **ALICE)
    first = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await reached.wait()
    second = asyncio.create_task(caller.get(REPORTS, auth=auth))
    for _ in range(10):
        await asyncio.sleep(0)
    assert service.count("/reports") == 0
    may_go_on.set()
    assert {(await request).status_code for request in (first, second)} == {200}
    assert service.count("/login") == 1


async def test_a_hook_that_fails_is_heard_and_loses_nothing(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """Its error reaches the caller whose request it was; the new tokens are in force all the same."""
    told: list[str] = []

    def save(token: str) -> None:
        told.append(token)
        raise OSError("the disk is full")

    auth = make_auth(refresh_token=service.open(), on_refresh_token=save)
    with pytest.raises(OSError, match="the disk is full") as caught:
        await caller.get(REPORTS, auth=auth)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), len(told)) == (1, 1)
    del caught  # until here: an error that somebody keeps does not keep the turn
    stopwatch.advance(LIFETIME)
    with pytest.raises(OSError, match="the disk is full"):
        await caller.get(REPORTS, auth=auth)
    assert told == [refresh_token("session0", 1), refresh_token("session0", 2)]


async def cancelled_once(reached: asyncio.Event, asking: Coroutine[Any, Any, httpx.Response]) -> None:
    """Cancel a request when something is reached."""
    request = asyncio.create_task(asking)
    await reached.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_hook_whose_request_is_cancelled_loses_nothing(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """The tokens are there for whoever comes next, and the refresh token is kept, before its successor is."""
    reached, may_go_on = asyncio.Event(), asyncio.Event()
    kept: list[str] = []

    async def save(token: str) -> None:
        reached.set()
        await may_go_on.wait()
        kept.append(token)

    auth = make_auth(refresh_token=service.open(), on_refresh_token=save)
    await cancelled_once(reached, caller.get(REPORTS, auth=auth))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert service.count("/refresh") == 1
    stopwatch.advance(LIFETIME)
    successor = asyncio.create_task(caller.get(REPORTS, auth=auth))
    for _ in range(10):
        await asyncio.sleep(0)
    assert service.count("/refresh") == 1
    may_go_on.set()
    assert (await successor).status_code == 200
    assert kept == [refresh_token("session0", 1), refresh_token("session0", 2)]


async def answer_behind_a_hook(auth: WatchwordAuth, service: LoginService, caller: httpx.AsyncClient) -> httpx.Response:
    """What a request gets that waits for its turn, while the one before it is cancelled and its hook goes on saving."""
    first, second = (asyncio.create_task(caller.get(REPORTS, auth=auth)) for _ in range(2))
    while not service.count("/refresh"):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    first.cancel()
    answer = await second
    with pytest.raises(asyncio.CancelledError):
        await first
    return answer


async def _save_for_ever(_: str) -> None:
    await asyncio.Event().wait()


async def test_who_waited_for_a_hook_in_vain_has_its_token_all_the_same(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """The request that refreshed was cancelled while the hook saves: its token is in force, also for those before."""
    auth = make_auth(refresh_token=service.open(), on_refresh_token=_save_for_ever, patience=0.1)
    assert (await answer_behind_a_hook(auth, service, caller)).status_code == 200


async def test_who_waited_for_a_hook_in_vain_has_no_patience_left(
    service: LoginService, stopwatch: Stopwatch, caller: httpx.AsyncClient
) -> None:
    """What was waited for a turn is not waited for a busy endpoint once more."""
    auth = WatchwordAuth(
        URL, refresh_token=service.open(), on_refresh_token=_save_for_ever, patience=1.1, sleep=stopwatch.sleep
    )
    service.plan("/reports", busy(1))
    assert (await answer_behind_a_hook(auth, service, caller)).status_code == 503
    assert stopwatch.slept == []


async def test_a_hook_that_fails_after_its_request_was_cancelled_is_told_in_the_log(
    service: LoginService,
    stopwatch: Stopwatch,
    make_auth: AuthMaker,
    caller: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is no caller whom its error could reach; and the turn goes on."""
    reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def save(_: str) -> None:
        reached.set()
        await may_go_on.wait()
        if len(caplog.records) == 0:
            raise OSError("the disk is full")

    auth = make_auth(refresh_token=service.open(), on_refresh_token=save)
    await cancelled_once(reached, caller.get(REPORTS, auth=auth))
    may_go_on.set()
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("watchword.client", "ERROR")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the disk is full"


async def test_a_hook_that_fails_just_when_its_request_is_cancelled_is_told_too(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Its caller is told of the cancellation, so that the log alone can tell of the hook."""

    async def save(_: str) -> None:
        asking.cancel()
        raise OSError("the disk is full")

    auth = make_auth(refresh_token=service.open(), on_refresh_token=save)
    asking = asyncio.create_task(caller.get(REPORTS, auth=auth))
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["the disk is full"]


async def test_no_error_has_the_password_along(make_auth: AuthMaker, caller: httpx.AsyncClient) -> None:
    """Not even httpx's own, to which a reporter may go for the request that failed; nor does the history of answers."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(await request.aread())
            raise httpx.ReadError("gone")

    sent: list[bytes] = []
    async with httpx.AsyncClient(transport=Broken()) as broken:
        with pytest.raises(httpx.ReadError) as caught:
            await broken.get(REPORTS, auth=make_auth(**ALICE))
    assert ALICE["password"].encode() in sent[0]
    assert caught.value.request.url.path.endswith("/login")
    assert caught.value.request.content == b""
    answer = await caller.get(REPORTS, auth=make_auth(**ALICE))
    assert [each.request.content for each in answer.history] == [b""]


class CutOff(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The body of a token answer that lacks its end; whoever reads it has the rest among its variables."""

    def __init__(self, fault: BaseException) -> None:
        self._fault = fault

    def __iter__(self) -> Iterator[bytes]:
        part = token_answer("access-cut-off", refresh_token("cut-off", 1)).content[:-1]
        yield part
        raise self._fault from OSError(part)  # as a transport's own error comes from another

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def cut_off(fault: BaseException) -> httpx.MockTransport:
    """Leads to a login service whose answers end so."""
    return httpx.MockTransport(lambda _: httpx.Response(200, stream=CutOff(fault)))


def shown(error: BaseException) -> str:
    """What a reporter of crashes may show of an error, with all variables."""
    error.__suppress_context__ = False  # it may follow what ``from None`` only does not print
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


CUT_OFF = pytest.mark.parametrize(
    "kind", [httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout, asyncio.CancelledError]
)


@CUT_OFF
@pytest.mark.parametrize("is_kept", [False, True], ids=["login", "refresh"])
async def test_an_answer_that_is_cut_off_tells_no_secret(
    service: LoginService, make_auth: AuthMaker, kind: type[BaseException], is_kept: bool
) -> None:
    """The error is as ever, but no variable of those who read the answer is along: they have its tokens."""
    auth = make_auth(refresh_token=service.open() if is_kept else None, **ALICE)
    async with httpx.AsyncClient(transport=cut_off(kind("gone"))) as caller:
        with pytest.raises(kind, match="gone") as caught:
            await caller.get(REPORTS, auth=auth)
    told = shown(caught.value)
    assert not [secret for secret in (PASSWORD, "access-", "wwr_") if secret in told]


@CUT_OFF
def test_a_thread_tells_no_secret_of_it(auth: WatchwordAuth, kind: type[BaseException]) -> None:
    """It holds for threads, too."""
    with httpx.Client(transport=cut_off(kind("gone"))) as caller, pytest.raises(kind, match="gone") as caught:
        caller.get(REPORTS, auth=auth)
    told = shown(caught.value)
    assert not [secret for secret in (PASSWORD, "access-", "wwr_") if secret in told]


async def test_no_secret_is_told(
    service: LoginService,
    stopwatch: Stopwatch,
    make_auth: AuthMaker,
    caller: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not by repr, not by a log at DEBUG, not by an error or the variables that a crash reporter shows of it."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    async def try_with(auth: WatchwordAuth, expected: type[NotAuthenticated]) -> None:
        with pytest.raises(expected) as caught:
            await caller.get(REPORTS, auth=auth)
        said.extend((repr(auth), repr(caught.value), shown(caught.value)))

    auth = make_auth(**ALICE)
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME)
    service.plan("/refresh", busy(2))
    await caller.get(REPORTS, auth=auth)
    service.plan("/refresh", busy(60))
    stopwatch.advance(LIFETIME)
    await try_with(auth, ServiceUnavailable)
    stopwatch.advance(60)
    service.plan("/refresh", httpx.Response(200, json={"token": 7, "refresh_token": refresh_token("session0", 9)}))
    await try_with(auth, NotAuthenticated)
    await try_with(make_auth(username=USERNAME, password=f"not {PASSWORD}"), LoginRefused)
    await try_with(make_auth(refresh_token=refresh_token("unknown", 0)), SessionOver)
    said.extend(record.getMessage() for record in caplog.records)
    assert any(record.name == "watchword.client" for record in caplog.records)
    for secret in (PASSWORD, "wwr_", *service.tokens):
        assert not [line for line in said if secret in line]


@pytest.mark.parametrize("again", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", [NotAuthenticated, LoginRefused, SessionOver, ServiceUnavailable, UnexpectedAnswer])
def test_an_error_can_be_pickled_and_copied(kind: type[NotAuthenticated], again: Callable[[Any], Any]) -> None:
    """A worker hands it to its pool of processes: one that could not be read there broke the whole pool."""
    told: dict[str, Any] = {"retry_after": 7} if kind is ServiceUnavailable else {}
    error = kind("it is busy", request=httpx.Request("GET", REPORTS), **told)
    error.add_note("of a caller")
    other = again(error)
    assert (type(other), str(other), other.request.url) == (kind, "it is busy", REPORTS)
    assert (getattr(other, "retry_after", None), other.__notes__) == (told.get("retry_after"), ["of a caller"])


def test_a_thread_may_have_it_too(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, sync_caller: httpx.Client
) -> None:
    """Under ``httpx.Client`` it logs in, refreshes, waits and repeats in the same way."""
    service.plan("/login", busy(3))
    assert sync_caller.get(REPORTS, auth=auth).status_code == 200
    service.plan("/reports", token_refused(), busy(4))
    assert sync_caller.get(REPORTS, auth=auth).status_code == 200
    stopwatch.advance(LIFETIME)
    assert sync_caller.post(REPORTS, json={"month": "May"}, auth=auth).json() == {"received": '{"month":"May"}'}
    assert (service.count("/login"), service.count("/refresh")) == (2, 2)
    assert stopwatch.slept == [3, 4]


def test_threads_refresh_once(service: LoginService, make_auth: AuthMaker, sync_caller: httpx.Client) -> None:
    """Twenty threads begin at one moment; one of them refreshes, and tells the new refresh token."""
    told: list[str] = []
    together = threading.Barrier(20)
    auth = make_auth(refresh_token=service.open(), on_refresh_token=told.append)

    def ask() -> int:
        together.wait()
        return sync_caller.get(REPORTS, auth=auth).status_code

    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(ask) for _ in range(20)]
    assert {each.result() for each in asked} == {200}
    assert (service.count("/refresh"), told) == (1, [refresh_token("session0", 1)])


def test_a_thread_whose_request_fails_lets_the_next_one_in(
    service: LoginService, make_auth: AuthMaker, sync_caller: httpx.Client
) -> None:
    """The turn is passed on with an error, and the next one asks anew."""
    auth = make_auth(**ALICE)
    service.plan("/login", httpx.Response(500))
    with pytest.raises(UnexpectedAnswer):
        sync_caller.get(REPORTS, auth=auth)
    assert sync_caller.get(REPORTS, auth=auth).status_code == 200
    assert service.count("/login") == 2


def test_a_thread_sends_no_refused_password_again(
    service: LoginService, make_auth: AuthMaker, sync_caller: httpx.Client
) -> None:
    """It holds for threads, too."""
    auth = make_auth(username=USERNAME, password="wrong")
    for _ in range(50):
        with pytest.raises(LoginRefused):
            sync_caller.get(REPORTS, auth=auth)
    assert service.count("/login") == 1


async def _save(_: str) -> None: ...


def test_a_thread_cannot_await(service: LoginService, make_auth: AuthMaker, sync_caller: httpx.Client) -> None:
    """An async hook under ``httpx.Client`` is refused before anything is sent, with what to use instead."""
    auth = make_auth(on_refresh_token=_save, **ALICE)
    with pytest.raises(TypeError, match=r"use httpx\.AsyncClient"):
        sync_caller.get(REPORTS, auth=auth)
    assert service.arrived == []


class Saver:
    """A hook that no function is."""

    async def __call__(self, _: str) -> None: ...


@pytest.mark.parametrize("hook", [Saver(), lambda token: _save(f"a {token}")], ids=["an object", "a lambda"])
def test_a_thread_is_told_of_a_hook_that_turns_out_to_be_async(
    service: LoginService, make_auth: AuthMaker, sync_caller: httpx.Client, hook: Callable[[str], Awaitable[None]]
) -> None:
    """Else nothing would keep the token, with no more than a warning of Python's, on standard error."""
    auth = make_auth(on_refresh_token=hook, **ALICE)
    with pytest.raises(TypeError, match=r"use httpx\.AsyncClient"):
        sync_caller.get(REPORTS, auth=auth)
    assert service.count("/reports") == 0
