"""The ring of a process: made once, opened by the root secret or its predecessors, and never behind the database."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.builders import FakeClock
from tests.trail import an_operator
from tests.waiting import eventually
from watchword.flows import keyring
from watchword.flows.keyring import catch_up, follow, load
from watchword.flows.rotation import list_keys, retire, rotate
from watchword.key_states import HEAD_START, OUTLIVES, PUBLISH_AHEAD, KeyState
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused, KeyRing
from watchword.model import SealedKey
from watchword.store import Store, signing_keys, store_at
from watchword.store.connection import Statement

OLD, NEW = b"o" * 16 + b"0123456789abcdef", b"n" * 16 + b"0123456789abcdef"
PUBLISHED, SIGNING, VERIFYING, DEAD = KeyState


def holder(*, algorithm: str = "ES256", secret: bytes = OLD, fallbacks: tuple[bytes, ...] = ()) -> KeyHolder:
    """A process that has not looked into the database yet."""
    return KeyHolder(algorithm=algorithm, secret=secret, fallbacks=fallbacks)


async def loaded(store: Store, clock: FakeClock, keys: KeyHolder | None = None) -> KeyHolder:
    """A process that has started."""
    keys = keys or holder()
    await load(keys, store=store, clock=clock)
    return keys


async def ring_of(
    store: Store, *, algorithm: str = "ES256", secret: bytes = OLD, fallbacks: tuple[bytes, ...] = ()
) -> KeyRing:
    """The ring of a process that has started."""
    return (await loaded(store, FakeClock(), holder(algorithm=algorithm, secret=secret, fallbacks=fallbacks))).ring


async def states_of(store: Store, clock: FakeClock, algorithm: str = "ES256") -> list[KeyState]:
    """Of every stored key."""
    return [state for _, state in await list_keys(store, algorithm=algorithm, now=clock.now)]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database."""
    store = await store_at(database_url).open()
    yield store
    await store.close()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_the_first_start_makes_a_key_and_the_second_finds_it(store: Store, algorithm: str) -> None:
    """A key is made when there is none, and signs from then on."""
    first = await ring_of(store, algorithm=algorithm)
    assert first.signer.algorithm == algorithm
    assert (await ring_of(store, algorithm=algorithm)).signer.kid == first.signer.kid


async def test_services_that_start_at_once_share_one_key(store: Store) -> None:
    """Of eight first starts at the same time, all sign with the same key."""
    rings = await asyncio.gather(*(ring_of(store) for _ in range(8)))
    assert len({ring.signer.kid for ring in rings}) == 1
    assert len(await store.read(signing_keys.all_keys)) == 1


async def test_a_change_of_algorithm_keeps_the_old_key_for_verifying(store: Store) -> None:
    """Tokens of the former algorithm go on verifying, while new ones are signed by the chosen one's key."""
    before = await ring_of(store, algorithm="RS256")
    after = await ring_of(store, algorithm="EdDSA")
    again = await ring_of(store, algorithm="RS256")
    assert after.signer.algorithm == "EdDSA"
    assert after.find(before.signer.kid) is not None
    assert again.signer.kid == before.signer.kid


async def test_a_former_algorithms_keys_end(store: Store, clock: FakeClock) -> None:
    """Once another algorithm signs, they verify for as long as one of their tokens may live, and no longer."""
    before = await ring_of(store)
    other = await loaded(store, clock, holder(algorithm="EdDSA"))
    assert await states_of(store, clock, "EdDSA") == [VERIFYING, SIGNING]
    clock.advance(OUTLIVES)
    other.turn(now=clock.now)
    assert other.ring.find(before.signer.kid) is None
    assert await states_of(store, clock, "EdDSA") == [DEAD, SIGNING]


async def test_a_start_with_a_new_root_secret_seals_anew(store: Store, clock: FakeClock) -> None:
    """With its predecessor at hand a new root secret changes no key, and from then on opens all of them alone."""
    before = await ring_of(store)
    with pytest.raises(KeyRefused):
        await ring_of(store, secret=NEW)
    (old,) = await store.read(signing_keys.all_keys)
    assert (await ring_of(store, secret=NEW, fallbacks=(OLD,))).signer.kid == before.signer.kid
    (new,) = await store.read(signing_keys.all_keys)
    assert old.sealed != new.sealed
    assert (await ring_of(store, secret=NEW)).signer.kid == before.signer.kid
    assert await store.read(signing_keys.all_keys) == [new]
    with pytest.raises(KeyRefused):
        await ring_of(store)


