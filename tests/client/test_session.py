"""The story of a request: log in, carry the token, renew it, and do so once for all who need it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.client.conftest import AuthMaker
from tests.client.service import (
    CHALLENGE,
    GRACE,
    LIFETIME,
    PASSWORD,
    REPORTS,
    USERNAME,
    LoginService,
    Stopwatch,
    Wire,
    busy,
    refresh_refused,
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
from watchword.client.session import FIRST_REST
from watchword.client.standing import EARLY_PAUSE, LAST_WORD, LONGEST_SILENCE, SUSPICION_PAUSE

FEW = LONGEST_SILENCE / EARLY_PAUSE + 1
"""Tries to renew a token that lives, in the time after which nobody is expected to answer any more."""
ELSEWHERE = "http://reports.test/elsewhere"
ALICE = {"username": USERNAME, "password": PASSWORD}


class Hold:
    """Keeps an answer back, once, until it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self) -> None:
        """Wait here."""
        self.reached.set()
        await self.released.wait()


class BreaksOffRefusals(Wire):
    """Breaks off the body of each refusal."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of an ``AsyncClient``."""
        answer = await super().handle_async_request(request)
        return httpx.Response(401, headers=answer.headers, stream=_Broken()) if answer.status_code == 401 else answer


class _Broken(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise httpx.ReadError("connection reset")


async def others_to_run() -> None:
    """Let every task that can go on do so, until all of them wait for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_request_logs_in(service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient) -> None:
    """One login, then the request with its token; the next request needs no other."""
    for _ in range(2):
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert [arrived.url.path for arrived in service.arrived] == ["/login", "/reports", "/reports"]
    assert service.arrived[0].bearer is None


async def test_the_login_has_the_timeouts_of_the_request(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """httpx gives timeouts to the caller's requests alone; a login without any could hang for ever."""
    await caller.get(REPORTS, auth=auth, timeout=7.0)
    login, request = service.arrived
    assert login.timeout == request.timeout == {"connect": 7.0, "read": 7.0, "write": 7.0, "pool": 7.0}


async def test_a_login_has_an_end_where_the_request_need_have_none(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """As a stream that goes on for ever: a lost answer would be waited for as long, by all who need a token."""
    await caller.get(REPORTS, auth=auth, timeout=httpx.Timeout(None, connect=3.0))
    login, request = service.arrived
    assert request.timeout == {"connect": 3.0, "read": None, "write": None, "pool": None}
    assert login.timeout == {"connect": 3.0, "read": 5.0, "write": 5.0, "pool": None}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=ascii)
async def test_a_kept_refresh_token_comes_before_the_password(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient, end: str
) -> None:
    """With both there is no login as long as the refresh token is good; it may have the line end of a file."""
    auth = make_auth(refresh_token=service.open() + end, **ALICE)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), service.count("/login")) == (1, 0)


