"""What the service said last: an access token, and when its successor is sought; that there is none; or nothing."""

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

LAST_WORD: Final = 10.0
"""Seconds for which a refusal is the last word about a token: one that was got because its predecessor was refused, as
of an endpoint that takes no token of ours, for its clock or its audience is wrong, each request would cause a refresh;
or one that a repeated refresh got, which must not be spent while the lost one may arrive."""

LONGEST_SILENCE: Final = 15.0
"""Seconds without an answer, after which the outcome of a refresh is asked for no more: each try fails a request."""


@dataclass(slots=True)
class Access:
    """An access token that the service gave.

    Attributes:
        authorization: the header's value.
        given_at: by our clock, when it came.
        due_at: by our clock, when a successor is sought for its age.
        expires_at: by our clock, when the token is over.
        last_word_until: by our clock, until when a refusal is no reason to seek a successor.
        is_refused: whether an endpoint has given such a reason.
    """

    authorization: str = field(repr=False)
    given_at: float
    due_at: float
    expires_at: float
    last_word_until: float
    is_refused: bool = field(init=False, default=False)
    _is_suspected: bool = field(init=False, default=False)
    _suspected_at: float = field(init=False, default=-inf)
    _rests_until: float = field(init=False, default=-inf)

    @classmethod
    def given(
        cls,
        token: str,
        *,
        lifetime: int,
        counted_from: float,
        after: "Access | None",
        is_repeated: bool,
        now: float,
    ) -> Self:
        """One that lives for so many seconds from then on.

        Args:
            token: the token itself.
            lifetime: in seconds.
            counted_from: by our clock.
            after: the one before, if any.
            is_repeated: whether a refresh of before may still be under way. Were its successor exchanged too before
                that arrives, it would look like a theft.
            now: by our clock.
        """
        # A token's ``exp`` is whole seconds, and so comes up to one before its lifetime says.
        margin = min(MARGIN_SECONDS, max(MARGIN_SHARE * lifetime, min(1.0, lifetime / 3)))
        expires_at = counted_from + lifetime
        last_word_until = after.last_word_until if after is not None else -inf
        if is_repeated or (after is not None and after.is_refused):
            last_word_until = now + LAST_WORD
        return cls(
            f"Bearer {token}",
            given_at=now,
            due_at=expires_at - margin,
            expires_at=expires_at,
            last_word_until=last_word_until,
        )

    def is_over(self, *, now: float) -> bool:
        """Whether it has expired."""
        return now >= self.expires_at

    def wants_a_successor(self, *, now: float, is_lost: bool) -> bool:
        """Whether one is to be sought though it lives: for its age, on suspicion, or because one may have been lost.

        Not where another request has just tried.
        """
        return now >= self._rests_until and (now >= self.due_at or self._is_suspected or is_lost)

    def begin_try(self, *, now: float) -> None:
        """Have the next try wait for a moment, as one begins, which is the answer to a suspicion."""
        self._rests_until = now + EARLY_PAUSE
        self._is_suspected = False

    def try_again_soon(self) -> None:
        """Have no pause before the next try, as this one met a service that is busy, and failed nobody."""
        self._rests_until = -inf
        self._is_suspected = True

    def suspect(self, *, now: float) -> None:
        """Have a successor sought by the next request, but not again and again."""
        if now >= self._suspected_at + SUSPICION_PAUSE:
            self._suspected_at = now
            self._is_suspected = True

    def doubt(self, *, now: float) -> None:
        """Suspect it on slight grounds, and not where it is itself the answer to such a doubt."""
        if now >= self.given_at + SUSPICION_PAUSE:
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

    def is_over(self, *, now: float) -> bool:
        """Whether the service may be asked again."""
        return now >= self.until

    def error(self, request: httpx.Request) -> LoginRefused | SessionOver:
        """What to raise for a request."""
        return self.reason(self.message, request=request)


class Silence:
    """For how long nobody has answered; where nobody was asked for as long as that may be, another one begins."""

    def __init__(self) -> None:
        self._since = inf
        self._asked_at = -inf

    def asked(self, *, now: float) -> None:
        """Take it that the service was asked."""
        if self._since == inf or now > self._asked_at + LONGEST_SILENCE:
            self._since = now
        self._asked_at = now

    def answered(self) -> None:
        """End it."""
        self._since = inf

    def is_long(self, *, now: float) -> bool:
        """Whether it has lasted for too long."""
        return now >= self._since + LONGEST_SILENCE
