"""Following what has ended elsewhere: all of it, in order, from before the first request, through every fault."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.builders import FakeClock, Stopwatch, add_user, an_asker, log_in
from watchword.denials import Denials
from watchword.errors import InvalidToken, Unavailable
from watchword.flows import Tools, keyring, revocations
from watchword.flows.revocations import catch_up, follow
from watchword.flows.sessions import end_sessions_of
from watchword.refresh_tokens import RefreshToken
from watchword.store import inspection, sessions, store_at
from watchword.store import revocations as stored_revocations
from watchword.store.connection import Statement
from watchword.tokens import CLOCK_SKEW, MAX_LIFETIME

A_WHILE = Statement(
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000) SELECT count(*) FROM n"
)


async def _look_for_ends(tools: Tools) -> None:
    await catch_up(tools.denials, store=tools.store, clock=tools.clock)


async def _look_for_keys(tools: Tools) -> None:
    await keyring.catch_up(tools.keys, store=tools.store, clock=tools.clock)


async def _look_for_the_schema(tools: Tools) -> None:
    await inspection.check(tools.store)


async def ended_session(tools: Tools) -> str:
    """A session that was logged in and then ended by somebody else."""
    session_id = RefreshToken.parse((await log_in(tools)).refresh_token).session_id
    await end_sessions_of(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools))
    return session_id


def is_denied(denials: Denials, session_id: str) -> bool:
    """Whether a process refuses a session."""
    try:
        denials.check(session_id)
    except InvalidToken:
        return True
    return False


async def test_a_process_that_starts_knows_what_has_ended(tools: Tools) -> None:
    """Row 64: whatever the process before it knew is in the table."""
    await add_user(tools)
    session_id = await ended_session(tools)
    fresh = Denials(monotonic=time.monotonic)
    await catch_up(fresh, store=tools.store, clock=tools.clock)
    assert is_denied(fresh, session_id)
    assert not is_denied(fresh, "another")


@pytest.mark.parametrize("looks", [_look_for_ends, _look_for_keys, _look_for_the_schema])
async def test_what_must_be_known_in_time_does_not_wait_behind_what_people_read(
    tools: Tools, looks: Callable[[Tools], Awaitable[None]]
) -> None:
    """Nobody who asks for long lists makes the news or the keys old, or the service seem not to be ready."""
    # On either database more than there are connections for them.
    reading = [asyncio.create_task(tools.store.read(lambda it: it.fetch(A_WHILE))) for _ in range(12)]
    await asyncio.sleep(0)
    await looks(tools)
    assert not any(task.done() for task in reading)
    await asyncio.gather(*reading, return_exceptions=True)  # on a slow machine some are given up


async def test_news_are_learnt_page_by_page(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fit on a page, and not one is missed or asked for twice; by a process that starts too."""
    monkeypatch.setattr(revocations, "_PAGE", 3)
    await add_user(tools)
    for expected in (7, 14):
        ids = [RefreshToken.parse((await log_in(tools)).refresh_token).session_id for _ in range(7)]
        await end_sessions_of(
            tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools)
        )
        await catch_up(tools.denials, store=tools.store, clock=tools.clock)
        assert all(is_denied(tools.denials, session_id) for session_id in ids)
        fresh = Denials(monotonic=time.monotonic)
        await catch_up(fresh, store=tools.store, clock=tools.clock)
        assert fresh.count == tools.denials.count == expected
        assert fresh.seq == tools.denials.seq == expected


@pytest.mark.parametrize("is_purged", [True, False])
async def test_a_database_from_a_backup_is_noticed(tools: Tools, clock: FakeClock, is_purged: bool) -> None:
    """Its numbers begin again below those that were seen; who waited for higher ones would let the ended pass."""
    await add_user(tools)
    before = await ended_session(tools)
    running = Denials(monotonic=Stopwatch())
    running.learnt_all(seq=1000, asked_at=running.monotonic(), now=clock.now)  # what it was before
    await catch_up(running, store=tools.store, clock=clock)
    assert (is_denied(running, before), running.seq) == (True, 1)
    if is_purged:  # as housekeeping does, and there is nothing to be missed
        await tools.store.write(lambda connection: connection.fetch(Statement("DELETE FROM revocations")))
        await catch_up(running, store=tools.store, clock=clock)
    since = await ended_session(tools)
    await catch_up(running, store=tools.store, clock=clock)
    assert (is_denied(running, since), running.seq) == (True, 2)


async def test_a_database_from_a_backup_is_noticed_when_it_has_caught_up(tools: Tools, clock: FakeClock) -> None:
    """Its numbers are given again, so the newest one that was seen is another session's: who asked only for higher ones
    would let that one pass.
    """
    await add_user(tools)
    running = Denials(monotonic=Stopwatch())
    lost = await ended_session(tools)
    await catch_up(running, store=tools.store, clock=clock)
    since = [await ended_session(tools), await ended_session(tools)]
    for statement in ("DELETE FROM revocations WHERE seq = 1", "UPDATE revocations SET seq = seq - 1"):
        gone = Statement(statement)
        await tools.store.write(lambda connection, gone=gone: connection.fetch(gone))  # type: ignore[misc]
    await catch_up(running, store=tools.store, clock=clock)
    assert [is_denied(running, each) for each in (lost, *since)] == [True, True, True]
    assert running.seq == 2


