"""Logging in: one refusal for every reason, one hash for every attempt, and no half measures."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import PASSWORD, FakeClock, add_user, an_asker, insert_user, log_in
from tests.trail import trail
from watchword import tokens
from watchword.errors import InvalidCredentials, InvalidRequest, InvalidToken, Overloaded
from watchword.flows import Tools, admin
from watchword.flows.sessions import list_sessions
from watchword.model import AccessToken
from watchword.passwords import EncodedHash, Hasher, Parameters, Verified
from watchword.passwords.pool import Place
from watchword.store import sessions, users
from watchword.store.connection import Statement

SESSIONS = Statement("SELECT id, user_id, auth_time, expires_at FROM sessions")


def claims_of(tools: Tools, token: str) -> AccessToken:
    """Verify a token as the guard would."""
    return tokens.verify(token, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())


async def test_the_right_password_opens_a_session_and_gives_its_token(tools: Tools, clock: FakeClock) -> None:
    """The token names the user and a session that is stored."""
    alice = await add_user(tools, "Alice", scope="reports:read")
    issued = await log_in(tools, username="alice", password=PASSWORD)
    token = claims_of(tools, issued.token)
    assert (token.sub, token.username, token.scope) == (alice.id, "Alice", "reports:read")
    assert (token.iat, token.auth_time, token.exp) == (clock.now, clock.now, clock.now + issued.expires_in)
    rows = await tools.store.read(lambda connection: connection.fetch(SESSIONS))
    assert [tuple(row) for row in rows] == [(token.sid, alice.id, clock.now, clock.now + tools.lifetimes.session)]


async def test_a_token_does_not_outlive_its_session(tools: Tools, clock: FakeClock) -> None:
    """Where a session may last less than a token, the token's life is the session's."""
    brief = replace(tools, lifetimes=replace(tools.lifetimes, session=60))
    await add_user(tools)
    issued = await log_in(brief, username="alice", password=PASSWORD)
    assert issued.expires_in == 60
    assert claims_of(tools, issued.token).exp == clock.now + 60


@pytest.mark.parametrize("reason", ["unknown", "wrong", "disabled", "no password", "unreadable hash", "no name at all"])
async def test_every_reason_is_the_same_refusal(tools: Tools, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong, it is InvalidCredentials, and nobody gets a session."""
    alice = await add_user(tools)
    name, password = "alice", PASSWORD
    if reason == "unknown":
        name = "bob"
    elif reason == "wrong":
        password = PASSWORD.upper()
    elif reason == "disabled":
        await admin.disable_user(tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools))
    elif reason == "no name at all":
        name = "a name with spaces"
    else:
        name = "carol"
        stored = None if reason == "no password" else "$2b$12$unreadable"
        await insert_user(tools, replace(alice, id="c", username="Carol", canonical_name="carol", password_hash=stored))
    with caplog.at_level(logging.ERROR), pytest.raises(InvalidCredentials):
        await log_in(tools, username=name, password=password)
    assert await tools.store.read(lambda connection: connection.fetch(SESSIONS)) == []
    assert ("cannot be read" in caplog.text) == (reason == "unreadable hash")
    assert "unreadable$" not in caplog.text


async def test_a_password_that_none_can_be_is_refused_whosever_it_is(tools: Tools) -> None:
    """Over the length cap the answer is the same for a user and for nobody."""
    await add_user(tools)
    for name in ("alice", "nobody"):
        with pytest.raises(InvalidRequest):
            await log_in(tools, username=name, password="x" * 1025)


@pytest.mark.parametrize("change", ["disable", "delete", "set password"])
async def test_a_user_changed_while_the_hash_is_computed_gets_no_session(tools: Tools, change: str) -> None:
    """What happens to the account between the look-up and the session counts."""
    await add_user(tools)

    class Meanwhile(Hasher):
        async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
            verified = await super().verify(password, stored, place=place)
            if change == "disable":
                await admin.disable_user(
                    tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools)
                )
            elif change == "delete":
                await admin.delete_user(tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools))
            else:
                await admin.set_password(
                    tools.store,
                    self,
                    username="alice",
                    password="another long password",
                    rules=tools.password_rules,
                    now=1,
                    token_lifetime=900,
                    asker=an_asker(tools),
                )
            return verified

    hasher = Meanwhile(tools.hasher.parameters, threads=1, max_wait=5.0)
    with pytest.raises(InvalidCredentials):
        await log_in(replace(tools, hasher=hasher), username="alice", password=PASSWORD)
    hasher.close()
    assert await tools.store.read(lambda connection: connection.fetch(SESSIONS)) == []