async def test_starts_with_each_others_secret_do_no_harm(store: Store, clock: FakeClock) -> None:
    """In the midst of a change, whoever starts last seals; all have the same keys at any time."""
    before = await ring_of(store)
    both = [{"secret": NEW, "fallbacks": (OLD,)}, {"secret": OLD, "fallbacks": (NEW,)}]
    rings = await asyncio.gather(*(ring_of(store, **both[number % 2]) for number in range(8)))  # type: ignore[arg-type]
    assert {ring.signer.kid for ring in rings} == {before.signer.kid}
    assert (await ring_of(store, secret=NEW, fallbacks=(OLD,))).signer.kid == before.signer.kid
    assert (await ring_of(store, secret=NEW)).signer.kid == before.signer.kid


async def test_a_running_process_keeps_keys_that_were_sealed_anew(store: Store, clock: FakeClock) -> None:
    """One that has only the former secret goes on with what it has opened; what it cannot open it tells."""
    running = await loaded(store, clock)
    await ring_of(store, secret=NEW, fallbacks=(OLD,))
    await catch_up(running, store=store, clock=clock)
    kid = running.ring.signer.kid
    await rotate(holder(secret=NEW, fallbacks=(OLD,)), store=store, now=clock.now, asker=an_operator(), at_once=True)
    clock.advance(HEAD_START)
    with pytest.raises(KeyRefused, match="sealed under another secret"):
        await catch_up(running, store=store, clock=clock)
    assert (running.ring.signer.kid, len(running.ring)) == (kid, 1)


async def test_a_dead_key_needs_no_secret(store: Store, clock: FakeClock) -> None:
    """What nobody needs any more stops no start."""
    await ring_of(store, algorithm="EdDSA")
    await ring_of(store)
    clock.advance(OUTLIVES)
    spoil = Statement("UPDATE signing_keys SET sealed = :sealed WHERE algorithm = :algorithm")
    await store.write(lambda connection: connection.fetch(spoil, sealed=b"", algorithm="EdDSA"))
    assert (await loaded(store, clock)).ring.can_sign
    spoilt = await store.read(signing_keys.all_keys)
    assert [key.sealed == b"" for key in spoilt] == [False, True]


async def test_every_process_follows(store: Store, clock: FakeClock) -> None:
    """Row 93: a rotation is known before it counts; a retired key is gone with the next look."""
    first, second = await loaded(store, clock), await loaded(store, clock)
    old = first.ring.signer.kid
    new = (await rotate(first, store=store, now=clock.now, asker=an_operator())).kid
    await catch_up(second, store=store, clock=clock)
    assert (second.ring.signer.kid, second.ring.find(new) is not None) == (old, True)
    assert {jwk["kid"] for jwk in second.ring.jwks()["keys"]} == {old, new}
    clock.advance(PUBLISH_AHEAD)
    second.turn(now=clock.now)  # without a look, and so without the database
    assert (second.ring.signer.kid, second.ring.find(old) is not None) == (new, True)
    await retire(store, kid=old, algorithm="ES256", now=clock.now, asker=an_operator())
    await catch_up(second, store=store, clock=clock)
    assert (second.ring.signer.kid, second.ring.find(old)) == (new, None)


async def test_a_look_that_finds_nothing_new_changes_nothing(store: Store, clock: FakeClock) -> None:
    """Those who remember verified tokens by the ring's version need not begin anew three times a second."""
    for algorithm in ("ES256", "HS256"):
        keys = await loaded(store, clock, holder(algorithm=algorithm, fallbacks=(NEW,)))
        version = keys.ring.version
        clock.advance(1)
        await catch_up(keys, store=store, clock=clock)
        assert keys.ring.version is version
        assert keys.ring.signer is keys.ring.signer


