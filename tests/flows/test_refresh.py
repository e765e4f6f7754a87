"""Refreshing: one line per session, whose lost answers are given again and whose theft ends it."""

import asyncio
import logging
from dataclasses import replace
from functools import partial

import pytest

from tests.builders import PASSWORD, FakeClock, add_user, an_asker, log_in, refresh
from tests.trail import trail
from watchword import tokens
from watchword.audit import Event
from watchword.errors import InvalidCredentials, InvalidRefreshToken, InvalidToken, Unavailable, UnknownSession
from watchword.flows import Tools, admin
from watchword.flows.admission import ClientCredentials
from watchword.flows.clients import add_client
from watchword.flows.logout import Scope, log_out
from watchword.flows.revoke import revoke
from watchword.flows.sessions import end_own
from watchword.model import AccessToken, Revocation, Session
from watchword.refresh_tokens import RefreshKeys, RefreshToken
from watchword.store import revocations, sessions
from watchword.store.connection import Statement


def claims_of(tools: Tools, token: str) -> AccessToken:
    """Verify a token as the guard would, its session included."""
    claims = tokens.verify(token, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
    tools.denials.check(claims.sid)
    return claims


async def session_of(tools: Tools, refresh_token: str) -> Session | None:
    """What is stored of a token's session."""
    session_id = RefreshToken.parse(refresh_token).session_id
    found = await tools.store.read(partial(sessions.find, session_id=session_id))
    return None if found is None else found[0]


async def announced(tools: Tools) -> list[Revocation]:
    """All revocations."""
    return await tools.store.read(partial(revocations.after, seq=0, limit=100))


async def test_a_refresh_gives_new_tokens_of_the_same_session(tools: Tools, clock: FakeClock) -> None:
    """User, session and time of the login stay; expiry, id and refresh token are new; the idle time begins anew."""
    await add_user(tools, "Alice", scope="reports:read")
    first = await log_in(tools)
    clock.advance(1000)
    second = await refresh(tools, refresh_token=first.refresh_token)
    clock.now -= 1000
    before = claims_of(tools, first.token)
    clock.advance(1000)
    after = claims_of(tools, second.token)
    assert replace(after, jti=before.jti, iat=before.iat, exp=before.exp) == before
    assert (after.iat, after.exp, second.expires_in) == (clock.now, clock.now + 900, 900)
    assert after.jti != before.jti
    assert second.refresh_token != first.refresh_token
    assert second.refresh_expires_in == tools.lifetimes.idle
    session = await session_of(tools, second.refresh_token)
    assert session is not None
    assert (session.counter, session.refreshed_at, session.token_expires_at) == (1, clock.now, after.exp)


async def test_without_a_key_that_signs_one_is_told_to_come_again(tools: Tools, clock: FakeClock) -> None:
    """A login and a refresh are 503 until there is a key, and the refresh token is still good then: it was not counted
    up, for who comes again after the grace would be taken for a thief.
    """
    await add_user(tools)
    first = await log_in(tools)
    key = tools.ring.signer
    tools.ring.replace([key.verification])
    with pytest.raises(Unavailable, match="no key to sign with"):
        await log_in(tools)
    with pytest.raises(Unavailable, match="no key to sign with"):
        await refresh(tools, refresh_token=first.refresh_token)
    clock.advance(tools.lifetimes.grace)
    tools.ring.replace([key])
    await refresh(tools, refresh_token=first.refresh_token)


async def test_a_lost_answer_is_given_again(tools: Tools, clock: FakeClock) -> None:
    """Row 70: within the grace the predecessor gets the same successor, as often as it asks, and an access token that
    the end of the session will be remembered for.
    """
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    second = (await refresh(tools, refresh_token=first)).refresh_token
    for _ in range(3):
        clock.advance(3)
        again = await refresh(tools, refresh_token=first)
        assert again.refresh_token == second
        session = await session_of(tools, first)
        assert session is not None
        assert session.counter == 1
        assert session.token_expires_at == claims_of(tools, again.token).exp == clock.now + 900
    assert (await refresh(tools, refresh_token=second)).refresh_token not in {first, second}


async def test_after_the_grace_the_predecessor_is_a_thief(tools: Tools, clock: FakeClock) -> None:
    """Row 70: as documented, the session ends."""
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    second = (await refresh(tools, refresh_token=first)).refresh_token
    clock.advance(tools.lifetimes.grace)
    for token in (first, second, first):
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=token)
    assert await session_of(tools, first) is None