async def test_an_old_hash_is_renewed_by_a_good_login_alone(tools: Tools) -> None:
    """Fifty good logins at once all succeed and leave a hash of today's parameters; a bad one changes nothing."""
    await add_user(tools)
    stronger = Hasher(Parameters(memory_kib=16, passes=2), threads=2, max_wait=10.0)
    today = replace(tools, hasher=stronger)

    async def stored() -> str | None:
        user = await tools.store.read(lambda connection: users.find_by_name(connection, canonical_name="alice"))
        assert user is not None
        return user.password_hash

    before = await stored()
    with pytest.raises(InvalidCredentials):
        await log_in(today, username="alice", password="not the password")
    assert await stored() == before
    await asyncio.gather(*(log_in(today, username="alice", password=PASSWORD) for _ in range(50)))
    after = await stored()
    assert after is not None
    assert EncodedHash.parse(after).parameters == stronger.parameters
    await log_in(today, username="alice", password=PASSWORD)
    assert await stored() == after
    stronger.close()


async def test_who_hangs_up_has_the_turn_until_the_database_has_answered(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many log in and leave, the database is asked for no more of them at once than have their turn."""
    asked, may_answer = 0, asyncio.Event()
    answering = tools.store.write_one

    async def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return await answering(*arguments, **options)

    monkeypatch.setattr(tools.store, "write_one", slow)
    hasher = Hasher(Parameters(memory_kib=8, passes=1), threads=1, max_wait=60.0)
    hasty = replace(tools, hasher=hasher)
    for number in range(100):
        leaving = asyncio.ensure_future(log_in(hasty, username=f"user{number}", password=PASSWORD))
        for _ in range(10):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
    assert 0 < asked <= 4
    may_answer.set()
    async with asyncio.timeout(10):
        while hasher.pool.queue.depth:
            await asyncio.sleep(0.01)
        await tools.throttle.errands_done()
        monkeypatch.undo()
        with pytest.raises(InvalidCredentials):
            await log_in(hasty, username="user0", password=PASSWORD)
    hasher.close()


async def test_a_full_pool_refuses_at_once(tools: Tools) -> None:
    """When the queue cannot be worked off in time, further logins are refused, and those admitted are answered."""
    await add_user(tools)
    narrow = Hasher(Parameters(memory_kib=4096, passes=8), threads=1, max_wait=0.05)
    attempts = [log_in(replace(tools, hasher=narrow), username="alice", password="not the password") for _ in range(60)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    narrow.close()
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {InvalidCredentials, Overloaded}
    assert all(outcome.retry_after >= 1 for outcome in outcomes if isinstance(outcome, Overloaded))


async def test_a_crowd_of_sessions_is_thinned_out(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 79: with the password nobody makes so many that to end them takes too long, and no end is possible any more.

    Those that were used longest ago end, are refused here at once, and are told of; nobody else's do.
    """
    monkeypatch.setattr(sessions, "MOST", 5)
    monkeypatch.setattr(sessions, "MADE_ROOM_FOR", 2)
    for name in ("bob", "alice"):
        await add_user(tools, name)
    bobs = claims_of(tools, (await log_in(tools, "bob")).token).sid
    alices = []
    for _ in range(6):
        clock.advance(1)
        alices.append(claims_of(tools, (await log_in(tools)).token).sid)
    left = [session.id async for session, _ in list_sessions(tools.store, username=None, now=clock.now)]
    assert sorted(left) == sorted([bobs, *alices[2:]])
    for ended in alices[:2]:
        with pytest.raises(InvalidToken):
            tools.denials.check(ended)
    told = [entry.session_id for entry in await trail(tools) if entry.detail == "crowded"]
    assert sorted(told) == sorted(alices[:2])


async def test_logins_at_once_end_no_more_than_one_by_one(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """All see that there are too many; one ends some, and the others find that there is room."""
    monkeypatch.setattr(sessions, "MOST", 20)
    monkeypatch.setattr(sessions, "MADE_ROOM_FOR", 5)
    await add_user(tools)
    for _ in range(20):
        await log_in(tools)
    await asyncio.gather(*(log_in(tools) for _ in range(4)))
    left = {session.id async for session, _ in list_sessions(tools.store, username=None, now=tools.clock())}
    assert 15 <= len(left) <= 20
