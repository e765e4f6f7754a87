"""Remove what is over: sessions, revocations, dead signing keys, and what the throttle has forgotten.

A few rows at a time, each batch a transaction of its own, so that no login waits for more than one of them.
"""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from watchword.errors import Unavailable
from watchword.model import Clock
from watchword.store import Store, revocations, sessions, signing_keys, tallies

INTERVAL: Final = 60.0
"""Seconds between two rounds."""
KEPT: Final = 86_400
"""Seconds for which a row is kept beyond its time: a clock that is put forward and back again loses nothing."""
BATCH: Final = 500

_PAUSE: Final = 0.05
"""Seconds between two batches, in which others write."""

_log = logging.getLogger(__name__)


async def tidy_up(store: Store, *, now: int) -> None:
    """Remove all that was over a day ago.

    Raises:
        Unavailable: the database is away, slow or locked.
    """
    for purge in (sessions.purge, revocations.purge, signing_keys.purge, tallies.purge):
        removed = BATCH
        while removed == BATCH:
            removed = await store.write_one(partial(purge, before=now - KEPT, limit=BATCH))
            await asyncio.sleep(_PAUSE)


async def keep_tidy(store: Store, *, clock: Clock) -> NoReturn:
    """Tidy up for ever; what goes wrong is told and tried again."""
    while True:
        await asyncio.sleep(INTERVAL)
        try:
            await tidy_up(store, now=clock())
        except Unavailable as fault:
            _log.warning("what is over could not be removed: %s", fault)
        except Exception:
            _log.exception("what is over could not be removed")
