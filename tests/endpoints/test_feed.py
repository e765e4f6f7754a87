"""GET /revocations: what has ended, for guards elsewhere: all of it, once, in order, and to services alone."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import FakeClock, add_user, an_asker, log_in
from tests.endpoints.contract import BARE, INVALID, opened, refused
from tests.endpoints.services import a_service, basic, bearer
from watchword.flows import Tools, feed
from watchword.flows.clients import revoke_client
from watchword.flows.sessions import end_sessions_of
from watchword.model import ClientScope, Revocation
from watchword.store import revocations
from watchword.store.connection import Statement
from watchword.tokens import CLOCK_SKEW, MAX_LIFETIME


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The statements behind it are proven on both databases by the tests of the store."""
    return sqlite_url


async def ended_sessions(tools: Tools, count: int) -> list[str]:
    """So many sessions that have begun and ended."""
    ids = [(await log_in(tools)).refresh_token[4:26] for _ in range(count)]
    await end_sessions_of(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools))
    return ids


async def news(client: Client, secret: str, query: str = "") -> dict[str, Any]:
    """What the service tells."""
    members: dict[str, Any] = await opened(await client.get(f"/revocations{query}", headers=bearer(secret)))
    return members


async def test_what_has_ended_is_told(tools: Tools, client: Client, clock: FakeClock) -> None:
    """Every member, in its order: numbers, sessions, times, the server's clock and the keys' fingerprint."""
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    (sid,) = await ended_sessions(tools, 1)
    clock.advance(7)
    revocation = {"seq": 1, "sid": sid, "revoked_at": clock.now - 7, "expires_at": clock.now - 7 + 900}
    expected = {
        "seq": 1,
        "more": False,
        "now": clock.now,
        "keys": tools.ring.fingerprint,
        "revocations": [revocation],
    }
    for query in ("", "?after=0"):
        told = await news(client, secret, query)
        assert list(told.items()) == list(expected.items())
        assert list(told["revocations"][0].items()) == list(revocation.items())
    assert await news(client, secret, "?after=1") == {**expected, "revocations": []}


async def test_times_of_another_kind_hide_no_other_end(tools: Tools, client: Client) -> None:
    """SQLite stores text where a time belongs: guards are told one that lasts as long as any token."""
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    odd, other = await ended_sessions(tools, 2)
    spoil = Statement("UPDATE revocations SET expires_at = 'abc' WHERE session_id = :odd")
    await tools.store.write(lambda connection: connection.fetch(spoil, odd=odd))
    for query in ("", "?after=0"):
        told = {each["sid"]: each for each in (await news(client, secret, query))["revocations"]}
        assert told.keys() == {odd, other}
        assert (told[odd]["revoked_at"], told[odd]["expires_at"]) == (0, MAX_LIFETIME)


async def test_nothing_has_ended_yet(tools: Tools, client: Client) -> None:
    """An empty table has the number 0."""
    secret = await a_service(tools, "revocations:read")
    for query in ("", "?after=0"):
        told = await news(client, secret, query)
        assert (told["seq"], told["more"], told["revocations"]) == (0, False, [])


