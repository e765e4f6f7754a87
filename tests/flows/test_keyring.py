"""The ring that a service starts with: made once, opened by the root secret or its predecessors."""

import asyncio

import pytest

from watchword.flows.rotation import load_ring, open_keys
from watchword.keys import KeyRefused, KeyRing
from watchword.store import Store, store_at

OLD, NEW = b"o" * 16 + b"0123456789abcdef", b"n" * 16 + b"0123456789abcdef"


async def ring_of(
    store: Store, *, algorithm: str = "ES256", secret: bytes = OLD, fallbacks: tuple[bytes, ...] = ()
) -> KeyRing:
    """Load a ring as a start does."""
    ring = KeyRing()
    await load_ring(ring, store=store, algorithm=algorithm, secret=secret, fallbacks=fallbacks, clock=lambda: 1)
    return ring


@pytest.fixture
async def store(database_url: str):  # type: ignore[no-untyped-def]
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
    assert len(await open_keys(store, secrets=(OLD,))) == 1


async def test_a_change_of_algorithm_keeps_the_old_key_for_verifying(store: Store) -> None:
    """Tokens of the former algorithm go on verifying, while new ones are signed by the chosen one's key."""
    before = await ring_of(store, algorithm="RS256")
    after = await ring_of(store, algorithm="EdDSA")
    again = await ring_of(store, algorithm="RS256")
    assert after.signer.algorithm == "EdDSA"
    assert after.find(before.signer.kid) is not None
    assert again.signer.kid == before.signer.kid


async def test_a_new_root_secret_opens_old_keys_as_long_as_the_old_one_is_a_fallback(store: Store) -> None:
    """With its predecessor at hand a new root secret changes no key; without it the start is refused."""
    before = await ring_of(store)
    assert (await ring_of(store, secret=NEW, fallbacks=(OLD,))).signer.kid == before.signer.kid
    with pytest.raises(KeyRefused):
        await ring_of(store, secret=NEW)


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
    from watchword.store import signing_keys

    (stored,) = await store.read(signing_keys.all_keys)
    assert raw not in stored.sealed
    assert b"\x06\x03\x2b\x65\x70" not in stored.sealed  # the object identifier of Ed25519
