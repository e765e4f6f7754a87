"""Following a feed: what is asked, what is learnt, and which answers are no news."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.builders import FakeClock, Stopwatch
from watchword.denials import MAX_STALENESS, Denials
from watchword.errors import InvalidToken, Unavailable
from watchword.guard.feed import INTERVAL, PROMISE, Feed
from watchword.guard.issuer import News, ServiceTokenRefused, Trouble
from watchword.model import Revocation
from watchword.told import Told


def news(seq: int, *session_ids: str, more: bool = False, now: int = 0) -> News:
    """One answer."""
    ended = (Revocation(seq=seq, session_id=each, revoked_at=0, expires_at=900) for each in session_ids)
    return News(seq=seq, more=more, now=now, keys=f"keys at {seq}", revocations=tuple(ended))


def behind(first: News, second: News) -> News:
    """One answer that tells of both."""
    return replace(second, revocations=first.revocations + second.revocations)


class Scripted:
    """A feed whose login service answers as planned, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: deque[News | Callable[[], News]] = deque()
        self.asked: list[int | None] = []
        self.compared: list[str] = []
        self.clock = FakeClock(0)
        self.stopwatch = Stopwatch()
        self.denials = Denials(monotonic=self.stopwatch)
        self.feed = Feed(
            self.denials,
            ask=self.answer,
            compare=self.compared.append,
            told=Told(logging.getLogger(__name__), trouble="no news", meanwhile="", over="", foreseen=Trouble),
            clock=self.clock,
        )

    async def answer(self, after: int | None) -> News:
        """Answer a question; without a plan for it there is trouble."""
        self.asked.append(after)
        if not self.answers:
            raise Trouble("it is away")
        found = self.answers.popleft()
        return found if isinstance(found, News) else found()

    async def catch_up(self, *answers: News | Callable[[], News]) -> list[int | None]:
        """Catch up with these answers, and give what was asked."""
        self.answers.extend(answers)
        self.asked.clear()
        await self.feed.catch_up()
        assert not self.answers
        return list(self.asked)

    def has_ended(self, session_id: str) -> bool:
        """Whether a session is refused."""
        try:
            self.denials.check(session_id)
        except InvalidToken:
            return True
        return False


@pytest.fixture
def scripted() -> Scripted:
    """The feed and its other end."""
    return Scripted()


async def test_everything_first_then_what_is_new(scripted: Scripted) -> None:
    """The first question has no number, the next ones begin with the last that was told, to see whether it is there."""
    assert await scripted.catch_up(news(4, "a")) == [None]
    assert await scripted.catch_up(news(4, "a")) == [3]
    assert await scripted.catch_up(behind(news(4, "a"), news(5, "b"))) == [3]
    assert await scripted.catch_up(news(5, "b")) == [4]
    assert [scripted.has_ended(each) for each in "abc"] == [True, True, False]
    assert scripted.compared == ["keys at 4", "keys at 4", "keys at 5", "keys at 5"]


async def test_the_last_that_was_told_is_not_learnt_again(scripted: Scripted) -> None:
    """It comes with each answer for as long as nothing else ends, and would else be remembered as long."""
    await scripted.catch_up(news(4, "a"))
    for _ in range(3):
        scripted.stopwatch.seconds += 400
        scripted.clock.advance(400)
        assert await scripted.catch_up(news(4, "a")) == [3]
    assert not scripted.has_ended("a")


async def test_page_after_page(scripted: Scripted) -> None:
    """Until there is no more, and only then are there news of this time."""

    def still_unknown() -> News:
        with pytest.raises(Unavailable):
            scripted.denials.check("z")
        return news(3, "c")

    assert await scripted.catch_up(news(1, "a", more=True), news(2, "b", more=True), still_unknown) == [None, 1, 2]
    assert [scripted.has_ended(each) for each in "abcz"] == [True, True, True, False]
    assert await scripted.catch_up(behind(news(3, "c"), news(9, "d", more=True)), news(9)) == [2, 9]
    assert await scripted.catch_up(news(9, "d")) == [8]