async def test_news_come_page_by_page(tools: Tools, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each follows the number of the one before, and none is missed or told twice, whether it begins with one or not.

    Everything on one page, after hundreds of thousands of logouts, held up the worker that wrote it, and was more than
    a guard reads.
    """
    monkeypatch.setattr(feed, "_PAGE", 3)
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    ids = await ended_sessions(tools, 7)
    for first in ("", "?after=0"):
        told: list[dict[str, Any]] = []
        pages = []
        query, more = first, True
        while more:
            page = await news(client, secret, query)
            query, more = f"?after={page['seq']}", page["more"]
            told += page["revocations"]
            pages.append((page["seq"], more))
        assert pages == [(3, True), (6, True), (7, False)]
        assert [each["seq"] for each in told] == list(range(1, 8))
        assert {each["sid"] for each in told} == set(ids)


async def test_a_table_that_has_gone_back_says_so(tools: Tools, client: Client) -> None:
    """A number lower than what was asked for, and nothing else: the follower is to ask for everything again."""
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    await ended_sessions(tools, 3)
    told = await news(client, secret, "?after=8")
    assert (told["seq"], told["more"], told["revocations"]) == (3, False, [])
    assert [each["seq"] for each in (await news(client, secret))["revocations"]] == [1, 2, 3]


async def test_what_is_committed_since_the_page_was_read_does_not_count_as_told(
    tools: Tools, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a page read just before the newest commit, the number stays: the next question then brings it."""
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    await ended_sessions(tools, 2)

    async def earlier(*_: object, **__: object) -> list[Revocation]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(revocations, "after", earlier)
        assert (await news(client, secret, "?after=1"))["seq"] == 1
    assert [each["seq"] for each in (await news(client, secret, "?after=1"))["revocations"]] == [2]


async def test_the_first_page_begins_with_what_counts(
    tools: Tools, client: Client, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no living token can concern is passed over, and the last row on a full page is where to go on."""
    monkeypatch.setattr(feed, "_PAGE", 2)
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    await ended_sessions(tools, 3)
    clock.advance(900 + CLOCK_SKEW)
    await ended_sessions(tools, 2)
    first = await news(client, secret)
    assert [each["seq"] for each in first["revocations"]] == [4, 5]
    assert (first["seq"], first["more"]) == (5, True)
    rest = await news(client, secret, "?after=5")
    assert (rest["seq"], rest["more"], rest["revocations"]) == (5, False, [])


async def test_everything_is_what_a_living_token_may_concern(tools: Tools, client: Client, clock: FakeClock) -> None:
    """Also by a clock that is behind ours, as tokens are judged by the guard's; the number stays the newest."""
    await add_user(tools)
    secret = await a_service(tools, "revocations:read")
    await ended_sessions(tools, 1)
    for seconds, count in ((900 + CLOCK_SKEW - 1, 1), (1, 0)):
        clock.advance(seconds)
        told = await news(client, secret)
        assert (told["seq"], len(told["revocations"])) == (1, count)


async def test_a_number_has_one_spelling(tools: Tools, client: Client) -> None:
    """Anything else is a bad request, and no question to the database."""
    secret = await a_service(tools, "revocations:read")
    for number in ("", "-1", "1.0", "01", "+1", "x", "1&after=1", "%D9%A1", f"{10**18}", "%00", "1%20"):
        response = await client.get(f"/revocations?after={number}", headers=bearer(secret))
        assert await refused(response) == (400, "invalid_request"), number


async def test_a_query_has_its_bound(tools: Tools, client: Client) -> None:
    """Row 28: thousands of parameters are not taken apart, here for anybody and at a logout for who may have one."""
    await add_user(tools)
    user = bearer((await log_in(tools)).token)
    for more, expected in (("a" * 200, (401, "invalid_token")), ("&a" * 150, (400, "invalid_request"))):
        challenge = {"www_authenticate": INVALID} if expected[0] == 401 else {}
        response = await client.get(f"/revocations?after=1&{more}", headers=bearer("nobodys"))
        assert await refused(response, **challenge) == expected
    assert await refused(await client.post(f"/logout?scope=local{'&a' * 150}", headers=user)) == expected
    assert (await client.post(f"/logout?scope=local&{'a' * 200}", headers=user)).status_code == 204


async def test_the_greatest_number_is_a_number(tools: Tools, client: Client) -> None:
    """It fits into either database."""
    secret = await a_service(tools, "revocations:read")
    assert (await news(client, secret, f"?after={10**18 - 1}"))["seq"] == 0


@pytest.mark.parametrize(("path", "scope"), [("/revocations", "revocations:read"), ("/metrics", "metrics:read")])
async def test_a_service_is_let_in_by_its_own_token(tools: Tools, client: Client, path: str, scope: str) -> None:
    """None: 401 bare; a bad one, a user's, a revoked one: 401; without the scope: 403 that names it (row 95)."""
    await add_user(tools, scope=scope)
    secret = await a_service(tools, scope)
    lacking = await a_service(tools, *(set(ClientScope) - {scope}), name="lacking")
    assert (await client.get(path, headers=bearer(secret))).status_code == 200
    for headers in ({}, basic("reports", secret), {"X-Access-Token": secret}, {"Cookie": f"token={secret}"}):
        assert await refused(await client.get(path, headers=headers), www_authenticate=BARE) == (401, "missing_token")
    response = await client.get(f"{path}?access_token={secret}")  # row 58
    assert await refused(response, www_authenticate=BARE) == (401, "missing_token")
    user_token = (await log_in(tools)).token
    for bad in (
        "",
        "x",
        secret[:-1],
        f"{secret}A",
        f"{secret},{secret}",
        user_token,
        "wws_" + "A" * 22 + "." + "A" * 43,
    ):
        response = await client.get(path, headers=bearer(bad))
        assert await refused(response, www_authenticate=INVALID) == (401, "invalid_token"), bad
    response = await client.get(path, headers=bearer(lacking))
    challenge = f'{BARE}, error="insufficient_scope", scope="{scope}"'
    assert await refused(response, www_authenticate=challenge) == (403, "insufficient_scope")
    await revoke_client(tools.store, name="reports", asker=an_asker(tools, actor="cli"))
    response = await client.get(path, headers=bearer(secret))
    assert await refused(response, www_authenticate=INVALID) == (401, "invalid_token")


@pytest.mark.parametrize("table", ["clients", "revocations"])
async def test_a_database_that_is_away_is_503(tools: Tools, client: Client, table: str) -> None:
    """Never an empty list, which would say that nothing has ended (row 77)."""
    secret = await a_service(tools, "revocations:read")
    away = Statement(f"ALTER TABLE {table} RENAME TO away")
    await tools.store.write(lambda connection: connection.fetch(away))
    for query in ("", "?after=0"):
        response = await client.get(f"/revocations{query}", headers=bearer(secret))
        assert await refused(response, retry_after="1") == (503, "unavailable")
