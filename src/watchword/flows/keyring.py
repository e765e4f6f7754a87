"""The ring of a process: load it before the first request, and let it follow the database and the time.

It has a loop of its own beside the one for ended sessions: a table of keys that is locked or broken must not make the
news of logouts old. The database being away altogether is told by that other one, which then lets nobody pass.
"""

import asyncio
import logging
from contextlib import closing
from functools import partial
from typing import Final, NoReturn

from watchword import key_states
from watchword.errors import Unavailable
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused
from watchword.model import Clock, SealedKey
from watchword.store import Store, signing_keys
from watchword.told import Told

INTERVAL: Final = 0.3
"""Seconds between two looks, so that with the look itself a key that was retired is refused within half a second."""

_log = logging.getLogger(__name__)


async def has_keys(store: Store) -> bool:
    """Whether there is any stored key, of whatever algorithm, dead or alive."""
    return bool(await store.read(signing_keys.all_keys))


async def load(keys: KeyHolder, *, store: Store, clock: Clock) -> None:
    """Learn the stored keys; make the first, end those of other algorithms, seal anew what only a fallback opens.

    Any number of processes may do so at once, also with different secrets, as long as each has the other's.

    Raises:
        KeyRefused: a stored key was sealed under none of the secrets; nothing is changed then.
        Unavailable: the database is away, slow or locked.
    """
    stored = await store.read(signing_keys.all_keys)
    now = clock()
    keys.learn(stored, now=now)
    first = None if keys.ring.can_sign else await asyncio.to_thread(keys.make, now=now)

    def decide(found: list[SealedKey]) -> list[SealedKey]:
        return keys.resealed(key_states.started(found, algorithm=keys.algorithm, first=first, now=now))

    if decide(stored) != stored:
        keys.learn(await store.write(partial(signing_keys.change, decide=decide)), now=now)


async def catch_up(keys: KeyHolder, *, store: Store, clock: Clock) -> None:
    """Learn the stored keys as they are.

    Raises:
        KeyRefused: one was sealed under none of the secrets; all others have been learnt.
        Unavailable: the database is away, slow or locked.
    """
    stored = await store.watch(signing_keys.all_keys)
    keys.learn(stored, now=clock())


async def follow(keys: KeyHolder, *, store: Store, clock: Clock) -> NoReturn:
    """Catch up for ever. What goes wrong is told, and leaves the keys that there are; their times go on."""
    told = Told(
        _log,
        trouble="the keys may be out of date",
        meanwhile="those known before go on",
        over="the keys are those of the database again",
        foreseen=(Unavailable, KeyRefused),
    )
    with closing(told):
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await catch_up(keys, store=store, clock=clock)
                told.is_over()
            except Exception as fault:
                keys.turn(now=clock())
                told.say(fault)
