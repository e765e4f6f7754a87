"""Where secrets and tokens go, and what is taken for an answer."""

import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterator

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
    refresh_token,
    token_answer,
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
        httpx.Response(400, json={"code": "invalid_request"}),
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
