"""Where secrets and tokens go, and what is taken for an answer."""

import copy
import gzip
import pickle
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from quart import Quart, request

from tests.client.conftest import AuthMaker
from tests.client.service import (
    CHALLENGE,
    LIFETIME,
    PASSWORD,
    REPORTS,
    URL,
    USERNAME,
    Arrived,
    LoginService,
    Stopwatch,
    Wire,
    arrival,
    refresh_token,
    token_answer,
    token_refused,
    unread,
)
from tests.guard.serving import serving
from watchword.client import UnexpectedAnswer, WatchwordAuth, wire

ELSEWHERE = "http://elsewhere.test/trap"
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture
async def follower(service: LoginService) -> AsyncIterator[httpx.AsyncClient]:
    """A client that follows redirects."""
    async with httpx.AsyncClient(transport=Wire(service), follow_redirects=True) as follower:
        yield follower


def redirect(status: int, to: str) -> httpx.Response:
    """An answer that leads elsewhere."""
    return httpx.Response(status, headers={"Location": to})


def seen_at(service: LoginService, host: str) -> list[Arrived]:
    """What a host has got to see."""
    return [arrived for arrived in service.arrived if arrived.url.host == host]


def raw(arrived: Arrived) -> str:
    """All that a request says."""
    return f"{arrived.url} {arrived.headers.raw!r} {arrived.body!r}"


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_to_another_origin_leaves_the_token_behind(
    service: LoginService, auth: WatchwordAuth, follower: httpx.AsyncClient, status: int
) -> None:
    """Wherever an endpoint sends us, the bearer does not come along; and what answers there cannot make us refresh."""
    service.plan("/reports", redirect(status, ELSEWHERE))
    service.plan("/trap", httpx.Response(401, headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}))
    answer = await follower.post(REPORTS, json={}, auth=auth)
    assert answer.status_code == 401
    (there,) = seen_at(service, "elsewhere.test")
    assert "Authorization" not in there.headers
    assert not any(token in raw(there) for token in service.tokens)
    assert service.count("/refresh") == 0


async def test_a_redirect_within_an_origin_keeps_the_token(
    service: LoginService, auth: WatchwordAuth, follower: httpx.AsyncClient
) -> None:
    """As it does from http to https on the same host."""
    service.plan("/reports", redirect(307, "/moved"))
    service.plan("/moved", redirect(307, "https://reports.test/secured"))
    assert (await follower.get(REPORTS, auth=auth)).status_code == 200


@pytest.mark.parametrize(("method", "sent"), [("POST", 1), ("PATCH", 1), ("GET", 2), ("DELETE", 2)])
async def test_what_was_carried_out_before_a_redirect_is_not_sent_again(
    service: LoginService, auth: WatchwordAuth, follower: httpx.AsyncClient, method: str, sent: int
) -> None:
    """A POST leads to its result, where the token is refused: the order was made twice. The next has another."""
    service.plan("/reports", redirect(303, "/reports/1"))
    service.plan("/reports/1", token_refused())
    answer = await follower.request(method, REPORTS, auth=auth)
    assert answer.status_code == (401 if sent == 1 else 200)
    assert service.count("/reports") == sent
    assert (await follower.get(f"{REPORTS}/1", auth=auth)).status_code == 200
    assert service.count("/refresh") == 1


@pytest.mark.parametrize("path", ["/login", "/refresh"])
@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("target", [ELSEWHERE, "http://login.test/trap", f"{URL}/trap"])
async def test_secrets_follow_no_redirect(
    service: LoginService, make_auth: AuthMaker, follower: httpx.AsyncClient, path: str, status: int, target: str
) -> None:
    """Password and refresh token go to the service's address alone; and no token is taken from elsewhere."""
    kept = refresh_token("kept", 0)
    auth = make_auth(username=USERNAME, password=PASSWORD) if path == "/login" else make_auth(refresh_token=kept)
    service.plan(path, redirect(status, target))
    service.plan("/trap", token_answer("planted"))
    with pytest.raises(UnexpectedAnswer):
        await follower.get(REPORTS, auth=auth)
    for arrived in service.arrived[1:]:
        assert not any(secret in raw(arrived) for secret in (PASSWORD, kept))
    assert service.count("/reports") == 0


