"""Keeping a ring as it is published: what replaces it, how often it is fetched, and what a fetch is shared by."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from tests.builders import Stopwatch
from watchword.errors import Unavailable, UnknownKey
from watchword.flows import keyring
from watchword.guard.issuer import Trouble
from watchword.guard.published import INTERVAL, Published, PublishedKeys
from watchword.key_states import HEAD_START
from watchword.keys import KeyRing, SigningKey
from watchword.told import Told

SECONDS = 10


def told() -> Told:
    """What has been said of trouble: nothing."""
    return Told(logging.getLogger(__name__), trouble="", meanwhile="", over="", foreseen=Trouble)


class Publisher:
    """What is published, and how often somebody looked.

    Attributes:
        ring: what it publishes, or why it cannot be had.
        fetched: how often it was.
        may_answer: held back while it is not set.
    """

    def __init__(self) -> None:
        self.ring: KeyRing | Exception = KeyRing([SigningKey.generate("EdDSA")])
        self.fetched = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def fetch(self) -> Published:
        """Give it."""
        self.fetched += 1
        await self.may_answer.wait()
        if isinstance(self.ring, Exception):
            raise self.ring
        return Published(self.ring, 600)


@pytest.fixture
def publisher() -> Publisher:
    """The login service."""
    return Publisher()


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The time."""
    return Stopwatch()


@pytest.fixture
def ring() -> KeyRing:
    """What is kept."""
    return KeyRing()


@pytest.fixture
async def keys(ring: KeyRing, publisher: Publisher, stopwatch: Stopwatch) -> AsyncIterator[PublishedKeys]:
    """Who keeps it, after the first fetch."""
    keys = PublishedKeys(ring, fetch=publisher.fetch, told=told(), monotonic=stopwatch)
    keeping = asyncio.create_task(keys.keep())
    async with asyncio.timeout(SECONDS):
        await keys.tried.wait()
    yield keys
    keeping.cancel()
    await asyncio.wait([keeping])


async def settled(keys: PublishedKeys, publisher: Publisher) -> int:
    """How often it was fetched, when what was begun is over."""
    for _ in range(10):  # a fetch is a few steps of the loop
        await asyncio.sleep(0)
    return publisher.fetched


async def test_the_same_keys_replace_nothing(
    ring: KeyRing, keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch
) -> None:
    """Or every token that was verified would be verified anew each ten minutes."""
    version = ring.version
    publisher.ring = KeyRing.from_jwks(json.dumps(ring.jwks()))
    await keys.look_again()
    assert ring.version is version
    publisher.ring = KeyRing([SigningKey.generate("EdDSA")])
    stopwatch.seconds += INTERVAL
    await keys.look_again()
    assert ring.version is not version
    assert ring.jwks() == publisher.ring.jwks()


async def test_one_fetch_is_shared(keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch) -> None:
    """By all who wait while it is under way; who comes later in the interval is refused at once."""
    publisher.may_answer.clear()
    waiting = [asyncio.create_task(keys.look_again()) for _ in range(100)]
    assert await settled(keys, publisher) == 2
    publisher.may_answer.set()
    await asyncio.gather(*waiting)
    for _ in range(1000):
        with pytest.raises(UnknownKey):
            await keys.look_again()
    assert publisher.fetched == 2
    stopwatch.seconds += INTERVAL
    await keys.look_again()
    assert publisher.fetched == 3


