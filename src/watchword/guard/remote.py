"""A login service elsewhere: its keys, and which of its sessions have ended, followed while the application runs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from watchword.beside import run_beside
from watchword.denials import Denials
from watchword.errors import Unavailable
from watchword.guard.feed import Feed
from watchword.guard.issuer import Issuer, News, Trouble, read_news
from watchword.guard.published import PublishedKeys, fetch_published
from watchword.keys import KeyRing
from watchword.model import Clock
from watchword.threads import Threads
from watchword.told import Told

if TYPE_CHECKING:
    from watchword.guard.wire import Wire

START_SECONDS: Final = 2.0
"""For how long an application waits at its start for a login service that may be away."""

_MAX_PAGE_BYTES: Final = 256 * 1024  # a thousand sessions take less than half of it
_PAGE_SECONDS: Final = 2.0
# All at once, at the start, from a login service that is older than its pages there.
_MAX_FEED_BYTES: Final = 32 * 1024 * 1024
_FEED_SECONDS: Final = 10.0
_SMALL_BYTES: Final = 16 * 1024

_log: Final = logging.getLogger("watchword.guard")


class Remote:
    """A login service that an application knows by its URL.

    Args:
        issuer: its address.
        ring: what is to become its published keys.
        denials: what is to know its ended sessions; None where it does not tell us.
        service_token: with which it tells us.
        clock: tells the time.
        monotonic: tells seconds on a clock that never goes back.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        ring: KeyRing,
        denials: Denials | None = None,
        service_token: str | None = None,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._issuer = issuer
        self._ring = ring
        self._denials = denials
        self._service_token = service_token
        self._clock = clock
        self._monotonic = monotonic
        self._keys: PublishedKeys | None = None
        self._was_missed = False
        self._running = AsyncExitStack()
        self._threads = ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Begin to follow; come back when it has answered, or could have.

        Raises:
            RuntimeError: the certificates to know it by cannot be read.
        """
        from watchword.guard.wire import Wire  # httpx is loaded by those alone who need it

        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # one that ended without a stop has taken along what ran in it, but no threads
            self._threads.close()
            self._loop, self._running = loop, AsyncExitStack()
        wire = Wire(is_encrypted=self._issuer.origin.startswith("https:"))
        self._threads.callback(wire.names.close)
        self._running.push_async_callback(wire.close)
        self._keys = keys = self._keep_keys(wire)
        tried = [keys.tried]
        if self._denials is None or self._service_token is None:
            _log.warning(
                "tokens are verified with the keys of %s; without WATCHWORD_SERVICE_TOKEN nobody tells which sessions "
                "have ended: a token is good until it expires",
                self._issuer.url,
            )
        else:
            tried.append(self._follow_feed(wire, keys, self._denials, self._service_token).tried)
            _log.info("tokens are verified with the keys of %s; ended sessions are followed", self._issuer.url)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                for event in tried:
                    await event.wait()

    def stay_silent(self) -> None:
        """Say of no request that nothing is followed: the caller has told the reason."""
        self._was_missed = True

    async def stop(self) -> None:
        """Follow no longer; the keys that are known stay."""
        self.stay_silent()
        self._keys = None
        with self._threads:
            await self._running.aclose()

    async def look_again(self) -> None:
        """Wait for newer keys, because a token names one that is not here.

        Raises:
            UnknownKey: nobody has it: they were asked for a moment ago.
            Unavailable: that cannot be told: they cannot be had, or not soon enough.
        """
        if self._keys is None:
            if not self._was_missed:
                self._was_missed = True
                _log.warning(
                    "guarded routes answer 503: the keys of %s are not fetched, for the application was not started; "
                    "does its server, or its test, send the events of ASGI's lifespan?",
                    self._issuer.url,
                )
            raise Unavailable("the login service is not followed")
        await self._keys.look_again()

    def _keep_keys(self, wire: "Wire") -> PublishedKeys:
        issuer = self._issuer.url
        told = Told(
            _log,
            trouble=f"the keys of {issuer} cannot be had",
            meanwhile="those known before stay; without any, guarded routes answer 503",
            over=f"the keys of {issuer} are there",
            foreseen=Trouble,
        )
        self._running.callback(told.close)
        keys = PublishedKeys(
            self._ring, fetch=partial(fetch_published, wire, self._issuer), told=told, monotonic=self._monotonic
        )
        run_beside(keys.keep(), self._running, log=_log)
        return keys

    def _follow_feed(self, wire: "Wire", keys: PublishedKeys, denials: Denials, service_token: str) -> Feed:
        # Not the event loop's own threads: the application's views run in them, and may all be slow at once.
        reader = Threads(1, name="news")
        self._threads.callback(reader.dismiss)

        async def ask(after: int | None) -> News:
            url = self._issuer.revocations_url
            if after is None:
                answer = await wire.get(url, limit=_MAX_FEED_BYTES, seconds=_FEED_SECONDS, token=service_token)
            else:
                page = f"{url}?after={after}"
                answer = await wire.get(page, limit=_MAX_PAGE_BYTES, seconds=_PAGE_SECONDS, token=service_token)
            if len(answer.body) <= _SMALL_BYTES:
                return read_news(answer.body)
            return await reader.run(partial(read_news, answer.body))

        issuer = self._issuer.url
        told = Told(
            _log,
            trouble=f"no news of ended sessions from {issuer}",
            meanwhile="after too long without any, guarded routes answer 503",
            over=f"there are news of ended sessions from {issuer}",
            foreseen=Trouble,
        )
        self._running.callback(told.close)
        feed = Feed(denials, ask=ask, compare=keys.compare, told=told, clock=self._clock)
        run_beside(feed.follow(), self._running, log=_log)
        return feed
