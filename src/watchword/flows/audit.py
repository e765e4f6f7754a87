"""The audit trail: write down what was recorded, show it, and see whether it is as it was written."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NoReturn

from watchword.audit import LAST, Entry, Event, Seals
from watchword.errors import ChainBroken, Unavailable
from watchword.flows.trail import write_down
from watchword.keys import KeyRefused
from watchword.recorder import Asker, Recorder
from watchword.store import Store, audit
from watchword.told import Told

DELAY: Final = 0.1
"""Seconds that an event waits for others, so that many are one transaction."""
INTERVAL: Final = 0.5
"""Seconds between two looks at the table of who follows it."""

_RETRY: Final = 1.0
_PAGE: Final = 1000
_LOOKED_AT: Final = 5000
"""Events at once, of which those are wanted that are of a span of time."""
_RECENT: Final = 100

_log = logging.getLogger(__name__)


@asynccontextmanager
async def keeping(asker: Asker, store: Store) -> AsyncIterator[None]:
    """Write down what is recorded inside, meanwhile and to the last; and behind it that the process has ended.

    Args:
        asker: whose process it is, a ``service`` or a command's, ``cli``.
        store: where to.
    """
    recorder = asker.recorder
    writing = asyncio.create_task(_keep(recorder, store))
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await store.settle()  # what is still being done is told when it is done
        recorder.close(Event.COMMAND_ENDED if asker.actor == "cli" else Event.SHUTDOWN, actor=asker.actor)
        try:
            await write_down(recorder, store)
        except Unavailable as fault:
            _log.error("%d audit events are only in the log: %s", len(recorder), fault)


async def _keep(recorder: Recorder, store: Store) -> NoReturn:
    """Write for ever; what goes wrong is told, and lasts no longer than its cause."""
    told = Told(
        _log,
        trouble="audit events wait for the database",
        meanwhile="the log has them",
        over="audit events are written again",
        foreseen=Unavailable,
    )
    with closing(told):
        while True:
            await recorder.news.wait()
            await asyncio.sleep(DELAY)
            try:
                await write_down(recorder, store)
                told.is_over()
            except Exception as fault:
                told.say(fault)
                await asyncio.sleep(_RETRY)


async def tail(store: Store, *, lines: int, follow: bool) -> AsyncIterator[Entry]:
    """The last events, the oldest first; and then, where they are followed, each new one as it comes, for ever."""
    newest = await store.read(partial(audit.newest, limit=max(1, lines)))  # one at least, to know what comes after it
    seen = newest[-1][0] if newest else None
    for _, entry in newest[:lines]:
        yield entry
    while follow:
        await asyncio.sleep(INTERVAL)
        async for number, entry in _pages(store, after=seen):
            seen = number
            yield entry


async def export(store: Store, *, since: int | None, until: int | None) -> AsyncIterator[Entry]:
    """All events in the order in which they were written, read page by page.

    Args:
        store: the database.
        since: only those that happened then or later, in milliseconds since the epoch.
        until: only those that happened before.
    """
    async for _, entry in _pages(store, since=since, until=until):
        yield entry


async def _pages(
    store: Store, *, after: int | None = None, since: int | None = None, until: int | None = None
) -> AsyncIterator[tuple[int, Entry]]:
    while True:
        page, last = await store.read(partial(audit.after, number=after, since=since, until=until, limit=_LOOKED_AT))
        for each in page:
            yield each
        if last is None:
            return
        after = last


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one writer's events.

    Attributes:
        writer: whose.
        events: how many were looked at.
        state: ``ended`` by what a process tells last; ``open``: it still runs or was killed, so that nobody can say
            whether the last ones are missing; ``broken``.
        reason: what is wrong in a broken one.
    """

    writer: str
    events: int
    state: Literal["ended", "open", "broken"]
    reason: str = ""


async def recognise(store: Store, *, seals: Seals) -> None:
    """See that one of the last events was sealed under a secret that is given. Where there is none, any secret will do.

    One is enough: whoever was here before with another secret, or has written to the table, shuts nobody out.

    Raises:
        KeyRefused: all of them were sealed under another.
        Unavailable: the database is away, slow or locked.
    """
    recent = await store.read(partial(audit.newest_links, limit=_RECENT))
    if recent and not any(seals.have_made(entry, previous=previous) for entry, previous in recent):
        raise KeyRefused(
            "the last audit events were sealed under another secret; give the service's, or the former one in"
            " WATCHWORD_SECRET_KEY_FALLBACKS; if that is lost or has leaked, start the service once with this one"
        )


async def verify(store: Store, *, seals: Seals, looked_at: Callable[[int], None]) -> AsyncIterator[Verdict]:
    """Walk each writer's chain from its beginning, or from where old events were removed.

    Args:
        store: the database.
        seals: check the events.
        looked_at: is told after each page how many more were looked at.
    """
    writer: str | bytes | None = None
    while (writer := await store.read(partial(audit.next_writer, after=writer))) is not None:
        if isinstance(writer, bytes):
            shown = f"x'{writer.hex()}'"
            yield Verdict(shown, 0, "broken", f"the events of writer {shown} are not ours, as its id is no text")
        else:
            yield await _judge(store, writer, seals=seals, looked_at=looked_at)


async def _judge(store: Store, writer: str, *, seals: Seals, looked_at: Callable[[int], None]) -> Verdict:
    page, anchor = await store.read(partial(audit.chain, writer=writer, limit=_PAGE))
    chain, events = seals.follow(writer, anchor=anchor), 0
    last: Entry | None = None
    try:
        while page:
            for number, last in page:
                events += 1
                chain.check(number, last)
            looked_at(len(page))
            page, anchor = await store.read(partial(audit.chain, writer=writer, after=chain.seq, limit=_PAGE))
            chain.go_on_from(anchor)  # housekeeping may have removed events since the page before
    except ChainBroken as broken:
        return Verdict(writer, events, "broken", str(broken))
    return Verdict(writer, events, "ended" if last is not None and last.event in LAST else "open")
