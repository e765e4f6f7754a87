"""Introspection without knowledge: who cannot know whether a token is good says so, and guesses neither way."""

import time
from dataclasses import replace

import pytest

from tests.builders import add_user, an_asker, log_in
from watchword.denials import MAX_STALENESS, Denials
from watchword.errors import Unavailable
from watchword.flows import Tools
from watchword.flows.admission import ClientCredentials
from watchword.flows.clients import add_client
from watchword.flows.introspect import introspect
from watchword.flows.sessions import end_sessions_of
from watchword.model import AccessToken, Revocation
from watchword.refresh_tokens import RefreshToken
from watchword.store.connection import Statement
from watchword.tokens import Profile


async def a_client(tools: Tools) -> ClientCredentials:
    """A client that may introspect."""
    secret = await add_client(
        tools.store,
        name="reports",
        scopes=["tokens:introspect"],
        now=tools.clock(),
        asker=an_asker(tools, actor="cli"),
    )
    return ClientCredentials("reports", secret)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What a process knows is no matter of the database's kind."""
    return sqlite_url


async def test_without_news_no_access_token_is_judged(tools: Tools) -> None:
    """Rows 77 and 94: good or ended is not known for want of news, so the answer is 503; the rest is still known."""
    await add_user(tools)
    issued = await log_in(tools)
    client = await a_client(tools)
    deaf = replace(tools, denials=Denials(monotonic=time.monotonic))
    with pytest.raises(Unavailable):
        await introspect(deaf, client=client, token=issued.token)
    assert await introspect(deaf, client=client, token="x") is None
    assert await introspect(deaf, client=client, token=issued.refresh_token) is not None
    tools.denials.monotonic = lambda: time.monotonic() + MAX_STALENESS + 1
    with pytest.raises(Unavailable):
        await introspect(tools, client=client, token=issued.token)


async def test_a_session_that_ended_elsewhere_has_no_good_refresh_token(tools: Tools) -> None:
    """A refresh token is looked up and needs no news."""
    await add_user(tools)
    issued = await log_in(tools)
    client = await a_client(tools)
    await end_sessions_of(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools))
    assert await introspect(tools, client=client, token=issued.refresh_token) is None


async def test_a_session_that_is_known_to_have_ended_has_no_good_refresh_token(tools: Tools) -> None:
    """Its row came back with a restored database, and a refresh is refused."""
    await add_user(tools)
    issued = await log_in(tools)
    client = await a_client(tools)
    session_id = RefreshToken.parse(issued.refresh_token).session_id
    now = tools.clock()
    ended = Revocation(seq=0, session_id=session_id, revoked_at=now, expires_at=now + 900)
    tools.denials.learn([ended], now=now)
    assert await introspect(tools, client=client, token=issued.refresh_token) is None


@pytest.mark.parametrize("table", ["clients", "sessions"])
async def test_a_database_that_is_away_says_nothing(tools: Tools, table: str) -> None:
    """Neither that a refresh token is good nor that it is not (row 77)."""
    await add_user(tools)
    issued = await log_in(tools)
    client = await a_client(tools)
    away = Statement(f"ALTER TABLE {table} RENAME TO away")
    await tools.store.write(lambda connection: connection.fetch(away))
    with pytest.raises(Unavailable):
        await introspect(tools, client=client, token=issued.refresh_token)


async def test_a_token_for_somebody_else_is_not_good_here(tools: Tools) -> None:
    """Signed by our key, but of another issuer or for another audience (row 94)."""
    await add_user(tools)
    client = await a_client(tools)
    for profile in (Profile("https://other.example", "watchword"), Profile(tools.profile.issuer, "other")):
        issued = await log_in(replace(tools, profile=profile))
        assert await introspect(tools, client=client, token=issued.token) is None
    issued = await log_in(tools)
    assert isinstance(await introspect(tools, client=client, token=issued.token), AccessToken)
