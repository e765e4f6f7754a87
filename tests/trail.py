"""The audit trail, as tests look at it."""

from functools import partial

from watchword.audit import Entry
from watchword.flows import Tools
from watchword.flows.audit import write_down
from watchword.recorder import Recorder
from watchword.store import Store, audit


async def events(store: Store) -> list[Entry]:
    """What is in the table."""
    return [entry for _, entry in await store.read(partial(audit.newest, limit=10_000))]


async def trail(tools: Tools) -> list[Entry]:
    """All that has happened, once it is written down."""
    await write_down(tools.recorder, tools.store)
    return await events(tools.store)


def a_recorder_like(tools: Tools) -> Recorder:
    """Another process's, under the same secret, which nobody writes down."""
    return Recorder(tools.recorder.seals, milliseconds=lambda: tools.clock() * 1000, lose=lambda: None)
