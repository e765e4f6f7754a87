"""Writing down what the recorder has taken: beside the requests, at the end of a process, and behind a great deal."""

import logging
from functools import partial

from watchword.errors import ChainBroken
from watchword.recorder import Recorder
from watchword.store import Store, audit

_log = logging.getLogger(__name__)


async def write_down(recorder: Recorder, store: Store) -> None:
    """Write all that waits. Several may do so at once: what is in the table already stays as it is.

    Raises:
        Unavailable: the database is away, slow or locked; what is not written waits on.
    """
    while batch := recorder.next_batch():
        try:
            await store.write(partial(audit.append, entries=batch))
        except ChainBroken as broken:
            _log.warning("audit %s: we go on under a new id; was the snapshot of a machine resumed twice?", broken)
            recorder.begin_anew(batch)
        else:
            recorder.written(batch)
