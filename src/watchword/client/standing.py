"""What the service said last: an access token, and when its successor is sought; or that there is none."""

from dataclasses import dataclass, field
from math import inf
from typing import Final, Self

import httpx

from watchword.client.errors import LoginRefused, SessionOver

MARGIN_SECONDS: Final = 30.0
MARGIN_SHARE: Final = 0.1
"""How long before its expiry a token is renewed: the lesser of the two, the share being of its lifetime; where that is
some seconds, a little more."""

EARLY_PAUSE: Final = 3.0
"""Seconds between two tries to renew a token that lives, from when the first began: a service that is gone fails or
delays the one that tries. Two of them, and a second each until a request comes, are less than the nine for which a
refresh may be repeated."""

SUSPICION_PAUSE: Final = 10.0
"""Seconds between two successors that are sought because an endpoint hung up, or refused what cannot be repeated."""


@dataclass(slots=True)
class Access:
    """An access token that the service gave.

    Attributes:
        authorization: the header's value.
        due_at: by our clock, when a successor is sought for its age.
        expires_at: by our clock, when the token is over.
        renewable_from: by our clock, when a refusal is first a reason to seek a successor.
        renew_at: by our clock, when a successor is sought while this one lives, for whichever reason.
    """

    authorization: str = field(repr=False)
    due_at: float
    expires_at: float
    renewable_from: float
    renew_at: float = field(init=False)
    _rests_until: float = field(init=False, default=-inf)
    _suspected_at: float = field(init=False, default=-inf)

    def __post_init__(self) -> None:
        self.renew_at = self.due_at

    @classmethod
    def given(cls, token: str, *, lifetime: int, counted_from: float, renewable_from: float) -> Self:
        """One that lives for so many seconds from then on."""
        # A token's ``exp`` is whole seconds, and so comes up to one before its lifetime says.
        margin = min(MARGIN_SECONDS, max(MARGIN_SHARE * lifetime, min(1.0, lifetime / 3)))
        expires_at = counted_from + lifetime
        return cls(f"Bearer {token}", due_at=expires_at - margin, expires_at=expires_at, renewable_from=renewable_from)

    def rest(self, *, now: float) -> None:
        """Have the next try wait for a moment, as one begins."""
        self.renew_at = self._rests_until = now + EARLY_PAUSE

    def wait_for_its_age(self) -> None:
        """Have a successor sought for no other reason."""
        self.renew_at = max(self.renew_at, self.due_at)

    def suspect(self, *, now: float) -> None:
        """Have a successor sought by the next request, or soon after one has tried; but not again and again."""
        if now >= self._suspected_at + SUSPICION_PAUSE:
            self._suspected_at = now
            self.renew_at = min(self.renew_at, max(now, self._rests_until))

    def doubt(self, *, now: float) -> None:
        """Suspect it on slight grounds, and not where a successor came a moment ago or is sought in a moment."""
        if self.renewable_from + SUSPICION_PAUSE <= now < self.renew_at - SUSPICION_PAUSE:
            self.suspect(now=now)


@dataclass(frozen=True, slots=True)
class Refused:
    """The service's word that there is no token for us; it holds for those who waited for it, and for a while.

    Attributes:
        reason: what it is to the caller.
        message: the same in words.
        until: by our clock, when the service may be asked again.
    """

    reason: type[LoginRefused | SessionOver]
    message: str
    until: float

    def error(self, request: httpx.Request) -> LoginRefused | SessionOver:
        """What to raise for a request."""
        return self.reason(self.message, request=request)