async def test_the_newest_end_is_forgotten_as_any(tools: Tools, clock: FakeClock) -> None:
    """Though it is read three times a second, for as long as no other comes."""
    await add_user(tools)
    session_id = await ended_session(tools)
    stopwatch = Stopwatch()
    running = Denials(monotonic=stopwatch)
    for _ in range(4):
        await catch_up(running, store=tools.store, clock=clock)
        stopwatch.seconds += 400
        clock.advance(400)
    await catch_up(running, store=tools.store, clock=clock)
    assert not is_denied(running, session_id)


async def test_a_clock_put_back_brings_back_what_was_forgotten(tools: Tools, clock: FakeClock) -> None:
    """The tokens of an hour ago live again, and their sessions are refused again."""
    await add_user(tools)
    session_id = await ended_session(tools)
    clock.advance(3600)
    later = Denials(monotonic=time.monotonic)
    await catch_up(later, store=tools.store, clock=clock)
    assert not is_denied(later, session_id)
    clock.advance(-3600)
    await catch_up(later, store=tools.store, clock=clock)
    assert is_denied(later, session_id)


async def test_a_clock_put_back_while_the_database_was_away(tools: Tools, clock: FakeClock) -> None:
    """What was forgotten meanwhile is asked for again, although the clock is not behind the last news."""
    await add_user(tools)
    session_id = await ended_session(tools)
    stopwatch = Stopwatch()
    cut_off = Denials(monotonic=stopwatch)
    await catch_up(cut_off, store=tools.store, clock=clock)
    stopwatch.seconds += 3600  # in which the clock went on as well, and was then put back
    await catch_up(cut_off, store=tools.store, clock=clock)
    assert is_denied(cut_off, session_id)


async def test_following_survives_whatever_goes_wrong(
    tools: Tools, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unavailable database and an unforeseen fault are told, age the news, and are over when they are over."""
    monkeypatch.setattr(revocations, "INTERVAL", 0.001)
    await add_user(tools)
    table = "ALTER TABLE revocations RENAME TO {}"
    away, back = Statement(table.format("away")), Statement("ALTER TABLE away RENAME TO revocations")
    following = asyncio.create_task(follow(tools.denials, store=tools.store, clock=tools.clock))
    with caplog.at_level(logging.WARNING):
        await tools.store.write(lambda connection: connection.fetch(away))
        async with asyncio.timeout(10):
            while "no news of ended sessions" not in caplog.text:
                await asyncio.sleep(0.01)
        await tools.store.write(lambda connection: connection.fetch(back))
    session_id = await ended_session(tools)
    async with asyncio.timeout(10):
        while not is_denied(tools.denials, session_id):
            await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.wait([following])


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
async def test_times_of_another_kind_hide_no_other_end(
    sqlite_url: str, clock: FakeClock, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite stores text where a time belongs: that end counts for as long as any token may live.

    Each process tells of it once.
    """
    store, stopwatch = await store_at(sqlite_url).open(), Stopwatch()
    ends = [("odd", clock.now + 900), ("next", clock.now + 900)]
    await store.write(partial(stored_revocations.insert, ended=ends, now=clock.now))
    spoil = Statement(f"UPDATE revocations SET {column} = 'abc' WHERE session_id = 'odd'")
    await store.write(lambda connection: connection.fetch(spoil))
    starting, running = Denials(monotonic=stopwatch), Denials(monotonic=stopwatch)
    running.learnt_all(seq=0, asked_at=stopwatch(), now=clock.now)
    for denials in (starting, running):
        for seconds, is_known in ((0, True), (MAX_LIFETIME, True), (CLOCK_SKEW, False)):
            stopwatch.seconds += seconds
            clock.advance(seconds)
            await catch_up(denials, store=store, clock=clock)
            assert is_denied(denials, "odd") is is_known
            assert seconds or is_denied(denials, "next")
    assert caplog.text.count("revocation 1 has times that are none") == 2
    await store.close()


async def test_a_database_that_is_away_leaves_the_news_old(tools: Tools) -> None:
    """Nothing is learnt, and nothing is said to be."""
    drop = Statement("DROP TABLE revocations")
    await tools.store.write(lambda connection: connection.fetch(drop))
    before = tools.denials.staleness
    with pytest.raises(Unavailable):
        await catch_up(tools.denials, store=tools.store, clock=tools.clock)
    assert tools.denials.staleness > before


async def test_what_a_process_ends_it_knows_at_once(tools: Tools) -> None:
    """A revocation that was learnt directly comes again from the table, and changes nothing."""
    await add_user(tools)
    issued = await log_in(tools)
    session_id = RefreshToken.parse(issued.refresh_token).session_id
    user_id = (await tools.store.read(partial(sessions.find, session_id=session_id)))[1].id  # type: ignore[index]
    end = partial(sessions.end, session_id=session_id, user_id=user_id, now=tools.clock(), token_lifetime=900)
    ended = await tools.store.write(end)
    tools.denials.learn(ended, now=tools.clock())
    assert is_denied(tools.denials, session_id)
    assert tools.denials.seq < ended[0].seq
    await catch_up(tools.denials, store=tools.store, clock=tools.clock)
    assert is_denied(tools.denials, session_id)
    assert tools.denials.seq == ended[0].seq