async def test_a_lower_number_is_another_database(scripted: Scripted) -> None:
    """Restored from a backup: everything is loaded again, and what was known before stays known."""
    await scripted.catch_up(news(9, "a"))
    assert await scripted.catch_up(news(2), news(2, "b")) == [8, None]
    assert await scripted.catch_up(news(2, "b")) == [1]
    assert [scripted.has_ended(each) for each in "ab"] == [True, True]


async def test_a_number_that_is_given_again_is_another_database(scripted: Scripted) -> None:
    """Restored from a backup, it has come as far as we know meanwhile: who looked at the number alone would let those
    pass who have it now.
    """
    await scripted.catch_up(news(4, "a"))
    asked = await scripted.catch_up(behind(news(4, "b"), news(5, "c")), behind(news(4, "b"), news(5, "c")))
    assert asked == [3, None]
    assert [scripted.has_ended(each) for each in "abc"] == [True, True, True]


async def test_a_number_that_was_told_without_its_session_is_known_by_the_next_answer(scripted: Scripted) -> None:
    """As of a feed in which nothing counts any more: what has the number then is taken for what was meant."""
    await scripted.catch_up(news(4))
    assert await scripted.catch_up(news(4, "over")) == [3]
    assert not scripted.has_ended("over")
    assert await scripted.catch_up(news(4, "b"), news(4, "b")) == [3, None]
    assert scripted.has_ended("b")


async def test_the_clock_of_the_login_service_that_was_put_back(scripted: Scripted) -> None:
    """While it was ahead it left out what was over by it: that is asked for once it shows another time.

    That of another node, half a minute behind, is none that was put back.
    """
    await scripted.catch_up(news(4, now=3600))
    assert await scripted.catch_up(news(4, "a", now=3571)) == [3]
    assert await scripted.catch_up(news(4, "a", now=3), news(4, "a", "b", now=3)) == [3, None]
    assert scripted.has_ended("b")
    assert await scripted.catch_up(news(4, "b", now=4)) == [3]


async def test_what_was_asked_for_again_in_vain_is_asked_for_again(scripted: Scripted) -> None:
    """A page that does not come leaves the rest of them unknown."""
    await scripted.catch_up(news(4, "a", now=3600))
    with pytest.raises(Trouble):
        await scripted.catch_up(news(4, "a", now=3), news(3, "c", more=True, now=3))
    assert await scripted.catch_up(news(4, "a", now=4), news(4, "b", now=4)) == [3, None]
    assert scripted.has_ended("b")


async def test_a_wall_clock_that_was_put_back(scripted: Scripted) -> None:
    """Everything is loaded again, for tokens that had expired live again."""
    scripted.clock.now = 100
    await scripted.catch_up(news(4))
    scripted.clock.now = 99
    assert await scripted.catch_up(news(4, "a")) == [None]


@pytest.mark.parametrize("second", [news(5, more=True), news(4), news(4, more=True)])
async def test_a_feed_that_does_not_go_on_is_refused(scripted: Scripted, second: News) -> None:
    """Pages that repeat or go backwards would be asked for without an end."""
    with pytest.raises(Trouble, match="backwards"):
        await scripted.catch_up(news(5, more=True), second)
    with pytest.raises(Unavailable):
        scripted.denials.check("z")