async def test_a_token_is_refreshed_before_it_expires(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Thirty seconds before: no request goes out with a token that may be over when it arrives."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 31)
    await caller.get(REPORTS, auth=auth)
    assert service.count("/refresh") == 0
    stopwatch.advance(1)
    await caller.get(REPORTS, auth=auth)
    assert service.count("/refresh") == 1
    assert all(arrived.bearer in service.tokens for arrived in service.arrived if arrived.url.path == "/reports")


@pytest.mark.parametrize(("lifetime", "used"), [(20, 18), (5, 4), (3, 2)])
async def test_a_short_lived_token_is_used_for_most_of_its_life(
    service: LoginService,
    stopwatch: Stopwatch,
    auth: WatchwordAuth,
    caller: httpx.AsyncClient,
    lifetime: int,
    used: int,
) -> None:
    """A tenth of a short lifetime is kept back, not half a minute: that might be all of it. But a second at least, as
    it is over in a whole second, and not when it has lasted so long.
    """
    service.plan("/login", token_answer("short", service.open(), lifetime=lifetime))
    service.tokens["short"] = stopwatch() + lifetime
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(used - 1)
    await caller.get(REPORTS, auth=auth)
    assert service.count("/refresh") == 0
    stopwatch.advance(1)
    await caller.get(REPORTS, auth=auth)
    assert service.count("/refresh") == 1


@pytest.mark.parametrize("passed", [0.0, LIFETIME + 1.0], ids=["at the start", "after expiry"])
async def test_one_renewal_for_a_hundred_concurrent_requests(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, passed: float
) -> None:
    """They wait for the first of them; everyone is answered."""
    if passed:
        await caller.get(REPORTS, auth=auth)
        stopwatch.advance(passed)
    service.afterwards = {"/login": others_to_run, "/refresh": others_to_run}
    answers = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert (service.count("/login"), service.count("/refresh")) == (1, 1 if passed else 0)


async def test_a_refused_token_is_refreshed_once_for_all_who_sent_it(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """A hundred get 401 invalid_token for the same token; there is one refresh, and everyone is answered."""
    await caller.get(REPORTS, auth=auth)
    service.revoke_tokens()
    service.afterwards = {"/reports": others_to_run, "/refresh": others_to_run}
    answers = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert (service.count("/login"), service.count("/refresh")) == (1, 1)


async def test_a_request_is_repeated_once(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """An endpoint that refuses the new token as well has the last word."""
    service.plan("/reports", token_refused(), token_refused())
    assert (await caller.get(REPORTS, auth=auth)).status_code == 401
    assert (service.count("/reports"), service.count("/refresh")) == (2, 1)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["in memory", "streamed"])
async def test_an_endpoint_that_refuses_every_token_causes_a_refresh_in_ten_seconds(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, is_streamed: bool
) -> None:
    """Its clock or its audience is wrong: what came in place of a refused token and is refused too is left alone."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"a long report"

    service.plan("/reports", *(token_refused() for _ in range(200)))
    for _ in range(20):
        answer = await caller.post(REPORTS, content=upload() if is_streamed else b"a report", auth=auth)
        assert answer.status_code == 401
    assert service.count("/refresh") == 1
    for _ in range(60):
        stopwatch.advance(1)
        await caller.post(REPORTS, content=upload() if is_streamed else b"a report", auth=auth)
    assert 6 <= service.count("/refresh") <= 7
    assert service.count("/login") == 1


async def test_a_token_of_seconds_leaves_such_an_endpoint_its_last_word(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """It is renewed for its age meanwhile, and its successor takes over what is left of the ten seconds."""
    service.lifetime = 5
    service.plan("/elsewhere", *(token_refused() for _ in range(200)))
    for _ in range(120):
        assert (await caller.get(ELSEWHERE, auth=auth)).status_code == 401
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        stopwatch.advance(0.5)
    assert service.count("/refresh") <= 60 / (service.lifetime - 1) + 60 / LAST_WORD + 1


async def test_a_refusal_that_breaks_off_is_one(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Its head has come and its body has not: the request fails, and the next one has a new token."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(1)
    service.revoke_tokens()
    async with httpx.AsyncClient(transport=BreaksOffRefusals(service), auth=auth) as client:
        with pytest.raises(httpx.ReadError):
            await client.get(REPORTS)
        assert (await client.get(REPORTS)).status_code == 200


async def test_a_token_that_is_refused_later_on_is_refreshed_though_it_came_for_a_refused_one(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Sessions may be ended more than once, and a refresh that an endpoint has caused is not held against the next."""
    await caller.get(REPORTS, auth=auth)
    for _ in range(3):
        service.revoke_tokens()
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        stopwatch.advance(10)
    assert service.count("/refresh") == 3


@pytest.mark.parametrize("content", [b"x" * 100_000, b"a report"], ids=["upload", "small"])
async def test_a_refusal_that_is_lost_with_its_connection_is_guessed(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, content: bytes
) -> None:
    """A server that refuses may hang up on a body that is still on its way: the next request has a new token. A small
    one is out before, and no endpoint that is broken causes more than a refresh in ten seconds.
    """
    await caller.get(REPORTS, auth=auth)

    async def hang_up() -> None:
        raise httpx.ReadError("connection reset")

    service.afterwards["/reports"] = hang_up
    for _ in range(31):
        stopwatch.advance(1)
        with pytest.raises(httpx.ReadError):
            await caller.post(REPORTS, content=content, auth=auth)
    is_large = len(content) > 1000
    assert service.count("/refresh") == (2 if is_large else 0)
    service.revoke_tokens()
    stopwatch.advance(10)
    with pytest.raises(httpx.ReadError):
        await caller.post(REPORTS, content=content, auth=auth)
    service.afterwards.clear()
    before = service.count("/reports")
    assert (await caller.post(REPORTS, content=content, auth=auth)).status_code == 200
    assert service.count("/reports") == before + (1 if is_large else 2)


async def test_it_is_guessed_though_the_token_lives_for_seconds(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Ten seconds after it came, and not only when it is renewed for its age."""
    service.lifetime = 20
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(SUSPICION_PAUSE)
    service.revoke_tokens()
    service.afterwards["/reports"] = be_gone
    with pytest.raises(httpx.ConnectError):
        await caller.post(REPORTS, content=b"x" * 100_000, auth=auth)
    service.afterwards.clear()
    assert (await caller.post(REPORTS, content=streamed(), auth=auth)).status_code == 200


@pytest.mark.parametrize(
    ("status", "challenge"),
    [
        (401, CHALLENGE),
        (401, f'{CHALLENGE}, error="insufficient_user_authentication", max_age="300"'),
        (401, 'Basic realm="invalid_token"'),
        (403, f'{CHALLENGE}, error="insufficient_scope", scope="admin"'),
        (403, f'{CHALLENGE}, error="invalid_token"'),
    ],
)
async def test_what_another_token_would_not_help_is_returned(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient, status: int, challenge: str
) -> None:
    """No refresh where scope or a fresher login is asked for, nor where nobody says that the token is invalid."""
    service.plan("/reports", httpx.Response(status, headers={"WWW-Authenticate": challenge}))
    answer = await caller.get(REPORTS, auth=auth)
    assert (answer.status_code, service.count("/refresh"), service.count("/reports")) == (status, 0, 1)


async def test_the_body_is_sent_again(service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient) -> None:
    """The request that is repeated after a refresh is whole, and of the same kind."""
    service.plan("/reports", token_refused())
    answer = await caller.post(REPORTS, json={"month": "May"}, auth=auth)
    assert answer.json() == {"received": '{"month":"May"}'}
    assert [arrived.method for arrived in service.arrived if arrived.url.path == "/reports"] == ["POST", "POST"]


async def test_a_streamed_body_is_sent_once_and_the_next_request_has_a_new_token(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """What cannot be read twice is not repeated half or empty: the 401 is returned."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"a long report"

    service.plan("/reports", token_refused())
    assert (await caller.post(REPORTS, content=upload(), auth=auth)).status_code == 401
    answer = await caller.post(REPORTS, content=upload(), auth=auth)
    assert answer.json() == {"received": "a long report"}
    assert (service.count("/refresh"), service.count("/reports")) == (1, 2)


async def test_a_streamed_body_that_was_read_into_memory_is_sent_again(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """``await request.aread()`` is how a caller asks for it."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"a long report"

    service.plan("/reports", token_refused())
    request = caller.build_request("POST", REPORTS, content=upload())
    await request.aread()
    assert (await caller.send(request, auth=auth)).json() == {"received": "a long report"}


async def test_a_streamed_answer_is_left_to_the_caller(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Nothing of it is read before the caller does."""
    async with caller.stream("GET", REPORTS, auth=auth) as answer:
        assert not answer.is_stream_consumed
        assert await answer.aread() == b'{"received":""}'


async def streamed() -> AsyncIterator[bytes]:
    """A body that cannot be sent again."""
    yield b"a part"


async def be_gone() -> None:
    """Fail as a service does that does not run."""
    raise httpx.ConnectError("nobody listens")


def lose_one_refresh(service: LoginService) -> None:
    """Let the next refresh be done, and its answer be lost."""

    async def break_once() -> None:
        service.afterwards.clear()
        raise httpx.ReadError("the connection is gone")

    service.afterwards["/refresh"] = break_once


async def test_a_lost_refresh_answer_ends_no_session(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """The connection breaks when the service has refreshed already: the same token is presented again, and is good."""
    auth = make_auth(refresh_token=service.open())

    lose_one_refresh(service)
    with pytest.raises(httpx.ReadError):
        await caller.get(REPORTS, auth=auth)
    stopwatch.advance(GRACE - 1)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    first, second = (arrived.body for arrived in service.arrived if arrived.url.path == "/refresh")
    assert first == second
    stopwatch.advance(LIFETIME)  # and the successor is the right one
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


@pytest.mark.parametrize("seconds_left", [20, 2])
async def test_a_lost_answer_to_an_early_refresh_ends_no_session(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient, seconds_left: int
) -> None:
    """While the token lives the others go on with it, but the next try comes before the service calls it a theft."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - seconds_left)

    lose_one_refresh(service)
    with pytest.raises(httpx.ReadError):
        await caller.get(REPORTS, auth=auth)
    for _ in range(GRACE + 1):
        stopwatch.advance(1)
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    _, lost, again = (arrived.body for arrived in service.arrived if arrived.url.path == "/refresh")
    assert lost == again
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


@pytest.mark.parametrize(
    ("read_timeout", "pace", "retry_after", "times"),
    [(5.0, 0.5, 4, 1), (5.0, 2.0, 6, 1), (0.0, 2.0, 30, 1), (0.0, 0.9, None, 3)],
    ids=["late", "late and slow", "long", "often"],
)
async def test_a_busy_answer_after_a_lost_one_costs_no_session(
    service: LoginService,
    stopwatch: Stopwatch,
    make_auth: AuthMaker,
    caller: httpx.AsyncClient,
    read_timeout: float,
    pace: float,
    retry_after: int | None,
    times: int,
) -> None:
    """As of a proxy while the service is deployed anew: the next try comes in time for the grace of the lost one."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)

    async def be_missed() -> None:
        service.afterwards.clear()
        stopwatch.advance(read_timeout)
        raise httpx.ReadTimeout("no answer")

    service.afterwards["/refresh"] = be_missed
    with pytest.raises(httpx.ReadTimeout):
        await caller.get(REPORTS, auth=auth)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    service.plan("/refresh", *(httpx.Response(502, headers=headers) for _ in range(times)))
    for _ in range(int(60 / pace)):
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        stopwatch.advance(pace)


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [(busy(1, status=504), True), (httpx.Response(503), True), (busy(1), False), (busy(1, status=429), False)],
)
async def test_what_came_after_a_busy_answer_is_kept_where_that_may_have_been_done(
    service: LoginService,
    stopwatch: Stopwatch,
    make_auth: AuthMaker,
    caller: httpx.AsyncClient,
    answer: httpx.Response,
    is_kept: bool,
) -> None:
    """A proxy that gave up may still have a refresh under way, which would be the predecessor of a spent token."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME)
    service.plan("/refresh", answer)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    service.plan("/elsewhere", token_refused())
    assert (await caller.get(ELSEWHERE, auth=auth)).status_code == (401 if is_kept else 200)
    assert service.count("/refresh") == (3 if is_kept else 4)


async def test_what_a_repeated_refresh_got_is_kept_while_the_lost_one_may_arrive(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Held up on its way it would come as the predecessor of a token that was exchanged too, and look stolen."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    service.plan("/refresh", refresh_refused())  # which nobody gets: it has not arrived yet
    service.afterwards["/refresh"] = be_gone
    with pytest.raises(httpx.ConnectError):
        await caller.get(REPORTS, auth=auth)
    service.afterwards.clear()
    stopwatch.advance(EARLY_PAUSE)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    service.plan("/elsewhere", *(token_refused() for _ in range(3)))
    for _ in range(2):
        assert (await caller.get(ELSEWHERE, auth=auth)).status_code == 401
        stopwatch.advance(LAST_WORD / 2)
    assert service.count("/refresh") == 2
    assert (await caller.get(ELSEWHERE, auth=auth)).status_code == 200
    assert service.count("/refresh") == 3


async def test_an_answer_that_is_missed_late_ends_no_session(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """Who does not get the turn to renew, for the one that has it still waits, puts the next try off for nobody."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    hold = Hold()

    async def stall() -> None:
        service.afterwards.clear()
        await hold()
        raise httpx.ReadTimeout("no answer")

    service.afterwards["/refresh"] = stall
    late = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    for _ in range(GRACE - 1):
        stopwatch.advance(1)
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    hold.released.set()
    with pytest.raises(httpx.ReadTimeout):
        await late
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


async def test_no_token_is_sent_that_expired_while_another_was_sought(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """A busy service says so late, and the token that was to serve meanwhile is over: there is patience left."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 1)
    service.plan("/refresh", busy(2))

    async def be_late() -> None:
        service.afterwards.clear()
        stopwatch.advance(4)

    service.afterwards["/refresh"] = be_late
    assert (await caller.post(REPORTS, content=streamed(), auth=auth)).status_code == 200


class TestARefreshThatWasLostBesideOthers:
    """One endpoint has refused the token, the answer to the refresh is lost, and all others take the token still."""

    @pytest.fixture
    async def auth(
        self, service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
    ) -> WatchwordAuth:
        """As it is then."""
        auth = make_auth(refresh_token=service.open(), patience=1.0)
        await caller.get(REPORTS, auth=auth)
        stopwatch.advance(60)
        service.plan("/reports", token_refused())
        return auth

    async def all_goes_well(
        self, seconds: int, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
    ) -> None:
        """A request each second, and all of them have a token that is good."""
        for _ in range(seconds):
            stopwatch.advance(1)
            assert (await caller.get(REPORTS, auth=auth)).status_code == 200

    async def test_it_is_repeated_in_time(
        self, service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
    ) -> None:
        """Sent when the token is about to expire, the refresh token that was used would look stolen."""
        lose_one_refresh(service)
        with pytest.raises(httpx.ReadError):
            await caller.get(REPORTS, auth=auth)
        await self.all_goes_well(LIFETIME, stopwatch, auth, caller)
        stopwatch.advance(LIFETIME)
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200

    async def test_a_busy_answer_before_changes_nothing(
        self, service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
    ) -> None:
        """The time counts from the refresh that was lost, and not from one that was answered."""
        service.plan("/refresh", busy(2))
        with pytest.raises(ServiceUnavailable):
            await caller.get(REPORTS, auth=auth)
        stopwatch.advance(7)
        await self.test_it_is_repeated_in_time(service, stopwatch, auth, caller)

    async def test_so_it_is_if_many_were_lost_at_once(
        self, service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
    ) -> None:
        """Each of those that were refused tries in its turn; what counts is for how long nobody has answered."""
        service.afterwards["/refresh"] = be_gone
        service.plan("/reports", *(token_refused() for _ in range(19)))
        ends = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(end, httpx.ConnectError) for end in ends)
        service.afterwards.clear()
        await self.all_goes_well(2 * LIFETIME, stopwatch, auth, caller)

    @pytest.mark.parametrize("refuses_again", [False, True])
    async def test_a_service_that_is_gone_fails_no_more_than_a_few(
        self,
        service: LoginService,
        stopwatch: Stopwatch,
        auth: WatchwordAuth,
        caller: httpx.AsyncClient,
        refuses_again: bool,
    ) -> None:
        """However often one endpoint refuses it, those that the token is good for need not find out for ever."""
        service.afterwards["/refresh"] = be_gone
        failed = 0
        for second in range(LIFETIME // 2):
            if refuses_again and second % 5 == 0:
                service.plan("/elsewhere", token_refused())
                with pytest.raises(httpx.ConnectError):
                    await caller.get(ELSEWHERE, auth=auth)
            try:
                await caller.get(REPORTS, auth=auth)
            except httpx.ConnectError:
                failed += 1
            stopwatch.advance(1)
        assert 0 < failed <= FEW

    @pytest.mark.parametrize("pause", [LONGEST_SILENCE + 1, 60])
    async def test_nor_does_it_where_requests_come_seldom(
        self, service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, pause: float
    ) -> None:
        """Before the next one comes the grace of the token is over: there is nothing to be in time for."""
        service.afterwards["/refresh"] = be_gone
        with pytest.raises(httpx.ConnectError):
            await caller.get(REPORTS, auth=auth)
        for _ in range(10):
            stopwatch.advance(pause)
            assert (await caller.get(REPORTS, auth=auth)).status_code == 200

    async def test_a_refresh_that_another_refusal_causes_is_repeated_in_its_turn(
        self, service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
    ) -> None:
        """The service had come back without anybody's hearing of it, and did what was lost later."""
        service.afterwards["/refresh"] = be_gone
        service.planned["/reports"].clear()
        service.plan("/elsewhere", token_refused(), token_refused())
        service.plan("/refresh", refresh_refused())  # which nobody gets, and nothing is done
        with pytest.raises(httpx.ConnectError):
            await caller.get(ELSEWHERE, auth=auth)
        stopwatch.advance(2 * LONGEST_SILENCE)
        with pytest.raises(httpx.ConnectError):
            await caller.get(ELSEWHERE, auth=auth)
        service.afterwards.clear()
        await self.all_goes_well(2 * LIFETIME, stopwatch, auth, caller)

    @pytest.mark.parametrize("hangs_up", [False, True])
    async def test_nor_does_an_endpoint_that_takes_no_upload_then(
        self,
        service: LoginService,
        stopwatch: Stopwatch,
        auth: WatchwordAuth,
        caller: httpx.AsyncClient,
        hangs_up: bool,
    ) -> None:
        """Refused or cut off, it makes one request in ten seconds seek another token, also while none can be had."""
        service.afterwards["/refresh"] = be_gone
        if hangs_up:
            service.afterwards["/uploads"] = be_gone
        with pytest.raises(httpx.ConnectError):
            await caller.get(REPORTS, auth=auth)
        failed = 0
        for _ in range(600):
            service.plan("/uploads", token_refused())
            with suppress(httpx.ConnectError):
                content = b"x" * 100_000 if hangs_up else streamed()
                await caller.post("http://reports.test/uploads", content=content, auth=auth)
            try:
                await caller.get(REPORTS, auth=auth)
            except httpx.ConnectError:
                failed += 1
            stopwatch.advance(0.1)
        assert 0 < failed <= FEW + 60 / SUSPICION_PAUSE

    async def test_a_login_is_not_repeated_so(
        self, service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
    ) -> None:
        """It is no theft to come too late with a password, which is to be sent as seldom as may be."""
        auth = make_auth(**ALICE)
        service.plan("/login", token_answer("first"))
        service.tokens["first"] = stopwatch() + LIFETIME
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        service.plan("/reports", token_refused())
        service.afterwards["/login"] = be_gone
        with pytest.raises(httpx.ConnectError):
            await caller.get(REPORTS, auth=auth)
        for _ in range(60):
            stopwatch.advance(1)
            assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        assert service.count("/login") == 2


@pytest.mark.parametrize("fate", ["cancelled", "cut off"])
async def test_whoever_waits_takes_over_from_one_that_is_gone(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient, fate: str
) -> None:
    """The request that refreshes for all is cancelled, or loses its connection; those who waited are answered."""
    auth = make_auth(refresh_token=service.open())
    hold = Hold()

    async def hold_and_break() -> None:
        service.afterwards.clear()
        await hold()
        raise httpx.ReadError("the connection is gone")

    service.afterwards["/refresh"] = hold_and_break
    leader = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    waiters = [asyncio.create_task(caller.get(REPORTS, auth=auth)) for _ in range(10)]
    await others_to_run()
    if fate == "cancelled":
        leader.cancel()
    else:
        hold.released.set()
    answers = await asyncio.gather(*waiters)
    assert {answer.status_code for answer in answers} == {200}
    assert service.count("/refresh") == 2
    with pytest.raises(asyncio.CancelledError if fate == "cancelled" else httpx.ReadError):
        await leader


async def test_a_waiter_may_be_cancelled(service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient) -> None:
    """The one that logs in, and those that wait on, are none the worse for it."""
    hold = service.afterwards["/login"] = Hold()
    leader = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    impatient, patient = (asyncio.create_task(caller.get(REPORTS, auth=auth)) for _ in range(2))
    await others_to_run()
    impatient.cancel()
    hold.released.set()
    assert {(await task).status_code for task in (leader, patient)} == {200}
    assert service.count("/login") == 1


async def test_wrong_credentials_are_refused_once_for_all_who_waited(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """A hundred requests do not try a wrong password a hundred times, which would throttle the account."""
    auth = make_auth(username=USERNAME, password="wrong")
    service.afterwards["/login"] = others_to_run
    outcomes = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LoginRefused}
    assert service.count("/login") == 1
    assert service.count("/reports") == 0


async def test_a_refused_password_rests_twice_as_long_each_time(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """A poller whose password was changed does not use up the ten failures that its account has within the hour."""
    auth = make_auth(username=USERNAME, password="changed since")
    began = stopwatch()
    tried_at: list[float] = []

    async def note() -> None:
        tried_at.append(stopwatch() - began)

    service.afterwards["/login"] = note
    while stopwatch() < began + 3600:
        with pytest.raises(LoginRefused) as caught:
            await caller.get(REPORTS, auth=auth)
        assert str(caught.value.request.url) == REPORTS
        stopwatch.advance(1)
    assert tried_at == [0, 30, 90, 210, 450, 930, 1890]
    assert stopwatch.slept == []


async def test_a_refusal_whose_rest_is_over_is_not_the_last_word_to_who_was_on_the_way(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """A slow endpoint refuses the token long after the password was: that is sent again, as for any other request."""
    await caller.get(REPORTS, auth=auth)
    service.plan("/elsewhere", token_refused())
    service.afterwards["/elsewhere"] = hold = Hold()
    slow = asyncio.create_task(caller.get(ELSEWHERE, auth=auth))
    await hold.reached.wait()
    service.revoke_tokens()
    service.logins.clear()
    service.plan("/login", httpx.Response(401))
    with pytest.raises(LoginRefused):
        await caller.get(REPORTS, auth=auth)
    stopwatch.advance(FIRST_REST)
    service.afterwards.clear()
    hold.released.set()
    assert (await slow).status_code == 200


async def test_a_successor_that_is_over_is_not_what_a_slow_refusal_is_answered_with(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """The token that came while an endpoint took its time has expired meanwhile as well: one more is sought."""
    service.plan("/elsewhere", token_refused())
    service.afterwards["/elsewhere"] = hold = Hold()
    slow = asyncio.create_task(caller.get(ELSEWHERE, auth=auth))
    await hold.reached.wait()
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    stopwatch.advance(LIFETIME)
    hold.released.set()
    assert (await slow).status_code == 200


async def test_a_password_that_was_taken_has_a_clean_slate(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """A user who was disabled and enabled again is logged in when the rest is over, and a later refusal rests short."""
    for _ in range(2):
        service.plan("/login", *(httpx.Response(401) for _ in range(2)))
        for rest in (30, 60):
            with pytest.raises(LoginRefused):
                await caller.get(REPORTS, auth=auth)
            stopwatch.advance(rest)
        assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        service.logins.clear()
        stopwatch.advance(LIFETIME)


async def test_a_refused_refresh_token_falls_back_on_the_password(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """The session was ended elsewhere: the user logs in again, and the request does not notice."""
    await caller.get(REPORTS, auth=auth)
    service.logins.clear()
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), service.count("/login")) == (1, 2)


NO_TOKEN = [(400, "invalid_request"), (413, "payload_too_large")]


@pytest.mark.parametrize(("status", "code"), NO_TOKEN)
async def test_a_refresh_token_that_cannot_be_one_falls_back_on_the_password(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient, status: int, code: str
) -> None:
    """A crash left NULs in its file, or another file's text: the service answers otherwise than to one that is over."""
    auth = make_auth(refresh_token="damaged", **ALICE)
    service.plan("/refresh", httpx.Response(status, json={"code": code}))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), service.count("/login")) == (1, 1)


@pytest.mark.parametrize(("status", "code"), NO_TOKEN)
async def test_a_refresh_token_that_cannot_be_one_is_kept_where_nothing_else_is(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient, status: int, code: str
) -> None:
    """Were it given up for one such answer, which may be to what a proxy made of the request, nothing would be left."""
    auth = make_auth(refresh_token=service.open())
    service.plan("/refresh", httpx.Response(status, json={"code": code}))
    with pytest.raises(UnexpectedAnswer, match=f"status {status}"):
        await caller.get(REPORTS, auth=auth)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


@pytest.mark.parametrize(("status", "code"), NO_TOKEN)
async def test_a_password_that_cannot_be_one_is_refused(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient, status: int, code: str
) -> None:
    """What helps is another password, not another address; and it rests as any that was refused."""
    service.plan("/login", httpx.Response(status, json={"code": code}))
    for _ in range(2):
        with pytest.raises(LoginRefused, match="refused as none"):
            await caller.get(REPORTS, auth=auth)
    assert service.count("/login") == 1


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize(
    "body",
    [{"html": "<h1>Bad Request</h1>"}, {"json": {"error": "invalid_request"}}, {"json": ["code"]}],
    ids=["a page", "other words", "no object"],
)
@pytest.mark.parametrize("credentials", [{}, ALICE], ids=["without a password", "with one"])
async def test_what_a_proxy_says_ends_no_session(
    service: LoginService,
    make_auth: AuthMaker,
    caller: httpx.AsyncClient,
    status: int,
    body: dict[str, Any],
    credentials: dict[str, str],
) -> None:
    """Its 400 or 413 says nothing of the refresh token, which is presented again, and is no reason for a login."""
    auth = make_auth(refresh_token=service.open(), **credentials)
    service.plan("/refresh", httpx.Response(status, **body))
    with pytest.raises(UnexpectedAnswer, match=f"status {status}"):
        await caller.get(REPORTS, auth=auth)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), service.count("/login")) == (2, 0)


async def test_without_a_password_the_session_is_over(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """It is told to each request, and the service is asked once: the answer would not change."""
    auth = make_auth(refresh_token="wwr_unknown.0.mac")
    for _ in range(2):
        with pytest.raises(SessionOver) as caught:
            await caller.get(REPORTS, auth=auth)
        assert str(caught.value.request.url) == REPORTS
    assert [arrived.url.path for arrived in service.arrived] == ["/refresh"]


async def test_a_service_that_gives_no_refresh_token_is_logged_into_again(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """RFC 6749 §5.1 does not ask for one."""
    service.plan("/login", token_answer("only"))
    service.tokens["only"] = stopwatch() + LIFETIME
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), service.count("/login")) == (0, 2)


@pytest.mark.parametrize("same", [True, False], ids=["the same", "none"])
async def test_a_refresh_token_that_is_not_replaced_stays(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient, same: bool
) -> None:
    """RFC 6749 §6: a refresh may answer without a new one; then there is nothing to be told, either."""
    kept = service.open()
    told: list[str] = []
    auth = make_auth(refresh_token=kept, on_refresh_token=told.append)
    service.plan("/refresh", token_answer("only", kept if same else None))
    service.tokens["only"] = stopwatch() + LIFETIME
    await caller.get(REPORTS, auth=auth)
    assert told == []
    stopwatch.advance(LIFETIME)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert service.count("/refresh") == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_login_service_is_asked_again_when_it_says(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, status: int
) -> None:
    """Not before, and as often as patience lasts."""
    service.plan("/login", busy(3, status=status), busy(7, status=status))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert stopwatch.slept == [3, 7]


@pytest.mark.parametrize("told", [None, "0", "soon", "Fri, 31 Dec 2027 23:59:59 GMT", "-5", "9" * 30])
async def test_a_service_that_does_not_say_when_is_asked_again_after_a_second(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, told: str | None
) -> None:
    """Nor is one hammered that says at once."""
    service.plan("/login", httpx.Response(503, headers={} if told is None else {"Retry-After": told}))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert stopwatch.slept == [1]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("Fri, 31 Dec 2027 23:59:07 GMT", 7),
        ("Friday, 31-Dec-27 23:59:07 GMT", 7),
        ("Fri Dec 31 23:59:07 2027", 7),
        ("Fri, 31 Dec 2027 23:58:00 GMT", 1),
        ("Fri, 31 Dec 2027 99:59:07 GMT", 1),
        ("Fri, 31 Dec 99999999999999999999 23:59:07 GMT", 1),
    ],
)
async def test_a_service_may_say_when_by_a_date(
    service: LoginService,
    stopwatch: Stopwatch,
    auth: WatchwordAuth,
    caller: httpx.AsyncClient,
    told: str,
    seconds: int,
) -> None:
    """Proxies do, in each form of RFC 9110 §5.6.7. It counts from their own ``Date``; a bad one is as none."""
    headers = {"Retry-After": told, "Date": "Fri, 31 Dec 2027 23:59:00 GMT"}
    service.plan("/login", httpx.Response(503, headers=headers))
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert stopwatch.slept == [seconds]


async def test_patience_is_bounded(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Thirty seconds in all; what is left to wait is told."""
    service.plan("/login", busy(20), busy(11))
    with pytest.raises(ServiceUnavailable) as caught:
        await caller.get(REPORTS, auth=auth)
    assert caught.value.retry_after == 11
    assert stopwatch.slept == [20]


async def test_waits_are_counted(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """However much patience there is: httpx takes answers within a flow for redirects, and would raise after twenty."""
    auth = make_auth(refresh_token="wwr_unknown.0.mac", patience=1000.0, **ALICE)
    service.plan("/refresh", *(busy(1) for _ in range(5)))
    service.plan("/login", *(busy(1) for _ in range(5)))
    service.plan("/reports", token_refused())
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    service.plan("/refresh", *(busy(1) for _ in range(100)))
    stopwatch.advance(LIFETIME)
    with pytest.raises(ServiceUnavailable):
        await caller.get(REPORTS, auth=auth)


async def test_a_busy_service_is_left_alone_by_those_who_cannot_wait(
    service: LoginService, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """It said when to come again to one of them; the others do not ask."""
    service.plan("/login", busy(60))
    service.afterwards["/login"] = others_to_run
    outcomes = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ServiceUnavailable}
    assert service.count("/login") == 1


@pytest.mark.parametrize("told", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("path", ["/login", "/refresh"])
async def test_a_busy_service_is_asked_again_after_five_minutes_whatever_it_says(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient, path: str, told: str
) -> None:
    """One ``Retry-After`` of thirty years does not stop the client for good, nor does a date so far ahead."""
    auth = make_auth(**ALICE) if path == "/login" else make_auth(refresh_token=service.open())
    service.plan(path, httpx.Response(503, headers={"Retry-After": told, "Date": "Fri, 31 Dec 2027 23:59:00 GMT"}))
    for passed in (0, 269):
        stopwatch.advance(passed)
        with pytest.raises(ServiceUnavailable) as caught:
            await caller.get(REPORTS, auth=auth)
        assert caught.value.retry_after == 300 - passed
    assert service.count(path) == 1
    stopwatch.advance(31)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


async def test_nobody_waits_for_its_turn_beyond_patience(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """One login that hangs does not hang all the others."""
    auth = make_auth(patience=0.001, **ALICE)
    hold = service.afterwards["/login"] = Hold()
    leader = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    with pytest.raises(ServiceUnavailable):
        await caller.get(REPORTS, auth=auth)
    hold.released.set()
    assert (await leader).status_code == 200


async def test_waiting_for_a_turn_is_waiting(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """Who has stood behind a slow login for 25 seconds does not wait ten more for a busy service."""
    hold = service.afterwards["/login"] = Hold()
    leader = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    waiter = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await others_to_run()
    stopwatch.advance(25)
    service.plan("/login", busy(10))
    leader.cancel()
    hold.released.set()
    with pytest.raises(ServiceUnavailable):
        await waiter
    assert stopwatch.slept == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda: busy(10),
        lambda: httpx.Response(400, html="<h1>Bad Request</h1>"),
        lambda: httpx.Response(500),
        lambda: httpx.Response(200, text="Welcome!"),
    ],
)
async def test_while_a_token_lives_it_serves_though_it_cannot_be_renewed(
    service: LoginService,
    stopwatch: Stopwatch,
    auth: WatchwordAuth,
    caller: httpx.AsyncClient,
    answer: Callable[[], httpx.Response],
) -> None:
    """A service that is busy or broken for the last seconds of a token's life is not noticed, and not waited for."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    service.plan("/refresh", answer())
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert (service.count("/refresh"), stopwatch.slept) == (1, [])
    stopwatch.advance(20)
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200
    assert service.count("/refresh") == 2


async def test_while_a_token_lives_a_service_that_is_gone_fails_one_request_in_three_seconds(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """httpx raises what happens to the connection past the client; so one tries, and the token serves the others."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 30)
    service.afterwards["/refresh"] = be_gone
    failed_at = []
    for second in range(30):
        try:
            assert (await caller.get(REPORTS, auth=auth)).status_code == 200
        except httpx.ConnectError:
            failed_at.append(second)
        stopwatch.advance(1)
    assert failed_at == [*range(0, 30, 3)]
    service.afterwards.clear()
    assert (await caller.get(REPORTS, auth=auth)).status_code == 200


async def test_while_a_token_lives_nobody_waits_for_the_one_that_renews_it(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """The others go on with the old one."""
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    hold = service.afterwards["/refresh"] = Hold()
    leader = asyncio.create_task(caller.get(REPORTS, auth=auth))
    await hold.reached.wait()
    answers = await asyncio.gather(*(caller.get(REPORTS, auth=auth) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    hold.released.set()
    await leader
    assert service.count("/refresh") == 1


async def test_a_refusal_is_heeded_though_the_token_lives(
    service: LoginService, stopwatch: Stopwatch, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """The session was ended, so that its last token is no good either."""
    auth = make_auth(refresh_token=service.open())
    await caller.get(REPORTS, auth=auth)
    stopwatch.advance(LIFETIME - 20)
    service.plan("/refresh", refresh_refused())
    with pytest.raises(SessionOver):
        await caller.get(REPORTS, auth=auth)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_a_busy_endpoint_is_asked_again_by_what_can_be_repeated(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient, method: str
) -> None:
    """RFC 9110 §9.2.2: these do twice what they do once."""
    service.plan("/reports", busy(3), busy(4))
    assert (await caller.request(method, REPORTS, auth=auth)).status_code == 200
    assert stopwatch.slept == [3, 4]


async def test_a_busy_endpoint_that_says_at_once_is_asked_again_after_a_second(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """``Retry-After: 0`` does not turn one GET into eleven within a moment."""
    service.plan("/reports", *(busy(0) for _ in range(20)))
    answer = await caller.get(REPORTS, auth=auth)
    assert (answer.status_code, service.count("/reports")) == (503, 11)
    assert stopwatch.slept == [1] * 10


async def test_what_might_be_done_twice_is_not_repeated(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """A POST gets its 503; so does a stream, and a request that was not told when to come again."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"a long report"

    service.plan("/reports", busy(), busy(), httpx.Response(503))
    answers = [
        await caller.post(REPORTS, json={}, auth=auth),
        await caller.put(REPORTS, content=upload(), auth=auth),
        await caller.get(REPORTS, auth=auth),
    ]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert stopwatch.slept == []


async def test_an_endpoint_that_stays_busy_has_the_last_word(
    service: LoginService, stopwatch: Stopwatch, auth: WatchwordAuth, caller: httpx.AsyncClient
) -> None:
    """When patience ends the 503 is returned; it is the endpoint's answer, and no error of the login."""
    service.plan("/login", busy(8))
    service.plan("/reports", busy(20), busy(3))
    answer = await caller.get(REPORTS, auth=auth)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert stopwatch.slept == [8, 20]


async def test_every_refusal_is_caught_as_what_httpx_raises(
    service: LoginService, make_auth: AuthMaker, caller: httpx.AsyncClient
) -> None:
    """``except httpx.HTTPError`` is enough; and what retries transport errors does not retry a wrong password."""
    auth = make_auth(username=USERNAME, password="wrong")
    with pytest.raises(httpx.HTTPError) as caught:
        await caller.get(REPORTS, auth=auth)
    assert isinstance(caught.value, NotAuthenticated)
    assert not isinstance(caught.value, httpx.TransportError)
    assert str(caught.value.request.url) == REPORTS
