"""Tidying up: the tables stay bounded, what still counts stays, and a login never waits for more than a batch."""

import asyncio

import pytest

from tests.builders import FakeClock, add_user, an_asker, log_in, refresh
from tests.trail import a_recorder_like, trail
from watchword.audit import Event
from watchword.flows import Tools, housekeeping
from watchword.flows.audit import verify
from watchword.flows.housekeeping import KEPT, keep_tidy, tidy_up
from watchword.flows.rotation import rotate
from watchword.flows.sessions import end_sessions_of
from watchword.flows.trail import write_down
from watchword.key_states import OUTLIVES, PUBLISH_AHEAD
from watchword.recorder import Asker
from watchword.store import signing_keys
from watchword.store.connection import Statement

AUDIT_KEPT = 90 * 86_400
COUNTS = Statement("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM revocations)")


async def tidy(tools: Tools) -> None:
    """Tidy up as of now."""
    await tidy_up(tools.store, now=tools.clock(), seals=tools.recorder.seals, audit_kept=AUDIT_KEPT)


async def counts(tools: Tools) -> tuple[int, int]:
    """How many sessions and revocations there are."""
    ((sessions, revocations),) = await tools.store.read(lambda connection: connection.fetch(COUNTS))
    return sessions, revocations


async def test_what_was_over_a_day_ago_is_removed(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch by batch until nothing is left of it; what ended later, or goes on, stays."""
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    monkeypatch.setattr(housekeeping, "_PAUSE", 0)
    await add_user(tools)
    for _ in range(8):
        await log_in(tools)
    await end_sessions_of(tools.store, username="alice", now=clock.now, token_lifetime=900, asker=an_asker(tools))
    for _ in range(8):
        await log_in(tools)
    clock.advance(1)
    last = await log_in(tools)
    assert await counts(tools) == (9, 8)
    clock.advance(900 + KEPT - 2)
    await tidy(tools)
    assert await counts(tools) == (9, 8)
    clock.advance(1)
    await tidy(tools)
    assert await counts(tools) == (9, 0)
    clock.advance(tools.lifetimes.idle - 900 - KEPT)
    last = await refresh(tools, refresh_token=last.refresh_token)
    clock.advance(KEPT)
    await tidy(tools)
    assert await counts(tools) == (1, 0)
    assert (await refresh(tools, refresh_token=last.refresh_token)).token


async def test_dead_keys_are_removed(tools: Tools, clock: FakeClock) -> None:
    """A day after the last token that one may have signed is over; the one that signs stays."""
    first = tools.ring.signer.kid
    second = await rotate(tools.keys, store=tools.store, now=clock.now, asker=an_asker(tools))
    clock.advance(PUBLISH_AHEAD + OUTLIVES + KEPT - 1)
    for expected in ([first, second.kid], [second.kid]):
        await tidy(tools)
        assert [key.kid for key in await tools.store.read(signing_keys.all_keys)] == expected
        clock.advance(1)


async def test_audit_events_are_removed_when_they_are_old(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as long as they are kept, of each process that wrote; what is younger stays, and still verifies."""
    monkeypatch.setattr(housekeeping, "BATCH", 3)
    monkeypatch.setattr(housekeeping, "_PAUSE", 0)
    other = a_recorder_like(tools)
    for recorder in (tools.recorder, other):
        for day in range(10):
            clock.now = 1_800_000_000 + day * 86_400
            Asker(recorder, actor="service").tell(Event.LOGIN_SUCCESS, detail=str(day))
    await write_down(other, tools.store)
    assert len(await trail(tools)) == 20
    clock.now = 1_800_000_000 + 4 * 86_400 + AUDIT_KEPT
    await tidy(tools)
    assert sorted(entry.detail for entry in await trail(tools)) == sorted("456789" * 2)
    verdicts = [each async for each in verify(tools.store, seals=tools.recorder.seals, looked_at=lambda _: None)]
    assert [(each.state, each.events) for each in verdicts] == [("open", 6)] * 2


async def test_logins_go_on_meanwhile(tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many small batches under way, logins beside them succeed."""
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    monkeypatch.setattr(housekeeping, "_PAUSE", 0)
    await add_user(tools)
    for _ in range(20):
        await log_in(tools)
    clock.advance(tools.lifetimes.idle + KEPT)
    results = await asyncio.gather(tidy(tools), *(log_in(tools) for _ in range(10)))
    assert len(results) == 11
    assert await counts(tools) == (10, 0)


async def test_it_goes_on_after_a_fault(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is away for one round is back for the next."""
    monkeypatch.setattr(housekeeping, "INTERVAL", 0.001)
    await add_user(tools)
    await log_in(tools)
    clock.advance(tools.lifetimes.idle + KEPT)
    away, back = Statement("ALTER TABLE sessions RENAME TO away"), Statement("ALTER TABLE away RENAME TO sessions")
    await tools.store.write(lambda connection: connection.fetch(away))
    tidying = asyncio.create_task(
        keep_tidy(tools.store, clock=clock, seals=tools.recorder.seals, audit_kept=AUDIT_KEPT)
    )
    async with asyncio.timeout(10):
        while "what is over could not be removed" not in caplog.text:
            await asyncio.sleep(0.01)
    await tools.store.write(lambda connection: connection.fetch(back))
    async with asyncio.timeout(10):
        while await counts(tools) != (0, 0):
            await asyncio.sleep(0.01)
    tidying.cancel()
    await asyncio.wait([tidying])
