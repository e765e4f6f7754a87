"""The table of audit events: added in their order and never twice, removed from the beginning and no other way."""

import asyncio
from functools import partial

import pytest

from tests.trail import events
from watchword.audit import Entry, Event, Outcome, Seals
from watchword.errors import ChainBroken
from watchword.recorder import Recorder
from watchword.store import Store, audit, store_at
from watchword.store.connection import Statement

SEALS = Seals(b"a root secret of thirty-two bytes or more")
DAY = 86_400_000
ANCHORS = Statement("SELECT writer, seq FROM audit_anchors ORDER BY writer")


class Days:
    """A writer whose every event is a day after the one before."""

    def __init__(self, *, first: int = 1) -> None:
        self.day = first - 1
        self.recorder = Recorder(SEALS, milliseconds=self._tomorrow, lose=lambda: None)
        self.writer = self.recorder.writer

    def _tomorrow(self) -> int:
        self.day += 1
        return self.day * DAY

    async def write(self, store: Store, count: int) -> list[Entry]:
        """Let so many events happen, and write them in one batch."""
        for _ in range(count):
            self.recorder.record(
                Event.LOGIN_FAIL, outcome=Outcome.FAILURE, actor="user", network="2001:db8::/64", user_id="Zoë"
            )
        batch = self.recorder.next_batch()
        await store.write(partial(audit.append, entries=batch))
        self.recorder.written(batch)
        return batch


async def check(store: Store, writer: str) -> int:
    """Follow a writer's chain; return where it ends."""
    entries, anchor = await store.read(partial(audit.chain, writer=writer, limit=10_000))
    chain = SEALS.follow(writer, anchor=anchor)
    for number, entry in entries:
        chain.check(number, entry)
    return chain.seq


async def purge(store: Store, *, days: int, limit: int = 500) -> int:
    """Remove what happened before a day, of the writer that is found first."""
    before = days * DAY
    writer = await store.read(partial(audit.find_old, before=before))
    if writer is None:
        return 0
    return await store.write(partial(audit.purge, seals=SEALS, writer=writer, before=before, limit=limit))


@pytest.mark.parametrize("count", [1, 3, 4, 37, 200])
async def test_events_come_back_as_they_were(store: Store, count: int) -> None:
    """A batch of any size, in its order; written again, as after a lost answer, it is there once."""
    batch = await Days().write(store, count)
    assert await events(store) == batch
    await store.write(partial(audit.append, entries=batch))
    assert await events(store) == batch
    assert await store.read(audit.count) == count


async def test_a_batch_written_again_keeps_its_place(store: Store) -> None:
    """Beside other writers, and with more behind it: a writer's events are numbered in their order all the same."""
    first, second = Days(), Days()
    batch = await first.write(store, 3)
    await second.write(store, 3)
    for _ in range(2):
        first.recorder.record(Event.LOGIN_FAIL, outcome=Outcome.FAILURE, actor="user")
    await store.write(partial(audit.append, entries=[*batch, *first.recorder.next_batch()]))
    assert await check(store, first.writer) == 5
    assert await check(store, second.writer) == 3


async def test_what_was_moved_and_is_old_leaves_no_anchor(store: Store) -> None:
    """It does not verify, so the rest must not look as if it hung on it."""
    writer = Days()
    await writer.write(store, 10)
    move = Statement("UPDATE audit_events SET id = -id WHERE seq = 3")
    await store.write(lambda connection: connection.fetch(move))
    assert await purge(store, days=6) == 5
    with pytest.raises(ChainBroken, match=r"event 1 of writer .* is missing"):
        await check(store, writer.writer)


async def test_numbers_are_committed_in_their_order(store: Store) -> None:
    """Who follows the table behind the last number seen misses no event of any of several writers."""
    writers = [Days() for _ in range(4)]
    seen: list[tuple[int, Entry]] = []

    async def look() -> None:
        last = seen[-1][0] if seen else None
        found, _ = await store.read(partial(audit.after, number=last, since=0, until=DAY**2, limit=1000))
        seen.extend(found)

    async def write(writer: Days) -> None:
        for _ in range(10):
            await writer.write(store, 3)

    writing = asyncio.gather(*map(write, writers))
    while not writing.done():
        await look()
    await writing
    await look()
    assert len(seen) == len(set(seen)) == 120
    for writer in writers:
        assert [entry.seq for _, entry in seen if entry.writer == writer.writer] == list(range(1, 31))
        assert await check(store, writer.writer) == 30


async def test_a_span_of_time_is_read_page_by_page(store: Store) -> None:
    """The first moment belongs to it, the last does not; and a page ends behind so many events, in the span or not:
    where it begins behind millions, to look for the first of it takes longer than PostgreSQL lets a statement take."""
    batch = await Days().write(store, 20)
    found: list[Entry] = []
    pages: list[int] = []
    number: int | None = None
    while True:
        page, number = await store.read(partial(audit.after, number=number, since=6 * DAY, until=9 * DAY, limit=4))
        if number is None:
            break
        pages.append(len(page))
        found += [entry for _, entry in page]
    assert pages == [0, 3, 0, 0, 0]
    assert found == batch[5:8]


