"""Writing down what the recorder has taken: beside the requests, at the end of a process, and behind a great deal."""

from functools import partial

from watchword.recorder import Recorder
from watchword.store import Store, audit


async def write_down(recorder: Recorder, store: Store) -> None:
    """Write all that waits. Several may do so at once: what is in the table already stays as it is.

    Raises:
        Unavailable: the database is away, slow or locked; what is not written waits on.
    """
    while batch := recorder.next_batch():
        await store.write(partial(audit.append, entries=batch))
        recorder.written(batch)
