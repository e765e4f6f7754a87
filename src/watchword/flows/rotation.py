"""The life of the signing keys: the next one is made, by command or when its time has come; one is retired.

Keys are changed by one at a time, and what they are to be is decided on what is found then (``key_states``).
"""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from watchword import key_states
from watchword.audit import Event
from watchword.errors import RotationRefused, Unavailable
from watchword.key_states import KeyState
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused
from watchword.model import Clock, SealedKey
from watchword.recorder import Asker
from watchword.store import Store, signing_keys

INTERVAL: Final = 60.0
"""Seconds between two looks whether the next key is due."""
NOTICED: Final = 1.0
"""Seconds after which it is noticed that no key signs, as when somebody has removed it from the table."""

_log = logging.getLogger(__name__)


async def list_keys(store: Store, *, algorithm: str, now: int) -> list[tuple[SealedKey, KeyState]]:
    """Every stored key with its state, each algorithm's from oldest to newest.

    Raises:
        Unavailable: the database is away, slow or locked.
    """
    stored = await store.read(signing_keys.all_keys)
    found = key_states.states(stored, algorithm=algorithm, now=now)
    return [(key, found[key.kid]) for key in stored]


async def rotate(keys: KeyHolder, *, store: Store, now: int, asker: Asker, at_once: bool = False) -> SealedKey:
    """Make the next key, or bring the one that waits forward.

    Args:
        keys: what seals it, and opens those before it.
        store: where keys are kept.
        now: the time.
        asker: who asks for it.
        at_once: whether it signs in some seconds, and not when everybody can know it.

    Returns:
        The key that will sign.

    Raises:
        RotationRefused: one is published already and not to sign at once; or tokens are signed by the root secret.
        KeyRefused: the secret at hand does not open the keys, so that the services could not open the new one.
        Unavailable: the database is away, slow or locked.
    """
    if not keys.rotates:
        raise RotationRefused(
            f"under {keys.algorithm} the root secret signs, and no stored key: change WATCHWORD_SECRET_KEY instead,"
            " with the present one in WATCHWORD_SECRET_KEY_FALLBACKS"
        )
    keys.learn(await store.read(signing_keys.all_keys), now=now)
    new = await asyncio.to_thread(keys.make, now=now)
    decide = partial(key_states.rotated, new=new, now=now, at_once=at_once)

    def newest(stored: list[SealedKey]) -> SealedKey:
        return max((key for key in stored if key.algorithm == keys.algorithm), key=lambda key: key.generation)

    stored = await store.write(
        partial(signing_keys.change, decide=decide),
        then=lambda stored: asker.tell(Event.SIGNING_KEY_ROTATED, detail=newest(stored).kid),
    )
    return newest(stored)


async def retire(store: Store, *, kid: str, algorithm: str, now: int, asker: Asker) -> None:
    """Let every token that a key has signed be refused from now on.

    Raises:
        UnknownSigningKey: there is no such key.
        RotationRefused: it is the one that signs, here or for a service with another algorithm.
        Unavailable: the database is away, slow or locked.
    """
    decide = partial(key_states.retired, kid=kid, algorithm=algorithm, now=now)
    await store.write(
        partial(signing_keys.change, decide=decide),
        then=lambda _: asker.tell(Event.SIGNING_KEY_RETIRED, detail=kid),
    )


async def rotate_if_due(keys: KeyHolder, *, store: Store, now: int, asker: Asker) -> None:
    """Make the next key if its time has come; of any number of processes that see it is, one does.

    Raises:
        KeyRefused: a stored key cannot be opened here, and others might not open what is made here.
        Unavailable: the database is away, slow or locked.
    """
    is_due = partial(key_states.is_due, algorithm=keys.algorithm, now=now)
    stored = await store.read(signing_keys.all_keys)
    if not keys.rotates or not is_due(stored):
        return
    keys.learn(stored, now=now)
    new = await asyncio.to_thread(keys.make, now=now)

    def decide(found: list[SealedKey]) -> list[SealedKey]:
        return key_states.rotated(found, new=new, now=now) if is_due(found) else found

    def tell(stored: list[SealedKey]) -> None:
        if new.kid in {key.kid for key in stored}:
            asker.tell(Event.SIGNING_KEY_ROTATED, detail=new.kid)

    await store.write(partial(signing_keys.change, decide=decide), then=tell)


async def keep_rotating(keys: KeyHolder, *, store: Store, clock: Clock, asker: Asker) -> NoReturn:
    """Rotate for ever, each time that it is due; what goes wrong is told and tried again."""
    while True:
        await _next_look(keys)
        try:
            await rotate_if_due(keys, store=store, now=clock(), asker=asker)
        except (Unavailable, KeyRefused) as fault:
            _log.warning("the next signing key could not be made: %s", fault)
        except Exception:
            _log.exception("the next signing key could not be made")


async def _next_look(keys: KeyHolder) -> None:
    """Wait for the next look, which comes sooner while no key signs: nobody can log in then."""
    left = INTERVAL
    while left > 0:
        await asyncio.sleep(min(left, NOTICED))
        left -= NOTICED
        if not keys.ring.can_sign:
            return
