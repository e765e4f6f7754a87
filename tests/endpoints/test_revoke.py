"""POST /oauth/revoke: a token in, and its session is over, with every token of it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import FakeClock, add_user, log_in, refresh
from tests.endpoints.contract import COMMON, headers_of, oauth_refused
from tests.endpoints.services import a_service, basic, send
from tests.endpoints.test_sessions import somebody_barring_writes
from watchword.flows import Tools
from watchword.flows.issue import Issued

Lines = Callable[[], list[dict[str, Any]]]


def told(event_lines: Lines) -> list[dict[str, Any]]:
    """What the log tells of revocations."""
    return [line for line in event_lines() if line["event"] == "authn_token_revoked"]


async def revoke(tools: Tools, client: Client, token: str) -> Response:
    """Let a client revoke a token."""
    name = f"reports-{token[-20:]}"
    secret = await a_service(tools, "tokens:revoke", name=name)
    return await send(client, "/oauth/revoke", basic(name, secret), {"token": token})


async def is_done(response: Response) -> bool:
    """Whether an answer is 200 with the common headers and no body (RFC 7009 §2.2).

    The test client makes up a content type where none was sent; that none is, a real server shows.
    """
    headers = dict(headers_of(response))
    del headers["x-request-id"], headers["content-type"]
    expected = {**{name: value for name, value in COMMON.items() if name != "content-type"}, "content-length": "0"}
    return (response.status_code, await response.get_data(), headers) == (200, b"", expected)


async def alive(client: Client, given: Issued) -> list[bool]:
    """Whether the access token and the refresh token of a login still pass."""
    me = await client.get("/me", headers={"Authorization": f"Bearer {given.token}"})
    refreshed = await client.post("/refresh", json={"refresh_token": given.refresh_token})
    return [me.status_code == 200, refreshed.status_code == 200]


@pytest.mark.parametrize("kind", ["token", "refresh_token"])
async def test_either_token_ends_its_session(tools: Tools, client: Client, event_lines: Lines, kind: str) -> None:
    """At once in this process, with both of its tokens; the user's other sessions go on; an event tells (row 77)."""
    user = await add_user(tools)
    ended, kept = await log_in(tools), await log_in(tools)
    assert await is_done(await revoke(tools, client, getattr(ended, kind)))
    assert await alive(client, ended) == [False, False]
    assert await alive(client, kept) == [True, True]
    (line,) = told(event_lines)
    assert (line["user_id"], line["session_id"]) == (user.id, ended.refresh_token[4:26])


async def test_an_old_refresh_token_ends_its_session(tools: Tools, client: Client, clock: FakeClock) -> None:
    """Whoever holds one held the session: it is better over than doubted."""
    await add_user(tools)
    first = await log_in(tools)
    second = await refresh(tools, refresh_token=first.refresh_token)
    third = await refresh(tools, refresh_token=second.refresh_token)
    clock.advance(60)
    assert await is_done(await revoke(tools, client, first.refresh_token))
    assert await alive(client, third) == [False, False]


async def test_nothing_to_revoke_is_no_error(
    tools: Tools, client: Client, clock: FakeClock, event_lines: Lines
) -> None:
    """Unknown, forged, over, revoked before: 200 and no effect (RFC 7009 §2.2, row 77)."""
    await add_user(tools)
    ended, kept = await log_in(tools), await log_in(tools)
    assert await is_done(await revoke(tools, client, ended.refresh_token))
    forged = kept.refresh_token.rpartition(".")[0] + "." + "A" * 43
    others_mac = kept.refresh_token.rpartition(".")[0] + "." + ended.refresh_token.rpartition(".")[2]
    for token in ("x", "\0", ended.refresh_token, ended.token, forged, others_mac, kept.token[:-1], f"wwr_{'A' * 22}"):
        clock.advance(1)
        name = f"reports-{clock.now}"
        secret = await a_service(tools, "tokens:revoke", name=name)
        assert await is_done(await send(client, "/oauth/revoke", basic(name, secret), {"token": token})), token
    assert await alive(client, kept) == [True, True]
    assert len(told(event_lines)) == 1


async def test_an_access_token_that_is_over_ends_nothing(tools: Tools, client: Client, clock: FakeClock) -> None:
    """It is good for nothing any more, and so it is not good for this."""
    await add_user(tools)
    first = await log_in(tools)
    clock.advance(900)
    assert await is_done(await revoke(tools, client, first.token))
    assert await alive(client, first) == [False, True]


async def test_a_revocation_that_cannot_be_stored_is_not_said_to_be_done(
    tools: Tools, client: Client, database_url: str
) -> None:
    """Row 77: with the table barred the answer is 503 with Retry-After, never 200; afterwards it works."""
    await add_user(tools)
    given = await log_in(tools)
    secret = await a_service(tools, "tokens:revoke")
    fields = {"token": given.token}
    async with somebody_barring_writes(database_url):
        response = await send(client, "/oauth/revoke", basic("reports", secret), fields)
        assert await oauth_refused(response, retry_after="1") == (503, "temporarily_unavailable")
        me = await client.get("/me", headers={"Authorization": f"Bearer {given.token}"})
        assert me.status_code == 200
    assert await is_done(await send(client, "/oauth/revoke", basic("reports", secret), fields))
    assert await alive(client, given) == [False, False]


async def test_the_log_names_who_and_what_and_no_token(
    tools: Tools, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """User, session and client, by their ids (row 98)."""
    user = await add_user(tools)
    given = await log_in(tools)
    secret = await a_service(tools, "tokens:revoke")
    with caplog.at_level(logging.DEBUG):
        await send(client, "/oauth/revoke", basic("reports", secret), {"token": given.refresh_token})
    (record,) = (record for record in caplog.records if record.getMessage() == "authn_token_revoked")
    fields: dict[str, Any] = vars(record)
    assert (fields["user_id"], fields["session_id"], fields["actor"]) == (
        user.id,
        given.refresh_token[4:26],
        f"client:{secret[4:26]}",
    )
    for each in (given.token, given.refresh_token.rpartition(".")[2], secret.rpartition(".")[2]):
        assert not any(each in str(vars(record)) for record in caplog.records)