async def test_following_survives_whatever_goes_wrong(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that does not open and a table that is away are told once each, and take no key; time goes on meanwhile."""
    monkeypatch.setattr(keyring, "INTERVAL", 0.001)
    keys = await loaded(store, clock)
    old = keys.ring.signer.kid
    new = (await rotate(keys, store=store, now=clock.now, asker=an_operator())).kid
    foreign = SealedKey("foreign", "ES256", 3, b"sealed by somebody", clock.now, clock.now + 10**6)
    following = asyncio.create_task(follow(keys, store=store, clock=clock))
    rename = "ALTER TABLE {} RENAME TO {}"
    away, back = Statement(rename.format("signing_keys", "away")), Statement(rename.format("away", "signing_keys"))
    with caplog.at_level(logging.WARNING):
        await store.write(lambda connection: signing_keys.insert(connection, foreign))
        await eventually(lambda: "foreign was sealed under another secret" in caplog.text)
        await eventually(lambda: keys.ring.find(new) is not None)
        await store.write(lambda connection: connection.fetch(away))
        await eventually(lambda: len(caplog.records) == 2)
        clock.advance(PUBLISH_AHEAD)
        await eventually(lambda: keys.ring.signer.kid == new)
        assert keys.ring.find(old) is not None
    await store.write(lambda connection: connection.fetch(back))
    await retire(store, kid=old, algorithm="ES256", now=clock.now, asker=an_operator())
    await eventually(lambda: keys.ring.find(old) is None)
    following.cancel()
    await asyncio.wait([following])
    assert len([record for record in caplog.records if "sealed under" in record.message]) in {1, 2}


@pytest.mark.parametrize("column", ["signs_from", "verifies_until"])
async def test_a_cell_of_another_kind_ends_nothing(
    sqlite_url: str, clock: FakeClock, column: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite stores text where a time belongs. It is told, keys and time go on, and a later retirement bites."""
    monkeypatch.setattr(keyring, "INTERVAL", 0.001)
    store = await store_at(sqlite_url).open()
    keys = await loaded(store, clock)
    old = keys.ring.signer.kid
    new = (await rotate(keys, store=store, now=clock.now, asker=an_operator())).kid
    await catch_up(keys, store=store, clock=clock)
    before = await store.read(signing_keys.all_keys)
    spoil = Statement(f"UPDATE signing_keys SET {column} = 'abc'")
    restore = Statement(f"UPDATE signing_keys SET {column} = :value WHERE kid = :kid")
    following = asyncio.create_task(follow(keys, store=store, clock=clock))
    with caplog.at_level(logging.WARNING):
        await store.write(lambda connection: connection.fetch(spoil))
        await asyncio.sleep(0.1)
        clock.advance(PUBLISH_AHEAD)
        await eventually(lambda: keys.ring.signer.kid == new)
        assert keys.ring.find(old) is not None
    for key in before:
        values = {"kid": key.kid, "value": getattr(key, column)}
        await store.write(lambda connection, values=values: connection.fetch(restore, **values))  # type: ignore[misc]
    await retire(store, kid=old, algorithm="ES256", now=clock.now, asker=an_operator())
    await eventually(lambda: keys.ring.find(old) is None)
    following.cancel()
    await asyncio.wait([following])
    await store.close()
    told = [record.message for record in caplog.records if "the keys may be out of date" in record.message]
    assert told
    assert len(told) == len(set(told)), "there is one line for each key, however often it is read"


async def test_under_hs256_the_secret_signs_and_its_predecessors_verify(store: Store) -> None:
    """The tutorial's way has no stored key, and nothing of it is published."""
    old = await ring_of(store, algorithm="HS256")
    new = await ring_of(store, algorithm="HS256", secret=NEW, fallbacks=(OLD,))
    assert (old.signer.private, new.signer.private) == (OLD, NEW)
    assert new.find(old.signer.kid) is not None
    assert new.jwks() == {"keys": []}


async def test_a_stolen_database_holds_no_private_key(store: Store) -> None:
    """Neither the key nor its PKCS #8 frame can be seen in what is stored."""
    ring = await ring_of(store, algorithm="EdDSA")
    assert not isinstance(ring.signer.private, bytes)
    raw = ring.signer.private.private_bytes_raw()  # type: ignore[union-attr]
    (stored,) = await store.read(signing_keys.all_keys)
    assert raw not in stored.sealed
    assert b"\x06\x03\x2b\x65\x70" not in stored.sealed  # the object identifier of Ed25519
