"""The audit trail, as tests look at it."""

from functools import partial

from watchword.audit import Entry, Seals
from watchword.flows import Tools
from watchword.flows.trail import write_down
from watchword.recorder import Asker, Recorder
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


def an_operator() -> Asker:
    """Somebody at the command line, of a process whose events nobody writes down."""
    recorder = Recorder(Seals(b"s" * 32), milliseconds=lambda: 1_800_000_000_000, lose=lambda: None)
    return Asker(recorder, actor="cli")


def told_by(asker: Asker) -> list[tuple[str, str]]:
    """Event and detail of what has been told of somebody, by a process whose events nobody writes down."""
    return [(entry.event, entry.detail) for entry in asker.recorder.next_batch()]