async def test_a_feed_without_an_end_is_refused(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of next to nothing whose numbers only ever grow are given up after so many."""
    monkeypatch.setattr("watchword.guard.feed._MOST_PAGES", 5)
    monkeypatch.setattr("watchword.guard.feed._BREATH", 0)
    with pytest.raises(Trouble, match="no end"):
        await scripted.catch_up(*(news(seq, f"{seq}", more=True) for seq in range(9)))
    assert scripted.asked == [None, 0, 1, 2, 3, 4]


async def test_no_feed_fills_the_memory(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is full learns nothing new, however often it is told; when sessions are over, it goes on by itself."""
    monkeypatch.setattr("watchword.guard.feed._MOST_SESSIONS", 3)
    monkeypatch.setattr("watchword.guard.feed._BREATH", 0)
    await scripted.catch_up(behind(news(2, "a", "b"), news(3, "c")))
    for told in ("d", "e", "f"):
        with pytest.raises(Trouble, match="than can be remembered"):
            await scripted.catch_up(behind(news(3, "c"), news(4, told)))
    assert [scripted.has_ended(each) for each in "abcdef"] == [True] * 3 + [False] * 3
    await scripted.catch_up(news(3, "c"))
    scripted.stopwatch.seconds += 1000
    scripted.clock.advance(1000)
    await scripted.catch_up(behind(news(3, "c"), news(4, "d")))
    assert scripted.denials.count == 1


async def test_between_two_pages_others_have_their_turn(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that answers at once, page after page, would hold up the requests of the application."""
    pauses: list[float] = []

    async def asleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("watchword.guard.feed.asyncio.sleep", asleep)
    await scripted.catch_up(news(1, "a", more=True), news(2, "b", more=True), news(3))
    assert len(pauses) == 2
    assert min(pauses) > 0


async def test_news_are_as_old_as_the_question(scripted: Scripted) -> None:
    """Not as the answer, which may have been long on its way."""

    def slowly() -> News:
        scripted.stopwatch.seconds += 4
        return news(1)

    await scripted.catch_up(slowly)
    assert scripted.denials.staleness == 4


async def test_a_short_silence_is_not_told(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection may break, and a service be started anew; what breaks the promise is told once."""
    monkeypatch.setattr("watchword.guard.feed.INTERVAL", 0.0)
    scripted.answers.append(news(1))

    async def asked(times: int) -> None:
        async with asyncio.timeout(10):
            while len(scripted.asked) < times:
                await asyncio.sleep(0)

    following = asyncio.create_task(scripted.feed.follow())
    await asked(10)
    assert caplog.messages == []
    scripted.stopwatch.seconds += PROMISE + 0.1
    await asked(20)
    assert caplog.messages == ["no news: it is away; "]
    following.cancel()
    await asyncio.wait([following])


class Following:
    """What a feed does that is followed, by a clock that goes on only while it pauses.

    Attributes:
        pauses: in seconds.
        staleness: of what was known when it asked, in seconds.
    """

    def __init__(self, scripted: Scripted, answer: Callable[[], News]) -> None:
        self.pauses: list[float] = []
        self.staleness: list[float] = []
        self._scripted = scripted
        self._answer = answer

    async def follow(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        """Have it ask so many times."""
        monkeypatch.setattr("watchword.guard.feed.asyncio.sleep", self._pause)
        self._scripted.answers.extend([self._asked] * times)
        with pytest.raises(asyncio.CancelledError):
            await self._scripted.feed.follow()

    def _asked(self) -> News:
        self.staleness.append(self._scripted.denials.staleness)
        return self._answer()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._scripted.stopwatch.seconds += seconds
        if not self._scripted.answers:
            raise asyncio.CancelledError


@pytest.mark.parametrize("begins_at", [1.0, 1.1, 1.2, 1.3])
async def test_an_outage_that_is_shorter_than_the_news_last_is_not_noticed(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, begins_at: float
) -> None:
    """It is asked for often enough while they last: after a pause of 2.4 s they were too old, and 503 was answered."""
    lasts = MAX_STALENESS - 2 * INTERVAL - 0.01
    began = scripted.stopwatch.seconds + begins_at

    def answer() -> News:
        if began <= scripted.stopwatch.seconds < began + lasts:
            raise Trouble("it is away")
        return news(1)

    following = Following(scripted, answer)
    await scripted.catch_up(news(1))
    await following.follow(monkeypatch, 40)
    assert 3 < max(following.staleness) < MAX_STALENESS
    assert set(following.pauses) == {INTERVAL}


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [(Trouble("it is away"), [0.6, 1.2, 2.4, 3.0, 3.0]), (ServiceTokenRefused("403"), [10.0, 10.0])],
    ids=["away", "refused"],
)
async def test_one_refusal_does_not_let_the_news_grow_stale(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, fault: Trouble, pauses: list[float]
) -> None:
    """It may be that of a proxy on the way: the long pauses are for when nobody passes anyway."""

    def answer() -> News:
        raise fault

    following = Following(scripted, answer)
    await scripted.catch_up(news(1))
    await following.follow(monkeypatch, 17 + len(pauses))
    assert following.pauses == [INTERVAL] * 17 + pauses
    assert following.staleness[17] > MAX_STALENESS