async def aread(message: httpx.Request | httpx.Response) -> None:
    """Have a hook read the request."""
    await (message.request if isinstance(message, httpx.Response) else message).aread()


def read(message: httpx.Request | httpx.Response) -> None:
    """The same under ``httpx.Client``."""
    request = message.request if isinstance(message, httpx.Response) else message
    assert request.read() == request.content


class Reading(Wire):
    """A transport that reads a request before it sends it, and says again what it read."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.stream = httpx.ByteStream(await request.aread())
        return await super().handle_async_request(request)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.stream = httpx.ByteStream(request.read())
        return super().handle_request(request)


def telling(service: LoginService) -> httpx.MockTransport:
    """A transport that sends what it has read, and never looks at the stream."""
    return httpx.MockTransport(lambda request: unread(service.answer(arrival(request, request.content))))


READERS: dict[str, tuple[Callable[[LoginService], Wire | httpx.MockTransport], list[str]]] = {
    "a request hook": (Wire, ["request"]),
    "a response hook": (Wire, ["response"]),
    "both": (Wire, ["request", "response"]),
    "a wrapping transport": (Reading, []),
    "one that sends what it read": (telling, []),
    "and hooks before it": (telling, ["request", "response"]),
}


@pytest.mark.parametrize(("transport", "hooked"), READERS.values(), ids=READERS)
@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("follow_redirects", [True, False])
class TestWhoeverReadsThem:
    """A body that httpx has read is one that it sends again wherever it is sent to; ours is not."""

    async def test_secrets_follow_no_redirect(
        self,
        service: LoginService,
        auth: WatchwordAuth,
        transport: Callable[[LoginService], Wire | httpx.MockTransport],
        hooked: list[str],
        status: int,
        follow_redirects: bool,
    ) -> None:
        """The password stays where it was sent to, and what comes from elsewhere is no token."""
        service.plan("/login", redirect(status, ELSEWHERE))
        service.plan("/trap", token_answer("planted"))
        hooks = {name: [aread] for name in hooked}
        async with httpx.AsyncClient(
            transport=transport(service), event_hooks=hooks, follow_redirects=follow_redirects
        ) as client:
            with pytest.raises(UnexpectedAnswer) as caught:
                await client.get(REPORTS, auth=auth)
            assert caught.value.request is not None
            assert PASSWORD in raw(service.arrived[0])
            assert not any(PASSWORD in raw(arrived) for arrived in seen_at(service, "elsewhere.test"))
            assert (await client.get(REPORTS, auth=auth)).status_code == 200

    def test_secrets_follow_no_redirect_in_a_thread(
        self,
        service: LoginService,
        auth: WatchwordAuth,
        transport: Callable[[LoginService], Wire | httpx.MockTransport],
        hooked: list[str],
        status: int,
        follow_redirects: bool,
    ) -> None:
        """The same under ``httpx.Client``."""
        service.plan("/login", redirect(status, ELSEWHERE))
        service.plan("/trap", token_answer("planted"))
        hooks = {name: [read] for name in hooked}
        with httpx.Client(transport=transport(service), event_hooks=hooks, follow_redirects=follow_redirects) as client:
            with pytest.raises(UnexpectedAnswer) as caught:
                client.get(REPORTS, auth=auth)
            assert caught.value.request is not None
            assert PASSWORD in raw(service.arrived[0])
            assert not any(PASSWORD in raw(arrived) for arrived in seen_at(service, "elsewhere.test"))
            assert client.get(REPORTS, auth=auth).status_code == 200


def login_request() -> httpx.Request:
    """A request to the login service, on behalf of another."""
    secrets = wire.Secrets({"password": PASSWORD})
    return wire.request_with(secrets, httpx.URL(URL), "/login", on_behalf_of=httpx.Request("GET", REPORTS))


def test_httpx_asks_for_the_fragment_before_it_takes_the_body_along() -> None:
    """What all of that rests on (RFC 9110 §10.2.2); also where an address was put in the place of ours."""
    login = login_request()
    login.url = login.url.copy_with(path="/v2/login")
    with httpx.Client(transport=httpx.MockTransport(lambda _: redirect(307, ELSEWHERE))) as client:
        answer = client.send(login)
        assert answer.next_request is not None
        assert answer.next_request.url == ELSEWHERE
        with pytest.raises(UnexpectedAnswer, match="its own address alone") as caught:
            answer.next_request.read()
        assert caught.value.request.url == REPORTS
    assert PASSWORD.encode() in login.content


@pytest.mark.parametrize("again", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_a_request_that_is_pickled_or_copied_tells_no_secret(again: Callable[[Any], Any]) -> None:
    """An error of httpx has the request along, and a crash reporter or a pool of processes pickles it."""
    login = login_request()
    login.read()
    error = again(httpx.ConnectError("nobody is there", request=login))
    assert error.request.url == f"{URL}/login"
    assert PASSWORD.encode() not in pickle.dumps(error)
    other = again(login)
    assert (other.method, other.headers["Content-Type"], other.content) == ("POST", "application/json", b"")
    assert again(login.url) == login.url
    assert PASSWORD.encode() not in pickle.dumps(login.url)


class Retrying(Wire):
    """A transport that sends a request again whose answer was lost, as many do."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await super().handle_async_request(request)
        return await super().handle_async_request(request)


