"""Following which sessions have ended at a login service elsewhere, by asking it again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn

from watchword.denials import Denials, news_in
from watchword.guard.issuer import News, ServiceTokenRefused, Trouble
from watchword.model import Clock, Revocation
from watchword.tokens import CLOCK_SKEW
from watchword.told import Told

INTERVAL: Final = 0.3
"""Seconds between two questions, so that with all that is on the way a logout bites within a second."""
PROMISE: Final = 1.0
"""Seconds without news that nobody is told of: a connection may break, and the service be started anew."""

_LONGEST_PAUSE: Final = 3.0
_REFUSED_PAUSE: Final = 10.0

# What a feed may cost whose pages never end: an amount of memory, some 200 MB, and a share of the event loop.
_MOST_SESSIONS: Final = 1_000_000
_MOST_PAGES: Final = 2_000
_BREATH: Final = 0.001


class Feed:
    """Keeps denials.

    Args:
        denials: what to keep.
        ask: gets what has happened after a number, or all that may matter, or raises ``Trouble``.
        compare: is told the fingerprint of the keys that are published now.
        told: what has been said of trouble.
        clock: tells the time.

    Attributes:
        tried: set when the first question is over, well or not.
    """

    def __init__(
        self,
        denials: Denials,
        *,
        ask: Callable[[int | None], Awaitable[News]],
        compare: Callable[[str], None],
        told: Told,
        clock: Clock,
    ) -> None:
        self.tried = asyncio.Event()
        self._denials = denials
        self._ask = ask
        self._compare = compare
        self._told = told
        self._clock = clock
        self._loaded_at = 0

    async def catch_up(self) -> None:
        """Learn all that has ended up to now.

        Raises:
            Trouble: the login service is away, or its answer is none.
        """
        denials = self._denials
        asked_at, now = denials.monotonic(), self._clock()
        ended: Sequence[Revocation] | None = None
        loaded_at = self._loaded_at
        if not denials.is_to_reload(now=now):
            news = await self._ask(max(0, denials.seq - 1))
            if news.now >= loaded_at - CLOCK_SKEW:
                ended = news_in(news.revocations, seq=denials.seq, newest=denials.newest)
        if ended is None:
            # Also where its database is one from a backup; or nothing has ended for so long that our last was removed;
            # or its clock was ahead then, and left out what matters now that it was put back.
            news = await self._ask(None)
            ended, loaded_at = news.revocations, news.now
        denials.forget(asked_at=asked_at)
        self._learn(ended, now=now)
        newest = news.revocations[-1:]
        pages = 1
        while news.more:
            await asyncio.sleep(_BREATH)
            before, news = news.seq, await self._ask(news.seq)
            pages += 1
            if news.seq < before or (news.more and news.seq == before):
                raise Trouble("the feed goes backwards")
            if pages > _MOST_PAGES:
                raise Trouble("the feed has no end")
            self._learn(news.revocations, now=now)
            newest = news.revocations[-1:] or newest
        told = next((each for each in newest if each.seq == news.seq), None)
        denials.learnt_all(seq=news.seq, newest=told, asked_at=asked_at, now=now)
        self._loaded_at = loaded_at
        self._compare(news.keys)

    def _learn(self, ended: Sequence[Revocation], *, now: int) -> None:
        # Asked before, so that who is full learns no more; nobody passes then, for the news grow stale.
        if ended and self._denials.count >= _MOST_SESSIONS:
            raise Trouble("more sessions have ended than can be remembered")
        self._denials.learn(ended, now=now)

    async def follow(self) -> NoReturn:
        """Catch up for ever; less often while it fails, but only when nobody passes anyway.

        As long as the news last it is asked as often as ever: a longer pause could end when they are too old, although
        the login service was back before that.
        """
        pause = INTERVAL
        while True:
            try:
                await self.catch_up()
                pause = INTERVAL
                self._told.is_over()
            except Exception as fault:
                if not self._denials.is_stale:
                    pause = INTERVAL
                elif isinstance(fault, ServiceTokenRefused):
                    pause = _REFUSED_PAUSE
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE)
                if not isinstance(fault, Trouble) or self._denials.staleness > PROMISE:
                    self._told.say(fault)
            finally:
                self.tried.set()
            await asyncio.sleep(pause)