async def test_writers_are_found_one_after_the_other(store: Store) -> None:
    """Each once, in the order of their ids; also one whose id somebody left empty."""
    writers = [Days() for _ in range(3)]
    for writer in writers:
        await writer.write(store, 3)
    forge = Statement("UPDATE audit_events SET writer = '' WHERE writer = :writer AND seq = 2")
    await store.write(lambda connection: connection.fetch(forge, writer=writers[0].writer))
    found: list[str | bytes] = []
    found_next = await store.read(partial(audit.next_writer, after=None))
    while found_next is not None:
        found.append(found_next)
        found_next = await store.read(partial(audit.next_writer, after=found_next))
    assert found[0] == ""
    assert sorted(found) == sorted(["", *(each.writer for each in writers)])


async def test_the_old_are_removed_and_the_rest_still_verifies(store: Store) -> None:
    """Of each writer the beginning, a few at a time; what is left hangs on an anchor, also when that moves on."""
    early, late = Days(), Days(first=8)
    await early.write(store, 20)
    await late.write(store, 20)
    removed = []
    while count := await purge(store, days=11, limit=4):
        removed.append(count)
    assert removed == [4, 4, 3, 2]
    assert [entry.seq for entry in await events(store)] == [*range(11, 21), *range(4, 21)]
    assert await check(store, early.writer) == await check(store, late.writer) == 20
    assert await purge(store, days=15) == 4
    assert await purge(store, days=15) == 4
    assert await purge(store, days=15) == 0
    await early.write(store, 1)
    assert await check(store, early.writer) == 21


async def test_a_writer_that_goes_on_after_all_was_removed_still_verifies(store: Store) -> None:
    """A process in which nothing happened for longer than events are kept."""
    quiet = Days()
    await quiet.write(store, 5)
    assert await purge(store, days=99) == 5
    assert await events(store) == []
    await quiet.write(store, 2)
    assert await check(store, quiet.writer) == 7


async def test_anchors_of_the_long_silent_are_forgotten(store: Store) -> None:
    """But never one on which an event hangs."""
    silent, busy = Days(), Days()
    for writer in (silent, busy):
        await writer.write(store, 5)
        assert await purge(store, days=99) == 5
    await busy.write(store, 1)
    await store.write_one(partial(audit.forget_anchors, before=5 * DAY))
    assert len(await store.read(lambda connection: connection.fetch(ANCHORS))) == 2
    await store.write_one(partial(audit.forget_anchors, before=6 * DAY))
    assert await store.read(lambda connection: connection.fetch(ANCHORS)) == [(busy.writer, 5)]
    assert await check(store, busy.writer) == 6


async def test_what_was_dated_back_to_be_removed_leaves_no_anchor(store: Store) -> None:
    """Who can write the table cannot have us remove events for him so that nobody notices."""
    writer = Days(first=50)
    await writer.write(store, 10)
    forge = Statement("UPDATE audit_events SET at = 1 WHERE seq <= 5")
    await store.write(lambda connection: connection.fetch(forge))
    assert await purge(store, days=20) == 5
    assert await purge(store, days=20) == 0
    assert await store.read(lambda connection: connection.fetch(ANCHORS)) == []
    with pytest.raises(ChainBroken, match=r"event 1 of writer .* is missing"):
        await check(store, writer.writer)


@pytest.mark.parametrize(
    "forgery",
    [
        "INSERT INTO audit_anchors SELECT min(writer), 1, 1, 'x', x'00' FROM audit_events",
        "UPDATE audit_events SET at = 'x' WHERE seq = 2",
        "UPDATE audit_events SET writer = x'00' WHERE id = 2",
        "UPDATE audit_events SET seq = 'x' WHERE seq = 2",
    ],
)
async def test_values_of_another_kind_do_not_stop_the_removal(sqlite_url: str, forgery: str) -> None:
    """SQLite stores any value in any column: who writes one must not have everybody's events kept for ever."""
    store = await store_at(sqlite_url).open()
    writers = [Days(), Days()]
    for writer in writers:
        await writer.write(store, 5)
    await store.write(lambda connection: connection.fetch(Statement(forgery)))
    async with asyncio.timeout(20):
        while await purge(store, days=99):
            pass
    assert await store.read(audit.count) == 0
    await store.close()


async def test_two_who_remove_at_once_do_not_hinder_each_other(store: Store) -> None:
    """As the workers of one service do."""
    writer = Days()
    await writer.write(store, 40)
    removed = await asyncio.gather(*(purge(store, days=31, limit=6) for _ in range(8)))
    assert sum(removed) == 30
    assert await check(store, writer.writer) == 40