async def test_a_transport_may_send_it_again(service: LoginService, auth: WatchwordAuth) -> None:
    """One that tries again after a lost connection ended in an error that blamed a redirect."""
    async with httpx.AsyncClient(transport=Retrying(service)) as client:
        assert (await client.get(REPORTS, auth=auth)).status_code == 200
    assert service.count("/login") == 2


async def test_while_a_token_lives_a_redirect_fails_nobody(
    service: LoginService, auth: WatchwordAuth, stopwatch: Stopwatch, caller: httpx.AsyncClient
) -> None:
    """To a refresh that comes early a page that says where else to look is no answer of a login service."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    service.plan("/refresh", redirect(307, ELSEWHERE))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert service.count("/refresh") == 1


async def test_a_password_follows_no_redirect_over_a_socket() -> None:
    """The same with real connections: the other server may see that somebody comes, and nothing of the body."""
    received: list[bytes] = []
    elsewhere, login = Quart("elsewhere"), Quart("login")

    @elsewhere.post("/trap")
    async def trap() -> dict[str, object]:
        async for part in request.body:
            received.append(part)
        return {"token": "planted", "expires_in": 900}

    async with serving(elsewhere) as target, serving(login) as port:
        location = f"http://127.0.0.1:{target}/trap"
        login.add_url_rule("/login", view_func=lambda: ("", 307, {"Location": location}), methods=["POST"])
        auth = WatchwordAuth(f"http://127.0.0.1:{port}", username=USERNAME, password=PASSWORD)
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            with pytest.raises(UnexpectedAnswer, match="redirects"):
                await client.get(f"http://127.0.0.1:{port}/me")
    assert b"".join(received) == b""


async def test_a_redirect_that_is_not_followed_is_no_answer(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """A client does not follow by itself, and says what it got."""
    service.plan("/login", redirect(308, f"{URL}/auth/login"))
    with pytest.raises(UnexpectedAnswer, match="status 308"):
        await caller.get(REPORTS, auth=auth)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (URL, "https://login.test/login"),
        (f"{URL}/", "https://login.test/login"),
        ("https://example.test:8443/auth/v1/", "https://example.test:8443/auth/v1/login"),
        (httpx.URL("http://[::1]:8000"), "http://[::1]:8000/login"),
    ],
)
async def test_where_the_service_is(
    service: LoginService, caller: httpx.AsyncClient, base_url: str | httpx.URL, address: str
) -> None:
    """Its address may have a port and a path, and a slash at the end is all one."""
    auth = WatchwordAuth(base_url, username=USERNAME, password=PASSWORD)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert str(service.arrived[0].url) == address
    assert service.arrived[0].headers["Host"] == service.arrived[0].url.netloc.decode()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b""),
        httpx.Response(200, text="Welcome!"),
        httpx.Response(200, json=["token"]),
        httpx.Response(200, json={"expires_in": 900}),
        httpx.Response(200, json={"token": None, "expires_in": 900}),
        httpx.Response(200, json={"token": "a b", "expires_in": 900}),
        httpx.Response(200, json={"token": "a\r\nX-Admin: 1", "expires_in": 900}),
        httpx.Response(200, json={"token": "t"}),
        httpx.Response(200, json={"token": "t", "expires_in": 0}),
        httpx.Response(200, json={"token": "t", "expires_in": True}),
        httpx.Response(200, json={"token": "t", "expires_in": "900"}),
        httpx.Response(200, json={"token": "t", "expires_in": 900, "refresh_token": 7}),
        httpx.Response(200, json={"token": "t", "expires_in": 900, "refresh_token": ""}),
        httpx.Response(200, content=b'{"token": "t", "token": "u", "expires_in": 900}'),
        httpx.Response(204),
        httpx.Response(400, json={"code": "payload_too_large"}),
        httpx.Response(404),
        httpx.Response(500, json={"code": "internal_error"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text!r}",
)
async def test_what_is_no_token_answer_is_not_taken_for_one(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient, answer: httpx.Response
) -> None:
    """A page of some other server, or a broken answer, ends in one kind of error; the next request asks anew."""
    service.plan("/login", answer)
    with pytest.raises(UnexpectedAnswer, match="/login does not answer as a login service"):
        await caller.get(REPORTS, auth=auth)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


class Endless(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body that goes on until the reader has enough, and time with it."""

    def __init__(self, part: bytes, pace: Callable[[], None]) -> None:
        self.part = part
        self.pace = pace
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(10_000):
            self.pace()
            yield self.part
        raise AssertionError("it was read to no end")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.fixture(params=["large", "slow"])
