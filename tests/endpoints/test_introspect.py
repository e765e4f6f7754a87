"""POST /oauth/introspect: what a token says, to clients alone, and of one that is not good nothing at all."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import FakeClock, add_user, an_asker, log_in, refresh
from tests.endpoints.contract import ask, opened
from tests.endpoints.services import a_service, basic, send
from watchword.flows import Tools
from watchword.flows.admin import disable_user, set_password
from watchword.flows.issue import Issued
from watchword.passwords import PasswordRules
from watchword.settings import Settings


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What a token says is the same on any database."""
    return sqlite_url


async def introspected(tools: Tools, client: Client, *tokens: str) -> list[dict[str, Any]]:
    """What a client is told of tokens."""
    name = f"reports-{tools.clock()}-{len(tokens[0])}"
    secret = await a_service(tools, "tokens:introspect", name=name)
    return [
        await opened(await send(client, "/oauth/introspect", basic(name, secret), {"token": token})) for token in tokens
    ]


async def is_active(tools: Tools, client: Client, issued: Issued) -> list[bool]:
    """Whether access token and refresh token are good; one that is not has one answer, to the byte (row 94)."""
    answers = await introspected(tools, client, issued.token, issued.refresh_token)
    assert all(each["active"] is True or each == {"active": False} for each in answers)
    return [each["active"] for each in answers]


async def test_an_access_token_says_all_that_it_holds(
    tools: Tools, client: Client, clock: FakeClock, settings: Settings
) -> None:
    """The members of RFC 7662 §2.2 and of the token, in their order."""
    user = await add_user(tools, scope="reports:read reports:write")
    issued = await log_in(tools)
    (told,) = await introspected(tools, client, issued.token)
    jti, sid = told["jti"], told["sid"]
    assert issued.refresh_token.startswith(f"wwr_{sid}.")
    assert len(jti) == 22
    assert list(told.items()) == [
        ("active", True),
        ("scope", "reports:read reports:write"),
        ("client_id", "watchword"),
        ("username", "alice"),
        ("token_type", "Bearer"),
        ("exp", clock.now + 900),
        ("iat", clock.now),
        ("sub", user.id),
        ("aud", settings.audience),
        ("iss", settings.issuer),
        ("jti", jti),
        ("sid", sid),
        ("auth_time", clock.now),
    ]


async def test_a_refresh_token_cannot_be_taken_for_a_bearer_token(
    tools: Tools, client: Client, clock: FakeClock, settings: Settings
) -> None:
    """It is good, says whose and until when, and has neither type nor scope nor audience."""
    user = await add_user(tools, scope="reports:read")
    began = clock.now
    issued = await log_in(tools)
    clock.advance(60)
    issued = await refresh(tools, refresh_token=issued.refresh_token)
    (told,) = await introspected(tools, client, issued.refresh_token)
    assert list(told.items()) == [
        ("active", True),
        ("client_id", "watchword"),
        ("username", "alice"),
        ("exp", began + 60 + 604_800),
        ("iat", began + 60),
        ("sub", user.id),
        ("iss", settings.issuer),
        ("sid", issued.refresh_token[4:26]),
        ("auth_time", began),
    ]


async def test_to_look_at_a_refresh_token_does_nothing_to_it(tools: Tools, client: Client, clock: FakeClock) -> None:
    """The newest can be exchanged afterwards; an old one is not good, and trips no alarm by being looked at."""
    await add_user(tools)
    first = await log_in(tools)
    second = await refresh(tools, refresh_token=first.refresh_token)
    third = await refresh(tools, refresh_token=second.refresh_token)
    clock.advance(60)
    told = await introspected(tools, client, *(each.refresh_token for each in (first, second, third)))
    assert [each["active"] for each in told] == [False, False, True]
    assert told[:2] == [{"active": False}] * 2
    assert (await refresh(tools, refresh_token=third.refresh_token)).refresh_token != third.refresh_token


async def test_a_token_lives_as_long_as_the_guard_says(tools: Tools, client: Client, clock: FakeClock) -> None:
    """To the second: the access token its time, the refresh token until its session has been idle for too long."""
    await add_user(tools)
    issued = await log_in(tools)
    for seconds, expected in (
        (899, [True, True]),
        (1, [False, True]),
        (604_800 - 901, [False, True]),
        (1, [False, False]),
    ):
        clock.advance(seconds)
        assert await is_active(tools, client, issued) == expected


async def test_what_has_ended_is_not_good(tools: Tools, client: Client, clock: FakeClock) -> None:
    """After a logout, in the process that did it, at once."""
    await add_user(tools)
    kept, ended = await log_in(tools), await log_in(tools)
    await ask(client, "POST", "/logout", {"Authorization": f"Bearer {ended.token}"})
    assert await is_active(tools, client, ended) == [False, False]
    clock.advance(1)
    assert await is_active(tools, client, kept) == [True, True]


async def test_a_user_who_was_locked_out_has_no_good_refresh_token(
    tools: Tools, client: Client, clock: FakeClock
) -> None:
    """Disabled, or given another password."""
    for name in ("alice", "bob"):
        await add_user(tools, name)
    alices, bobs = await log_in(tools), await log_in(tools, "bob")
    await disable_user(tools.store, username="alice", now=clock.now, token_lifetime=900, asker=an_asker(tools))
    await set_password(
        tools.store,
        tools.hasher,
        username="bob",
        password="another battery staple",
        rules=PasswordRules(min_length=8),
        now=clock.now,
        token_lifetime=900,
        asker=an_asker(tools),
    )
    told = await introspected(tools, client, alices.refresh_token, bobs.refresh_token)
    assert told == [{"active": False}] * 2


async def test_what_is_no_token_of_ours_is_inactive(tools: Tools, client: Client) -> None:
    """Unknown, forged, cut, of other kinds, the client's own secret included: one answer (row 94)."""
    await add_user(tools)
    issued = await log_in(tools)
    secret = await a_service(tools, "tokens:introspect", name="another")
    session, counter, mac = issued.refresh_token.split("_", 1)[1].partition(".")[0], "0", "A" * 43
    strange = [
        "x",
        "\0",
        "é" * 100,
        "." * 10_000,
        issued.token[:-1],
        f"{issued.token} ",
        issued.token.rpartition(".")[0] + ".AAAA",
        issued.refresh_token[:-1],
        f"wwr_{session}.{counter}.{mac}",
        f"wwr_{'A' * 22}.0.{mac}",
        issued.refresh_token.replace(".0.", ".1."),
        secret,
    ]
    assert await introspected(tools, client, *strange) == [{"active": False}] * len(strange)
    assert await is_active(tools, client, issued) == [True, True]
