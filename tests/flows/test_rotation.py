"""The life of the stored keys: one rotation for many who try, by itself in time, and an end that is an end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.builders import FakeClock
from tests.trail import an_operator, told_by
from watchword.errors import RotationRefused, UnknownSigningKey
from watchword.flows import rotation
from watchword.flows.keyring import catch_up, load
from watchword.flows.rotation import keep_rotating, list_keys, retire, rotate, rotate_if_due
from watchword.key_states import HEAD_START, OUTLIVES, PUBLISH_AHEAD, ROTATE_AFTER, KeyState
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused
from watchword.model import SealedKey
from watchword.store import Store, signing_keys, store_at
from watchword.store.connection import Statement

SECRET = b"s" * 16 + b"0123456789abcdef"
PUBLISHED, SIGNING, VERIFYING, DEAD = KeyState


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes' ways into one fresh database, which has a first key."""
    stores = await store_at(database_url).open(), await store_at(database_url).open()
    await load(holder(), store=stores[0], clock=FakeClock())
    yield stores
    for store in stores:
        await store.close()


@pytest.fixture
def store(stores: tuple[Store, Store]) -> Store:
    """One of them."""
    return stores[0]


def holder(secret: bytes = SECRET, algorithm: str = "ES256") -> KeyHolder:
    """A process's keys."""
    return KeyHolder(algorithm=algorithm, secret=secret)


async def listed(store: Store, now: int) -> list[tuple[SealedKey, KeyState]]:
    """All keys and their states."""
    return await list_keys(store, algorithm="ES256", now=now)


async def test_of_many_who_rotate_at_once_one_does(stores: tuple[Store, Store], clock: FakeClock) -> None:
    """Two processes, eight tries: one key is made, which is one event, and the others are told of it."""
    operator = an_operator()
    tries = (rotate(holder(), store=stores[number % 2], now=clock.now, asker=operator) for number in range(8))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    (made,) = [outcome for outcome in outcomes if isinstance(outcome, SealedKey)]
    assert {str(outcome) for outcome in outcomes if outcome is not made} == {
        f"the key {made.kid} is published already and will sign; --now brings it forward"
    }
    (first, second) = await listed(stores[0], clock.now)
    assert (first[1], second) == (SIGNING, (made, PUBLISHED))
    assert (made.generation, made.signs_from) == (2, clock.now + PUBLISH_AHEAD)
    assert first[0].verifies_until == made.signs_from + OUTLIVES
    assert told_by(operator) == [("signing_key_rotated", made.kid)]


async def test_in_an_emergency_all_get_the_same_key(stores: tuple[Store, Store], clock: FakeClock) -> None:
    """Whoever asks for a key at once gets the one that is on its way, also one that was to wait longer."""
    waiting = await rotate(holder(), store=stores[0], now=clock.now, asker=an_operator())
    tries = (
        rotate(holder(), store=stores[number % 2], now=clock.now, asker=an_operator(), at_once=True)
        for number in range(8)
    )
    keys = await asyncio.gather(*tries)
    assert {(key.kid, key.signs_from) for key in keys} == {(waiting.kid, clock.now + HEAD_START)}


async def test_the_next_key_is_made_by_itself_and_once(stores: tuple[Store, Store], clock: FakeClock) -> None:
    """Every process looks whether it is due; it signs when its predecessor is thirty days old."""
    clock.advance(ROTATE_AFTER - PUBLISH_AHEAD - 1)
    service = an_operator()
    await rotate_if_due(holder(), store=stores[0], now=clock.now, asker=service)
    assert len(await listed(stores[0], clock.now)) == 1
    clock.advance(1)
    await asyncio.gather(
        *(rotate_if_due(holder(), store=stores[n % 2], now=clock.now, asker=service) for n in range(8))
    )
    assert [state for _, state in await listed(stores[0], clock.now)] == [SIGNING, PUBLISHED]
    clock.advance(PUBLISH_AHEAD)
    (_, (new, _)) = states = await listed(stores[0], clock.now)
    assert [state for _, state in states] == [VERIFYING, SIGNING]
    assert told_by(service) == [("signing_key_rotated", new.kid)]


