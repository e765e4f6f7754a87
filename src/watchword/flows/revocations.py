"""Follow which sessions have ended, in this process and in all others, by asking the database again and again."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Final, NoReturn

from watchword.denials import MAX_STALENESS, Denials, news_in
from watchword.errors import Unavailable
from watchword.model import Clock, Revocation
from watchword.store import Store, revocations
from watchword.told import Told

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
    go_on = partial(_go_on, denials, store=store, now=now)
    place = None if is_to_reload else await go_on(seq=denials.seq, newest=denials.newest)
    while place is None:
        start, living = await store.watch(partial(revocations.living, since=now, limit=_PAGE))
        _learn(denials, living, now=now)
        place = await go_on(seq=start, newest=None)
    seq, newest = place
    denials.learnt_all(seq=seq, newest=newest, asked_at=asked_at, now=now)


async def _go_on(
    denials: Denials, *, seq: int, newest: Revocation | None, store: Store, now: int
) -> tuple[int, Revocation | None] | None:
    """Learn what has ended since a number.

    Returns:
        The newest number and its revocation; None if the table no longer has the one that was known. Its database is
        one from a backup, or a replica that took over before it had everything; or nothing has ended for so long that
        the newest row was removed.
    """
    while True:
        page = await store.watch(partial(revocations.after, seq=max(0, seq - 1), limit=_PAGE))
        news = news_in(page, seq=seq, newest=newest)
        if news is None:
            return None
        _learn(denials, news, now=now)
        if page:
            newest = page[-1]
            seq = newest.seq
        if len(page) < _PAGE:
            return seq, newest


def _learn(denials: Denials, news: Sequence[Revocation], *, now: int) -> None:
    for each in news:
        if revocations.is_without_times(each):
            _log.warning("revocation %d has times that are none; it counts for as long as any token may live", each.seq)
    denials.learn(news, now=now)


async def follow(denials: Denials, *, store: Store, clock: Clock) -> NoReturn:
    """Catch up for ever; what goes wrong is told, and lasts no longer than its cause."""
    told = Told(
        _log,
        trouble="no news of ended sessions",
        meanwhile=f"after {MAX_STALENESS:g} s without any, guarded routes answer 503",
        over="there are news of ended sessions again",
        foreseen=Unavailable,
    )
    with closing(told):
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await catch_up(denials, store=store, clock=clock)
                told.is_over()
            except Exception as fault:
                told.say(fault)
