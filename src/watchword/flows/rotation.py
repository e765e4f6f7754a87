"""The life of the signing keys: make the first one, and load the ring that the service signs and verifies with."""

import asyncio
from collections.abc import Sequence

from watchword.keys import ASYMMETRIC_ALGORITHMS, KeyRing, SigningKey, VerificationKey, seal, unseal
from watchword.model import Clock
from watchword.store import Store, signing_keys


async def load_ring(
    ring: KeyRing, *, store: Store, algorithm: str, secret: bytes, fallbacks: Sequence[bytes], clock: Clock
) -> None:
    """Fill a ring: every stored key verifies, the newest of the chosen algorithm signs; make it if there is none.

    Args:
        ring: whose keys are replaced.
        store: where keys are kept.
        algorithm: what is to sign; under HS256 the secret itself is the key.
        secret: the root secret.
        fallbacks: its predecessors; they open stored keys and, under HS256, verify.
        clock: tells when a new key was made.

    Raises:
        KeyRefused: a stored key was sealed under none of the secrets.
        Unavailable: the database is away, slow or locked.
    """
    keys = await open_keys(store, secrets=(secret, *fallbacks))
    if algorithm in ASYMMETRIC_ALGORITHMS and all(key.algorithm != algorithm for key in keys):
        await _make_first(store, algorithm=algorithm, secret=secret, now=clock())
        keys = await open_keys(store, secrets=(secret, *fallbacks))
    if algorithm == "HS256":
        previous = [VerificationKey.from_secret(fallback) for fallback in fallbacks]
        ring.replace([*keys, *previous, SigningKey.from_secret(secret)])
    else:
        ring.replace(sorted(keys, key=lambda key: key.algorithm == algorithm))  # stable: generations stay in order


async def open_keys(store: Store, *, secrets: Sequence[bytes]) -> list[SigningKey]:
    """Every stored key, unsealed; each algorithm's from oldest to newest.

    Raises:
        KeyRefused: one was sealed under none of the secrets.
        Unavailable: the database is away, slow or locked.
    """
    stored = await store.read(signing_keys.all_keys)
    return [unseal(key, secrets_to_try=secrets) for key in stored]


async def _make_first(store: Store, *, algorithm: str, secret: bytes, now: int) -> None:
    key = await asyncio.to_thread(SigningKey.generate, algorithm)  # RSA takes its time
    sealed = seal(key, secret=secret, generation=1, now=now)
    # Of several processes that do this at once one is first; all read its key afterwards.
    await store.write(lambda connection: signing_keys.insert(connection, sealed))
