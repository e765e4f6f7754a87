"""Remove what is over: sessions, revocations, dead signing keys, what the throttle has forgotten, old audit events.

A few rows at a time, each batch a transaction of its own, so that no login waits for more than one of them.
"""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from watchword.audit import Seals
from watchword.errors import Unavailable
from watchword.model import Clock
from watchword.store import Store, audit, revocations, sessions, signing_keys, tallies

INTERVAL: Final = 60.0
"""Seconds between two rounds."""
KEPT: Final = 86_400
"""Seconds for which a row is kept beyond its time: a clock that is put forward and back again loses nothing."""
BATCH: Final = 500
ANCHORS_KEPT: Final = 366 * 86_400_000
"""Milliseconds for which it is kept where the next event would hang of a writer that has long been silent."""

_PAUSE: Final = 0.05
"""Seconds between two batches, in which others write."""

_log = logging.getLogger(__name__)


async def tidy_up(store: Store, *, now: int, seals: Seals, audit_kept: int) -> None:
    """Remove all that was over a day ago, and the audit events that are older than they are kept.

    Args:
        store: the database.
        now: the time.
        seals: check the audit events that go, so that those which stay can still be verified.
        audit_kept: for how many seconds events are kept.

    Raises:
        Unavailable: the database is away, slow or locked.
    """
    for purge in (sessions.purge, revocations.purge, signing_keys.purge, tallies.purge):
        removed = BATCH
        while removed == BATCH:
            removed = await store.write_one(partial(purge, before=now - KEPT, limit=BATCH))
            await asyncio.sleep(_PAUSE)
    before = (now - audit_kept) * 1000
    while (writer := await store.read(partial(audit.find_old, before=before))) is not None:
        purge_audit = partial(audit.purge, seals=seals, writer=writer, before=before, limit=BATCH)
        if not await store.write(purge_audit):  # somebody else is at it
            break
        await asyncio.sleep(_PAUSE)
    await store.write_one(partial(audit.forget_anchors, before=before - ANCHORS_KEPT))


async def keep_tidy(store: Store, *, clock: Clock, seals: Seals, audit_kept: int) -> NoReturn:
    """Tidy up for ever; what goes wrong is told and tried again."""
    while True:
        await asyncio.sleep(INTERVAL)
        try:
            await tidy_up(store, now=clock(), seals=seals, audit_kept=audit_kept)
        except Unavailable as fault:
            _log.warning("what is over could not be removed: %s", fault)
        except Exception:
            _log.exception("what is over could not be removed")
