"""Follow which sessions have ended, in this process and in all others, by asking the database again and again."""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from watchword.denials import Denials
from watchword.errors import Unavailable
from watchword.model import Clock, Revocation
from watchword.store import Store, revocations
from watchword.store.connection import Connection

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
    is_to_reload = denials.is_to_reload(now=now)
    seq = None if is_to_reload else await _go_on(denials, seq=denials.seq, store=store, now=now)
    while seq is None:
        start, living = await store.watch(partial(revocations.living, since=now, limit=_PAGE))
        denials.learn(living, now=now)
        seq = await _go_on(denials, seq=start, store=store, now=now)
    denials.learnt_all(seq=seq, asked_at=asked_at, now=now)


async def _go_on(denials: Denials, *, seq: int, store: Store, now: int) -> int | None:
    """Learn what has ended since a number.

    Returns:
        The newest number; None if the table no longer has that one. Its database is one from a backup, or a replica
        that took over before it had everything; or nothing has ended for so long that the newest row was removed.
    """
    while True:
        newest, news = await store.watch(partial(_look, seq=seq))
        denials.learn(news, now=now)
        if not news:
            return seq if newest == seq else None
        seq = news[-1].seq
        if len(news) < _PAGE:
            return seq


async def _look(connection: Connection, *, seq: int) -> tuple[int, list[Revocation]]:
    newest = await revocations.latest(connection)  # first: what is committed meanwhile is news, and no gap
    return newest, await revocations.after(connection, seq=seq, limit=_PAGE)


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