def endless(request: pytest.FixtureRequest, stopwatch: Stopwatch) -> Endless:
    """Ten megabytes at once, or a blank a second."""
    if request.param == "large":
        return Endless(b" " * 1000, lambda: None)
    return Endless(b" ", lambda: stopwatch.advance(1))


async def test_an_answer_that_never_ends_is_given_up(
    auth: WatchwordAuth, stopwatch: Stopwatch, endless: Endless
) -> None:
    """64 KiB are read, and no longer than patience: it would fill the memory, and keep the turn for ever."""
    began = stopwatch()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=endless))
    async with httpx.AsyncClient(transport=transport, auth=auth) as client:
        with pytest.raises(UnexpectedAnswer):
            await client.get(REPORTS)
    assert endless.is_closed
    assert stopwatch() - began <= 31


def test_a_thread_gives_up_an_answer_that_never_ends(
    auth: WatchwordAuth, stopwatch: Stopwatch, endless: Endless
) -> None:
    """The same under ``httpx.Client``."""
    began = stopwatch()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=endless))
    with httpx.Client(transport=transport, auth=auth) as client, pytest.raises(UnexpectedAnswer):
        client.get(REPORTS)
    assert endless.is_closed
    assert stopwatch() - began <= 31


async def test_while_a_token_lives_an_answer_that_never_ends_fails_nobody(
    service: LoginService, auth: WatchwordAuth, stopwatch: Stopwatch, caller: httpx.AsyncClient
) -> None:
    """To a refresh that comes early it is as good as any other that is no token answer."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    endless = Endless(b" " * 1000, lambda: None)
    mounts = {URL: httpx.MockTransport(lambda _: httpx.Response(200, stream=endless))}
    async with httpx.AsyncClient(mounts=mounts, transport=Wire(service), auth=auth) as client:
        assert (await client.get(REPORTS)).status_code == 200
    assert endless.is_closed


async def test_no_compressed_answer_is_asked_for(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """Without the header a server may compress as it likes (RFC 9110 §12.5.3), and such an answer is not taken."""
    auth = make_auth(username=USERNAME, password=PASSWORD, refresh_token=refresh_token("over", 0))
    await caller.get(REPORTS, auth=auth)
    asked = [(arrived.url.path, arrived.headers["Accept-Encoding"]) for arrived in service.arrived[:2]]
    assert asked == [("/refresh", "identity"), ("/login", "identity")]


TOKEN_ANSWER = token_answer("packed").content
COMPRESSED = {
    "a bomb": ("gzip, gzip", gzip.compress(gzip.compress(bytes(10_000_000)))),
    "a token answer": ("gzip", gzip.compress(TOKEN_ANSWER)),
    "in name only": ("gzip", TOKEN_ANSWER),
    "in an unknown way": ("pack200-gzip", TOKEN_ANSWER),
}


def compressed(encoding: str, body: bytes) -> httpx.MockTransport:
    """Leads to a server that compresses whatever it says."""
    headers = {"Content-Encoding": encoding}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(body)))


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED.values(), ids=COMPRESSED)
async def test_a_compressed_answer_is_not_unpacked(
    service: LoginService, auth: WatchwordAuth, stopwatch: Stopwatch, encoding: str, body: bytes
) -> None:
    """800 bytes of it became 400 MB. To a refresh that comes early it is as good as any that is no token answer."""
    async with httpx.AsyncClient(transport=Wire(service), auth=auth) as client:
        await client.get(REPORTS)
    stopwatch.advance(LIFETIME - 20)
    mounts = {URL: compressed(encoding, body)}
    async with httpx.AsyncClient(mounts=mounts, transport=Wire(service), auth=auth) as client:
        answer = await client.get(REPORTS)
        assert answer.status_code == 200
        assert [before.content for before in answer.history] == [b""]
        stopwatch.advance(20)
        with pytest.raises(UnexpectedAnswer, match="a compressed answer"):
            await client.get(REPORTS)


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED.values(), ids=COMPRESSED)
def test_a_thread_unpacks_no_compressed_answer(auth: WatchwordAuth, encoding: str, body: bytes) -> None:
    """The same under ``httpx.Client``."""
    refused = pytest.raises(UnexpectedAnswer, match="a compressed answer")
    with httpx.Client(transport=compressed(encoding, body), auth=auth) as client, refused:
        client.get(REPORTS)


@pytest.mark.parametrize(
    ("challenges", "refused"),
    [
        (['Bearer realm="watchword", error="invalid_token"'], True),
        (["bearer error=invalid_token"], True),
        (['Bearer realm="x", Bearer error="invalid_token"'], True),
        (['Basic realm="x"', 'Bearer error="invalid_token", error_description="The token expired"'], True),
        (['Basic realm="x", Bearer realm="y", error = "invalid_token"'], True),
        (['Bearer realm="watchword"'], False),
        (['Bearer error="invalid_request"'], False),
        (['Bearer error="invalid_token_kind"'], False),
        (['DPoP error="invalid_token"'], False),
        ([], False),
    ],
)
def test_which_challenge_refuses_a_token(challenges: list[str], refused: bool) -> None:
    """RFC 6750 §3.1's ``invalid_token`` of the Bearer scheme, however it is written."""
    asked = httpx.Request("GET", REPORTS, headers={"Authorization": "Bearer t"})
    headers = [("WWW-Authenticate", challenge) for challenge in challenges]
    response = httpx.Response(401, headers=headers, request=asked)
    assert wire.refuses(response, "Bearer t") is refused
    assert not wire.refuses(response, "Bearer another")


@pytest.mark.parametrize("filler", ["bearer ", "bearer error = ", "bearer error" + " " * 1000])
def test_a_long_challenge_holds_up_nobody(filler: str) -> None:
    """Whatever an endpoint sends is read once: 90 KB of one word stopped the caller's event loop for 16 s."""
    challenge = (filler * (90_000 // len(filler)))[:90_000]
    asked = httpx.Request("GET", REPORTS, headers={"Authorization": "Bearer t"})
    response = httpx.Response(401, headers={"WWW-Authenticate": challenge}, request=asked)
    began = time.process_time()
    assert not wire.refuses(response, "Bearer t")
    assert time.process_time() - began < 1
