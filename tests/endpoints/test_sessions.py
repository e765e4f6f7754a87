"""Where a user is logged in, and an end to it: POST /logout, GET /sessions, DELETE /sessions/{id}."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import pytest
from quart import Response
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, a_session, add_user
from tests.endpoints.contract import COMMON, INVALID, ask, headers_of, opened, refused
from watchword.flows import Tools
from watchword.store import sessions
from watchword.store.connection import Connection


async def log_in(client: Client, username: str = "alice", user_agent: str = "tests") -> dict[str, Any]:
    """The token answer of a login."""
    body = {"username": username, "password": PASSWORD}
    members: dict[str, Any] = await opened(
        await client.post("/login", json=body, headers={"User-Agent": user_agent}), pragma="no-cache"
    )
    return members


def bearer(given: dict[str, Any]) -> dict[str, str]:
    """The header of who has been given a token."""
    return {"Authorization": f"Bearer {given['token']}"}


async def sid_of(client: Client, given: dict[str, Any]) -> str:
    """The session that a token is of."""
    return str((await opened(await client.get("/me", headers=bearer(given))))["sid"])


async def alive(client: Client, *given: dict[str, Any]) -> list[bool]:
    """Which of these may still pass, at the guard, at the door for proxies and at /refresh alike."""
    passing = []
    for each in given:
        statuses = {(await client.get(path, headers=bearer(each))).status_code for path in ("/me", "/forward-auth")}
        response = await client.post("/refresh", json={"refresh_token": each["refresh_token"]})
        statuses.add(response.status_code)
        assert len(statuses) == 1
        passing.append(statuses == {200})
    return passing


async def is_done(response: Response) -> bool:
    """Whether an answer is 204 with the common headers and no body; that nothing else is sent, real servers show."""
    common = {name: value for name, value in headers_of(response) if name in COMMON and name != "content-type"}
    return (response.status_code, await response.get_data()) == (204, b"") and common.items() <= COMMON.items()


@asynccontextmanager
async def somebody_barring_writes(url: str) -> AsyncIterator[None]:
    """Another process that holds what every logout needs."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("ROLLBACK")
    else:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute("LOCK TABLE sessions IN SHARE MODE")
            yield
        await connection.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [False, True]),
        ("?scope=local", [False, True]),
        ("?scope=others", [True, False]),
        ("?scope=global", [False, False]),
    ],
)
async def test_a_logout_ends_what_it_names(tools: Tools, client: Client, query: str, expected: list[bool]) -> None:
    """This session, the others or all, at once in this process; of nobody else (row 63)."""
    await add_user(tools)
    await add_user(tools, "bob")
    this, other, bobs = await log_in(client), await log_in(client), await log_in(client, "bob")
    assert await is_done(await ask(client, "POST", f"/logout{query}", bearer(this)))
    assert await alive(client, this, other, bobs) == [*expected, True]


async def test_a_body_is_no_error(tools: Tools, client: Client) -> None:
    """A logout takes none, and clients send what they like."""
    await add_user(tools)
    given = await log_in(client)
    assert (await client.post("/logout", json={"any": "thing"}, headers=bearer(given))).status_code == 204
    assert await alive(client, given) == [False]


@pytest.mark.parametrize("query", ["?scope=", "?scope=Local", "?scope=all", "?scope=local&scope=global", "?scope=%00"])
async def test_another_scope_is_a_bad_request(tools: Tools, client: Client, query: str) -> None:
    """Nothing ends by a guess at what was meant."""
    await add_user(tools)
    given = await log_in(client)
    assert await refused(await ask(client, "POST", f"/logout{query}", bearer(given))) == (400, "invalid_request")
    assert await alive(client, given) == [True]


async def test_who_has_logged_out_is_refused(tools: Tools, client: Client) -> None:
    """The second logout is of a token that is no longer valid."""
    await add_user(tools)
    given = await log_in(client)
    await ask(client, "POST", "/logout", bearer(given))
    response = await ask(client, "POST", "/logout", bearer(given))
    assert await refused(response, www_authenticate=INVALID) == (401, "invalid_token")


async def test_sessions_are_listed(tools: Tools, client: Client, clock: FakeClock) -> None:
    """When, last used, until when, from where and by what; which is this one, first; no token material (row 79)."""
    await add_user(tools)
    await add_user(tools, "bob")
    began = clock.now
    first = await log_in(client, user_agent="Téléphone ✓")
    clock.advance(5)
    second = await log_in(client, user_agent="curl/8\x07 " + "x" * 300)
    await log_in(client, "bob")
    clock.advance(5)
    await client.post("/refresh", json={"refresh_token": first["refresh_token"]})
    answered = await opened(await client.get("/sessions", headers=bearer(second)))
    assert list(answered) == ["sessions"]
    assert [list(each.items()) for each in answered["sessions"]] == [
        [
            ("id", await sid_of(client, second)),
            ("auth_time", began + 5),
            ("refreshed_at", began + 5),
            ("ends_at", began + 5 + 604_800),
            ("network", ""),
            ("user_agent", "curl/8 " + "x" * 192),
            ("current", True),
        ],
        [
            ("id", await sid_of(client, first)),
            ("auth_time", began),
            ("refreshed_at", began + 10),
            ("ends_at", began + 10 + 604_800),
            ("network", ""),
            ("user_agent", "Téléphone ✓"),
            ("current", False),
        ],
    ]
    text = str(answered)
    assert not any(part in text for part in (*first["refresh_token"].rsplit("."), second["token"]) if len(part) > 30)