async def test_it_goes_on_after_a_fault(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is away for one look is back for the next."""
    monkeypatch.setattr(rotation, "INTERVAL", 0.001)
    clock.advance(ROTATE_AFTER)
    away, back = Statement("ALTER TABLE signing_keys RENAME TO a"), Statement("ALTER TABLE a RENAME TO signing_keys")
    await store.write(lambda connection: connection.fetch(away))
    rotating = asyncio.create_task(keep_rotating(holder(), store=store, clock=clock, asker=an_operator()))
    async with asyncio.timeout(10):
        while "the next signing key could not be made" not in caplog.text:
            await asyncio.sleep(0.01)
    await store.write(lambda connection: connection.fetch(back))
    async with asyncio.timeout(10):
        while len(await listed(store, clock.now)) != 2:
            await asyncio.sleep(0.01)
    rotating.cancel()
    await asyncio.wait([rotating])


async def test_a_ring_without_a_key_gets_one_at_once(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has removed the keys from the table: that is not noticed by the minute, as nobody can log in."""
    monkeypatch.setattr(rotation, "NOTICED", 0.001)
    keys = holder()
    await load(keys, store=store, clock=clock)
    rotating = asyncio.create_task(keep_rotating(keys, store=store, clock=clock, asker=an_operator()))
    await asyncio.sleep(0.05)
    assert len(await listed(store, clock.now)) == 1
    await store.write(lambda connection: connection.fetch(Statement("DELETE FROM signing_keys")))
    await catch_up(keys, store=store, clock=clock)
    assert not keys.ring.can_sign
    async with asyncio.timeout(10):
        while not keys.ring.can_sign:
            await asyncio.sleep(0.01)
            await catch_up(keys, store=store, clock=clock)
    rotating.cancel()
    await asyncio.wait([rotating])


async def test_without_the_secret_of_the_others_nothing_is_made(store: Store, clock: FakeClock) -> None:
    """A key that the services could not open would be their last: refused by command and left alone by itself."""
    clock.advance(ROTATE_AFTER)
    for foreign in (rotate, rotate_if_due):
        with pytest.raises(KeyRefused):
            await foreign(holder(b"another" * 5), store=store, now=clock.now, asker=an_operator())
    assert len(await listed(store, clock.now)) == 1


async def test_under_hs256_nothing_rotates(store: Store, clock: FakeClock) -> None:
    """The refusal says what to do instead."""
    await rotate_if_due(holder(algorithm="HS256"), store=store, now=clock.now + 2 * ROTATE_AFTER, asker=an_operator())
    with pytest.raises(RotationRefused, match="change WATCHWORD_SECRET_KEY instead"):
        await rotate(holder(algorithm="HS256"), store=store, now=clock.now, asker=an_operator())
    assert len(await listed(store, clock.now)) == 1


async def test_a_key_is_retired(store: Store, clock: FakeClock) -> None:
    """Row 93: the one that verifies is gone, the one that signs stays, and nobody's key is told to be nobody's."""
    operator = an_operator()
    ((first, _),) = await listed(store, clock.now)
    with pytest.raises(RotationRefused):
        await retire(store, kid=first.kid, algorithm="ES256", now=clock.now, asker=operator)
    second = await rotate(holder(), store=store, now=clock.now, asker=operator, at_once=True)
    clock.advance(HEAD_START)
    await retire(store, kid=first.kid, algorithm="ES256", now=clock.now, asker=operator)
    assert await listed(store, clock.now) == [(second, SIGNING)]
    with pytest.raises(UnknownSigningKey):
        await retire(store, kid=first.kid, algorithm="ES256", now=clock.now, asker=operator)
    assert told_by(operator) == [("signing_key_rotated", second.kid), ("signing_key_retired", first.kid)]


async def test_two_keys_that_are_retired_at_once_are_both_gone(stores: tuple[Store, Store], clock: FakeClock) -> None:
    """The one that waits and the one that verified, by two processes; the one that signs goes on without an end."""
    await rotate(holder(), store=stores[0], now=clock.now, asker=an_operator(), at_once=True)
    clock.advance(HEAD_START)
    await rotate(holder(), store=stores[0], now=clock.now, asker=an_operator())
    (old, _), (signing, _), (waiting, _) = await listed(stores[0], clock.now)
    await asyncio.gather(
        retire(stores[0], kid=old.kid, algorithm="ES256", now=clock.now, asker=an_operator()),
        retire(stores[1], kid=waiting.kid, algorithm="ES256", now=clock.now, asker=an_operator()),
    )
    ((left, state),) = await listed(stores[0], clock.now)
    assert (left.kid, left.verifies_until, state) == (signing.kid, None, SIGNING)


async def test_dead_keys_are_purged_and_no_others(store: Store, clock: FakeClock) -> None:
    """One that signs has no end and stays whatever the time is."""
    second = await rotate(holder(), store=store, now=clock.now, asker=an_operator())
    dead_at = clock.now + PUBLISH_AHEAD + OUTLIVES
    for before, removed in ((dead_at - 1, 0), (dead_at, 1), (10 * dead_at, 0)):
        purged = await store.write_one(lambda c, before=before: signing_keys.purge(c, before=before, limit=10))  # type: ignore[misc]
        assert purged == removed
    assert [key for key, _ in await listed(store, dead_at)] == [second]
