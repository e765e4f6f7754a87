"""The table of tallies: of any number who write an entry at once one does, and the others see it."""

import asyncio
from functools import partial

from watchword.limits import Tally
from watchword.store import Store, tallies
from watchword.store.tallies import Entry

ONE, TWO, NONE = b"1" * 32, b"2" * 32, b"0" * 32


async def test_what_was_put_is_found(store: Store) -> None:
    """Each key has its own entry; where there is none, it is blank."""
    tally = Tally(failures=1, since=2, until=3, lease=4, young=5, old=6)
    put = await store.write_one(partial(tallies.put, entry=Entry(ONE), tally=tally, over_at=7))
    assert put is not None
    assert (put.tally, put.over_at) == (tally, 7)
    found = await store.read(partial(tallies.find, keys=(TWO, ONE, NONE, ONE, TWO)))
    assert found == [Entry(TWO), put, Entry(NONE), put, Entry(TWO)]
    assert await store.write(partial(tallies.lock, key=ONE)) == put
    assert await store.write(partial(tallies.lock, key=TWO)) == Entry(TWO)


async def test_of_many_who_write_at_once_one_does(store: Store) -> None:
    """A new entry, or one that was read: the first write wins, and the rest are told."""
    entry = Entry(ONE)
    for _ in range(2):
        writes = (
            store.write_one(partial(tallies.put, entry=entry, tally=Tally(failures=n), over_at=9)) for n in range(20)
        )
        (won,) = [put for put in await asyncio.gather(*writes) if put is not None]
        entry = won
    assert await store.write(partial(tallies.lock, key=ONE)) == entry


async def test_an_entry_that_was_removed_is_not_written(store: Store) -> None:
    """Who read a row that is gone, or was made again since, has lost."""
    put = await store.write_one(partial(tallies.put, entry=Entry(ONE), tally=Tally(failures=1), over_at=9))
    assert put is not None
    assert await store.write_one(partial(tallies.remove, entry=put))
    assert not await store.write_one(partial(tallies.remove, entry=put))
    assert await store.write_one(partial(tallies.put, entry=put, tally=Tally(), over_at=9)) is None
    again = await store.write_one(partial(tallies.put, entry=Entry(ONE), tally=Tally(failures=1), over_at=9))
    assert again is not None
    assert await store.write_one(partial(tallies.put, entry=put, tally=Tally(), over_at=9)) is None
    assert not await store.write_one(partial(tallies.remove, entry=put))


async def test_what_is_over_is_purged(store: Store) -> None:
    """Up to so many, the oldest first."""
    for n, key in enumerate((ONE, TWO, NONE)):
        await store.write_one(partial(tallies.put, entry=Entry(key), tally=Tally(failures=1), over_at=n))
    assert await store.write_one(partial(tallies.purge, before=1, limit=1)) == 1
    assert await store.write_one(partial(tallies.purge, before=1, limit=5)) == 1
    one, two, left, *_ = await store.read(partial(tallies.find, keys=(ONE, TWO, NONE, ONE, TWO)))
    assert (one.version, two.version) == (0, 0)
    assert left.version