async def test_of_very_many_sessions_the_latest_are_listed(tools: Tools, client: Client, clock: FakeClock) -> None:
    """Two hundred, with the one that asks: nobody opens ten thousand to keep the service busy with lists of them."""
    user = await add_user(tools)
    this = await log_in(client)
    clock.advance(5)
    crowd = [a_session(user, refreshed_at=clock.now + number, ends_at=clock.now + 999) for number in range(250)]

    async def open_all(connection: Connection) -> None:
        for session in crowd:
            await sessions.open_for(connection, user, session=session)

    await tools.store.write(open_all)
    answered = await opened(await client.get("/sessions", headers=bearer(this)))
    ids = [each["id"] for each in answered["sessions"]]
    assert ids == [await sid_of(client, this), *(session.id for session in crowd[:50:-1])]
    assert [each["id"] for each in answered["sessions"] if each["current"]] == ids[:1]


async def test_who_holds_a_copy_is_not_told_of_a_refresh(tools: Tools, client: Client, clock: FakeClock) -> None:
    """A thief who sees when the owner refreshes would do so too, within the grace: both get the same, each time."""
    await add_user(tools)
    stolen = await log_in(client)
    clock.advance(5)
    await log_in(client)

    async def told_to_the_thief() -> object:
        return await opened(await client.get("/sessions", headers=bearer(stolen)))

    before = await told_to_the_thief()
    clock.advance(5)
    renewed = await (await client.post("/refresh", json={"refresh_token": stolen["refresh_token"]})).get_json()
    assert await told_to_the_thief() == before
    listed = await opened(await client.get("/sessions", headers=bearer(renewed)))
    (told, _) = listed["sessions"]
    assert told["refreshed_at"] == clock.now, "its owner sees it, by the token that came of it"
    assert told["ends_at"] == clock.now + 604_800


async def test_the_network_is_the_peers_and_no_headers(tools: Tools, client: Client) -> None:
    """Where a login came from is what the socket says, whatever else is claimed."""
    await add_user(tools)
    body = {"username": "alice", "password": PASSWORD}
    for peer in ("192.0.2.7", "2001:db8::7"):
        headers = {"X-Forwarded-For": "10.9.8.7", "Remote-Addr": "10.9.8.7", "Forwarded": "for=10.9.8.7"}
        response = await client.post("/login", json=body, headers=headers, scope_base={"client": (peer, 4711)})
        assert response.status_code == 200
        given = await response.get_json()
    listed = await opened(await client.get("/sessions", headers=bearer(given)))
    assert {each["network"] for each in listed["sessions"]} == {"192.0.2.7", "2001:db8::/64"}


async def test_one_session_is_ended_by_its_id(tools: Tools, client: Client) -> None:
    """That one and no other, at once; a second time there is none."""
    await add_user(tools)
    this, other = await log_in(client), await log_in(client)
    path = f"/sessions/{await sid_of(client, other)}"
    assert await is_done(await ask(client, "DELETE", path, bearer(this)))
    assert await refused(await ask(client, "DELETE", path, bearer(this))) == (404, "not_found")
    assert await alive(client, this, other) == [True, False]


async def test_nobody_ends_anothers_session(tools: Tools, client: Client) -> None:
    """One that is not yours and one that is not there are the same 404."""
    await add_user(tools)
    await add_user(tools, "bob")
    alices, bobs = await log_in(client), await log_in(client, "bob")
    for session_id in (await sid_of(client, bobs), "A" * 22, "x", "a'b"):
        response = await ask(client, "DELETE", f"/sessions/{session_id}", bearer(alices))
        assert await refused(response) == (404, "not_found"), session_id
    assert await alive(client, alices, bobs) == [True, True]


async def test_a_logout_that_cannot_be_stored_is_not_said_to_be_done(
    tools: Tools, client: Client, database_url: str
) -> None:
    """Row 77: with the table barred the answer is 503 with Retry-After, never 204; afterwards it works."""
    await add_user(tools)
    given = await log_in(client)
    async with somebody_barring_writes(database_url):
        response = await ask(client, "POST", "/logout", bearer(given))
        assert await refused(response, retry_after="1") == (503, "unavailable")
    assert await is_done(await ask(client, "POST", "/logout", bearer(given)))
    assert await alive(client, given) == [False]
