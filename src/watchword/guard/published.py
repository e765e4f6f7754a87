"""Keeping a ring as a login service publishes it: fetched at first, again and again, and when there is reason to.

Laws of this file:

1. Nothing that goes wrong takes a key away: until a good document comes the former keys stay.
2. However many tokens name keys that nobody has, they cause one fetch in ``INTERVAL``, and it is shared.
3. A token is refused for its unknown key only if the keys here are no older than ``INTERVAL``, for which each key is
   published before it signs. Else nobody here can tell, and who is told to log in again may have a good token.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from watchword.errors import Unavailable, UnknownKey
from watchword.guard.issuer import NO_KEYS, Issuer, Trouble, lifetime_of
from watchword.identifiers import new_id
from watchword.keys import MAX_JWKS_BYTES, KeyRefused, KeyRing
from watchword.told import Told

if TYPE_CHECKING:
    from watchword.guard.wire import Wire

INTERVAL: Final = 1.0
"""Seconds in which unknown keys cause one fetch. Before a key signs ``keys rotate --now`` publishes it for four; in
whole seconds, and with some tenths until all processes have read it, that may be little more than two and a half."""
PATIENCE: Final = 1.0
"""Seconds that a request with an unknown key waits for that fetch."""

_SECONDS: Final = 5.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


class Published(NamedTuple):
    """What was published at one time, and for how many seconds it need not be asked for again."""

    ring: KeyRing
    lifetime: float


async def fetch_published(wire: "Wire", issuer: Issuer) -> Published:
    """Ask a login service for its metadata, and for the keys that they lead to.

    Raises:
        Trouble: there is no answer, or none to be believed.
    """
    metadata = await wire.get(issuer.metadata_url, limit=MAX_JWKS_BYTES, seconds=_SECONDS)
    jwks_uri = _past_caches(issuer.read_jwks_uri(metadata.body))
    answer = await wire.get(jwks_uri, limit=MAX_JWKS_BYTES, seconds=_SECONDS)
    try:
        ring = KeyRing.from_jwks(answer.body)
    except KeyRefused as fault:
        raise Trouble(str(fault)) from None
    if not len(ring):
        raise Trouble(NO_KEYS)
    return Published(ring, lifetime_of(answer.cache_control))


def _past_caches(jwks_uri: str) -> str:
    """The same address as nobody has asked for it yet.

    A shared cache on the way need not heed the ``no-cache`` of a request, as nginx does not. Its copy would hide a new
    key, and keep one in force that was retired.
    """
    return jwks_uri if "?" in jwks_uri else f"{jwks_uri}?fresh={new_id()}"


class PublishedKeys:
    """Keeps a ring.

    Args:
        ring: what to keep.
        fetch: gets what is published now, or raises ``Trouble``.
        told: what has been said of trouble.
        monotonic: tells seconds on a clock that never goes back.

    Attributes:
        tried: set when the first fetch is over, well or not.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        fetch: Callable[[], Awaitable[Published]],
        told: Told,
        monotonic: Callable[[], float],
    ) -> None:
        self.tried = asyncio.Event()
        self._ring = ring
        self._fetch = fetch
        self._told = told
        self._monotonic = monotonic
        self._renewal: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE
        self._next_pause = _FIRST_PAUSE
        self._looked_at = -inf
        self._asked_at = -inf  # for what is here; never while newer ones are asked for, or cannot be had
        self._hint = ""
        self._hinted_at = -inf

    async def keep(self) -> NoReturn:
        """Fetch for ever: when what is known has become old, or soon after a failure."""
        try:
            while True:
                await asyncio.wait([self._renew()])
                await asyncio.sleep(self._pause)
        finally:
            if self._renewal is not None:
                self._renewal.cancel()
                await asyncio.wait([self._renewal])

    async def look_again(self) -> None:
        """Wait for newer keys, because a token names one that is not here.

        Raises:
            UnknownKey: nobody has it: they were asked for a moment ago.
            Unavailable: that cannot be told: they cannot be had, or not soon enough.
        """
        arrived, before = self._monotonic(), self._ring.version
        is_too_soon = not self._is_renewing and arrived < self._looked_at + INTERVAL
        if not is_too_soon:
            if not self._is_renewing:
                self._looked_at = arrived
            await asyncio.wait([self._renew()], timeout=PATIENCE)
        if self._ring.version is before and self._asked_at < arrived - INTERVAL:
            raise Unavailable("it is not known which keys the login service has")
        if is_too_soon:
            raise UnknownKey("kid")

    def compare(self, fingerprint: str) -> None:
        """Fetch at once if the login service has other keys by now, as it says elsewhere.

        If what it publishes does not become what it says, no more than once in ``INTERVAL``.
        """
        if fingerprint == self._ring.fingerprint or self._is_renewing:  # one that is under way may be too early
            return
        if fingerprint != self._hint or self._monotonic() >= self._hinted_at + INTERVAL:
            self._hint, self._hinted_at = fingerprint, self._monotonic()
            self._renew()

    @property
    def _is_renewing(self) -> bool:
        return self._renewal is not None and not self._renewal.done()

    def _renew(self) -> "asyncio.Task[None]":
        """The fetch that is under way, or a new one: no request's own, so that none can end it by going away."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._replace())
        return self._renewal

    async def _replace(self) -> None:
        asked_at, self._asked_at = self._monotonic(), -inf
        try:
            published = await self._fetch()
            if published.ring.jwks() != self._ring.jwks():  # else all that was verified would be verified anew
                self._ring.replace(published.ring)
            self._asked_at = asked_at
            self._pause, self._next_pause = published.lifetime, _FIRST_PAUSE
            self._told.is_over()
        except Exception as fault:
            self._told.say(fault)
            self._pause, self._next_pause = self._next_pause, min(2 * self._next_pause, _LONGEST_PAUSE)
        finally:
            self.tried.set()