async def test_a_reuse_ends_the_session_and_no_other(
    tools: Tools, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows 67 and 68: R1 after R4 is refused, R4 and its access token are dead, one event is written; the user's other
    session and other users go on.
    """
    alice = await add_user(tools)
    await add_user(tools, "bob")
    other, bobs = await log_in(tools), await log_in(tools, "bob")
    line = [await log_in(tools)]
    for _ in range(3):
        line.append(await refresh(tools, refresh_token=line[-1].refresh_token))
    sid = claims_of(tools, line[-1].token).sid
    with caplog.at_level(logging.WARNING):
        outcomes = await asyncio.gather(
            *(refresh(tools, refresh_token=line[0].refresh_token) for _ in range(10)), return_exceptions=True
        )
    assert {type(outcome) for outcome in outcomes} == {InvalidRefreshToken}
    for issued in line:
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=issued.refresh_token)
        with pytest.raises(InvalidToken):
            claims_of(tools, issued.token)
    (told,) = [entry for entry in await trail(tools) if entry.event == Event.TOKEN_REUSE]
    assert (told.user_id, told.session_id, told.at) == (alice.id, sid, clock.now * 1000)
    assert [record.getMessage() for record in caplog.records] == [Event.TOKEN_REUSE]
    assert "wwr_" not in caplog.text
    assert [each.session_id for each in await announced(tools)] == [sid]
    for issued in (other, bobs):
        assert (await refresh(tools, refresh_token=issued.refresh_token)).token
        claims_of(tools, issued.token)


async def test_a_token_that_nobody_minted_touches_nothing(tools: Tools) -> None:
    """Row 76: with the right session and a wrong MAC, also for a count long past, it is refused and nothing ends."""
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    newest = first
    for _ in range(3):
        newest = (await refresh(tools, refresh_token=newest)).refresh_token
    session = await session_of(tools, newest)
    assert session is not None
    stranger = RefreshKeys(b"another secret of thirty-two bytes and more")
    forged = [stranger.mint(replace(session, counter=counter)) for counter in range(5)]
    for text in (*forged, first[:-1], first + "A", first.swapcase(), f" {first}", f"{first}=", "", "x"):
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=text)
    assert await session_of(tools, newest) == session
    assert await announced(tools) == []
    assert (await refresh(tools, refresh_token=newest)).token


async def test_a_token_of_a_later_count_ends_the_session(tools: Tools, clock: FakeClock) -> None:
    """After a database was restored from a backup a token that was spent is good again, and the owner's newest is none:
    nobody goes on, and nobody is held for a thief."""
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    session = await session_of(tools, first)
    assert session is not None
    ahead = tools.refresh_keys.mint(replace(session, counter=7))
    clock.advance(1000)  # whoever has that has got access tokens with it, of which the row knows nothing
    for token in (ahead, first):
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=token)
    assert await session_of(tools, first) is None
    assert [each.expires_at for each in await announced(tools)] == [clock.now + tools.lifetimes.access_token]
    (*_, last) = await trail(tools)
    assert (last.event, last.detail, last.session_id) == (Event.SESSION_LOGOUT, "restored", session.id)


@pytest.mark.parametrize("how", ["log out", "log out everywhere", "end it by its id", "revoke"])
@pytest.mark.parametrize("lost", ["the session", "its refresh"])
async def test_a_session_ends_that_the_database_does_not_know(
    tools: Tools, clock: FakeClock, how: str, lost: str
) -> None:
    """It began, or was refreshed, after the backup that the database was restored from. Whichever of its tokens is
    presented, the end is remembered for as long as the youngest lives.
    """
    await add_user(tools)
    first = await log_in(tools)
    before = await session_of(tools, first.refresh_token)
    assert before is not None
    clock.advance(400)
    younger = claims_of(tools, (await refresh(tools, refresh_token=first.refresh_token)).token)
    if lost == "the session":
        gone = Statement("DELETE FROM sessions")
    else:
        gone = Statement(
            f"UPDATE sessions SET counter = 0, refreshed_at = {before.refreshed_at},"
            f" token_expires_at = {before.refreshed_at + 10}"  # ACCESS_TOKEN_LIFETIME was shorter then
        )
    await tools.store.write(lambda connection: connection.fetch(gone))
    older = claims_of(tools, first.token)
    if how == "end it by its id":
        await end_own(tools, token=older, session_id=older.sid, asker=an_asker(tools))
    elif how == "revoke":
        secret = await add_client(
            tools.store, name="reports", scopes=["tokens:revoke"], now=clock.now, asker=an_asker(tools, actor="cli")
        )
        await revoke(tools, client=ClientCredentials("reports", secret), token=first.token, asker=an_asker(tools))
    else:
        scope = Scope.LOCAL if how == "log out" else Scope.GLOBAL
        await log_out(tools, token=older, scope=scope, asker=an_asker(tools))
    (ended,) = await announced(tools)
    assert (ended.session_id, ended.expires_at) == (younger.sid, younger.exp)
    with pytest.raises(InvalidToken):
        claims_of(tools, first.token)


async def test_nobody_ends_another_session_that_the_database_does_not_know(tools: Tools) -> None:
    """A token proves its own session; of another id nobody knows whose it was."""
    await add_user(tools)
    bearer, other = [claims_of(tools, (await log_in(tools)).token) for _ in range(2)]
    gone = Statement("DELETE FROM sessions")
    await tools.store.write(lambda connection: connection.fetch(gone))
    with pytest.raises(UnknownSession):
        await end_own(tools, token=bearer, session_id=other.sid, asker=an_asker(tools))
    assert await announced(tools) == []


async def test_a_session_that_is_known_to_have_ended_does_not_come_back(tools: Tools) -> None:
    """Its row does with a restored database; the process that has ended it, or heard of it, ends it once more."""
    await add_user(tools)
    token = (await log_in(tools)).refresh_token
    session = await session_of(tools, token)
    assert session is not None
    ended = Revocation(seq=0, session_id=session.id, revoked_at=tools.clock(), expires_at=tools.clock() + 900)
    tools.denials.learn([ended], now=tools.clock())
    with pytest.raises(InvalidRefreshToken):
        await refresh(tools, refresh_token=token)
    assert await session_of(tools, token) is None


async def test_an_idle_session_ends(tools: Tools, clock: FakeClock) -> None:
    """Row 73: in the second before the idle time has passed it is refreshed, in that second it is not."""
    await add_user(tools)
    token = (await log_in(tools)).refresh_token
    clock.advance(tools.lifetimes.idle - 1)
    token = (await refresh(tools, refresh_token=token)).refresh_token
    clock.advance(tools.lifetimes.idle)
    with pytest.raises(InvalidRefreshToken):
        await refresh(tools, refresh_token=token)


async def test_no_number_of_refreshes_outlives_the_session(tools: Tools, clock: FakeClock) -> None:
    """Row 73: refreshed again and again it ends when the login said; the last tokens end with it."""
    await add_user(tools)
    began = clock.now
    issued = await log_in(tools)
    while clock.now + 500_000 < began + tools.lifetimes.session:
        clock.advance(500_000)
        issued = await refresh(tools, refresh_token=issued.refresh_token)
        assert clock.now + issued.refresh_expires_in <= began + tools.lifetimes.session
    clock.now = began + tools.lifetimes.session - 60
    issued = await refresh(tools, refresh_token=issued.refresh_token)
    assert (issued.expires_in, issued.refresh_expires_in) == (60, 60)
    clock.advance(60)
    with pytest.raises(InvalidRefreshToken):
        await refresh(tools, refresh_token=issued.refresh_token)


@pytest.mark.parametrize("change", ["disable", "delete", "set password", "log out"])
async def test_a_user_who_changed_refreshes_no_more(tools: Tools, change: str) -> None:
    """Row 74: at once; enabling the user again brings no session back."""
    await add_user(tools)
    issued = await log_in(tools)
    if change == "disable":
        await admin.disable_user(
            tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools)
        )
    elif change == "delete":
        await admin.delete_user(
            tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools)
        )
    elif change == "set password":
        await admin.set_password(
            tools.store,
            tools.hasher,
            username="alice",
            password="another long password",
            rules=tools.password_rules,
            now=tools.clock(),
            token_lifetime=900,
            asker=an_asker(tools),
        )
    else:
        await log_out(tools, token=claims_of(tools, issued.token), scope=Scope.LOCAL, asker=an_asker(tools))
    with pytest.raises(InvalidRefreshToken):
        await refresh(tools, refresh_token=issued.refresh_token)
    if change == "disable":
        await admin.enable_user(tools.store, username="alice", asker=an_asker(tools))
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=issued.refresh_token)
    (end,) = await announced(tools)
    assert end.expires_at == tools.clock() + 900
    with pytest.raises(InvalidCredentials):
        await log_in(tools, "nobody", PASSWORD)


async def test_a_user_who_is_disabled_behind_our_back_refreshes_no_more(tools: Tools) -> None:
    """The user's state is looked at, not only the session's: also where nobody ended the session."""
    await add_user(tools)
    issued = await log_in(tools)
    for statement in ("UPDATE users SET disabled_at = 1", "UPDATE users SET disabled_at = NULL, password_version = 9"):
        change = Statement(statement)
        await tools.store.write_one(lambda connection, change=change: connection.fetch(change))  # type: ignore[misc]
        with pytest.raises(InvalidRefreshToken):
            await refresh(tools, refresh_token=issued.refresh_token)


async def test_strictly_a_token_is_good_once(tools: Tools) -> None:
    """With REFRESH_GRACE=0 the predecessor is reused at once."""
    strict = replace(tools, lifetimes=replace(tools.lifetimes, grace=0))
    await add_user(tools)
    first = (await log_in(strict)).refresh_token
    await refresh(strict, refresh_token=first)
    with pytest.raises(InvalidRefreshToken):
        await refresh(strict, refresh_token=first)
    assert await session_of(tools, first) is None


async def test_a_secret_that_was_changed_loses_nobody(tools: Tools) -> None:
    """A token of a SECRET_KEY that is a fallback now is exchanged for one of the new secret, also a second time."""
    secret, former = b"the new secret of thirty-two bytes and more", b"a root secret for tests, 0123456789 and more"
    changed = replace(tools, refresh_keys=RefreshKeys(secret, [former]))
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    second = (await refresh(changed, refresh_token=first)).refresh_token
    assert (await refresh(changed, refresh_token=first)).refresh_token == second
    alone = replace(tools, refresh_keys=RefreshKeys(secret))
    assert (await refresh(alone, refresh_token=second)).refresh_token != second


async def test_fifty_at_once_are_one(tools: Tools) -> None:
    """All get the one successor, also while others of the same session come with it already."""
    await add_user(tools)
    first = (await log_in(tools)).refresh_token
    issued = await asyncio.gather(*(refresh(tools, refresh_token=first) for _ in range(50)))
    assert len({each.refresh_token for each in issued}) == 1
    assert len({each.token for each in issued}) == 50
    session = await session_of(tools, first)
    assert session is not None
    assert session.counter == 1


async def test_what_is_stored_is_no_token(tools: Tools) -> None:
    """Row 75: no column of any row holds a token or its MAC."""
    await add_user(tools)
    issued = [await log_in(tools)]
    issued.append(await refresh(tools, refresh_token=issued[0].refresh_token))
    everything = Statement("SELECT * FROM sessions")
    stored = str(await tools.store.read(lambda connection: connection.fetch(everything)))
    for each in issued:
        assert each.refresh_token not in stored
        assert each.refresh_token.rpartition(".")[2] not in stored
        assert each.token not in stored