@pytest.mark.parametrize("trouble", [Trouble("it is away"), ValueError("a fault of ours")])
async def test_nothing_that_goes_wrong_takes_a_key_away(
    ring: KeyRing, keys: PublishedKeys, publisher: Publisher, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    """Not even what nobody foresaw, which the log has with its traceback."""
    before = ring.jwks()
    publisher.ring = trouble
    with pytest.raises(Unavailable):
        await keys.look_again()
    assert ring.jwks() == before
    (record,) = caplog.records
    assert bool(record.exc_info) == isinstance(trouble, ValueError)


async def test_whether_a_key_is_unknown_is_not_told_by_a_fetch_that_failed(
    keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch
) -> None:
    """Nobody is refused for a key that may be new, nor by those who come too soon for another fetch."""
    publisher.ring, good = Trouble("it is away"), publisher.ring
    for _ in range(10):
        with pytest.raises(Unavailable):
            await keys.look_again()
    assert publisher.fetched == 2
    publisher.ring = good
    stopwatch.seconds += INTERVAL
    await keys.look_again()
    for _ in range(10):
        with pytest.raises(UnknownKey):
            await keys.look_again()


@pytest.mark.parametrize("is_newer", [False, True])
async def test_who_joins_an_old_fetch(
    ring: KeyRing, keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch, is_newer: bool
) -> None:
    """May have a newer key than it brings, and is not refused; if it brings other keys there is a second look."""
    publisher.may_answer.clear()
    first = asyncio.create_task(keys.look_again())
    await settled(keys, publisher)
    stopwatch.seconds += 2 * INTERVAL
    second = asyncio.create_task(keys.look_again())
    await settled(keys, publisher)
    if is_newer:
        publisher.ring = KeyRing([SigningKey.generate("EdDSA")])
    publisher.may_answer.set()
    await first
    if is_newer:
        await second
    else:
        with pytest.raises(Unavailable):
            await second
    assert publisher.fetched == 2


async def test_joining_a_fetch_is_no_fetch(keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch) -> None:
    """The interval begins where one begins, or a crowd of strangers could put off the next one for ever."""
    publisher.may_answer.clear()
    first = asyncio.create_task(keys.look_again())
    await settled(keys, publisher)
    stopwatch.seconds += INTERVAL / 2
    second = asyncio.create_task(keys.look_again())
    await settled(keys, publisher)
    publisher.may_answer.set()
    await asyncio.gather(first, second)
    stopwatch.seconds += INTERVAL / 2
    await keys.look_again()
    assert publisher.fetched == 3


def test_a_key_that_is_new_in_an_emergency_is_known_when_it_signs() -> None:
    """However many strangers caused a fetch just before; a clock of whole seconds takes one from its head start."""
    assert HEAD_START - 1 - keyring.INTERVAL > INTERVAL


async def test_without_any_keys_it_is_not_known_who_may_pass(publisher: Publisher, stopwatch: Stopwatch) -> None:
    """``Unavailable`` and not ``UnknownKey``, in every interval."""
    publisher.ring = Trouble("it is away")
    keys = PublishedKeys(KeyRing(), fetch=publisher.fetch, told=told(), monotonic=stopwatch)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await keys.look_again()
    assert publisher.fetched == 1


class TestWhatIsSaidElsewhere:
    """The fingerprint that comes with the feed."""

    async def test_the_same_fetches_nothing(self, ring: KeyRing, keys: PublishedKeys, publisher: Publisher) -> None:
        """As long as it is that of our keys."""
        keys.compare(ring.fingerprint)
        assert await settled(keys, publisher) == 1

    async def test_another_fetches_at_once(self, ring: KeyRing, keys: PublishedKeys, publisher: Publisher) -> None:
        """And each time that it is another again."""
        for fetched in (2, 3, 4):
            publisher.ring = KeyRing([SigningKey.generate("EdDSA")])
            keys.compare(publisher.ring.fingerprint)
            assert await settled(keys, publisher) == fetched
            assert ring.fingerprint == publisher.ring.fingerprint

    async def test_one_that_never_comes_true(
        self, keys: PublishedKeys, publisher: Publisher, stopwatch: Stopwatch
    ) -> None:
        """Is looked for once in an interval."""
        for fetched in (2, 3):
            for _ in range(100):
                keys.compare("another")
                await settled(keys, publisher)
            assert publisher.fetched == fetched
            stopwatch.seconds += INTERVAL

    async def test_a_fetch_that_is_under_way_may_be_too_early(
        self, ring: KeyRing, keys: PublishedKeys, publisher: Publisher
    ) -> None:
        """The next time that it is said is the time to fetch again."""
        publisher.may_answer.clear()
        waiting = asyncio.create_task(keys.look_again())
        await settled(keys, publisher)
        keys.compare("another")
        publisher.may_answer.set()
        await waiting
        assert publisher.fetched == 2
        keys.compare("another")
        assert await settled(keys, publisher) == 3
