"""Follow which sessions have ended, in this process and in all others, by asking the database again and again."""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from watchword.denials import Denials
from watchword.errors import Unavailable
from watchword.model import Clock
from watchword.store import Store, revocations

INTERVAL: Final = 0.3
"""Seconds between two questions, so that with the question itself a logout bites elsewhere within half a second."""

_PAGE: Final = 1000

_log = logging.getLogger(__name__)


async def catch_up(denials: Denials, *, store: Store, clock: Clock) -> None:
    """Learn all that has ended up to now.

    Raises:
        Unavailable: the database is away, slow or locked.
    """
    asked_at, now = denials.monotonic(), clock()
    if denials.is_to_reload(now=now):
        latest, living = await store.read(partial(revocations.living, since=now))
        denials.learn(living, now=now)
    else:
        latest = denials.seq
        while True:
            news = await store.read(partial(revocations.after, seq=latest, limit=_PAGE))
            denials.learn(news, now=now)
            latest = news[-1].seq if news else latest
            if len(news) < _PAGE:
                break
    denials.learnt_all(seq=latest, asked_at=asked_at, now=now)


async def follow(denials: Denials, *, store: Store, clock: Clock) -> NoReturn:
    """Catch up for ever; what goes wrong is told once, and lasts no longer than its cause."""
    is_told = False
    while True:
        await asyncio.sleep(INTERVAL)
        try:
            await catch_up(denials, store=store, clock=clock)
            is_told = False
        except Exception as fault:
            if not is_told:
                unforeseen = None if isinstance(fault, Unavailable) else fault
                _log.warning("no news of ended sessions: %s", fault, exc_info=unforeseen)
            is_told = True
