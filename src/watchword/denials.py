"""Which sessions have ended before their time: asked on each request, in memory, without I/O.

It learns of revocations from whoever follows the table, and of this process's own at once. Laws of this file:

1. What is remembered is forgotten by a clock that nobody can set, and only when no token of the session can live.
2. Who does not know what has ended lately lets nobody pass: too long without news, the answer is ``Unavailable``.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Final

from watchword.errors import InvalidToken, Unavailable
from watchword.model import Revocation
from watchword.tokens import CLOCK_SKEW

MAX_STALENESS: Final = 5.0
"""Seconds without news after which nobody passes, unless somebody has decided otherwise."""

_ROUNDING: Final = 2.0
"""Seconds by which two clocks that go alike may differ, one of which tells whole seconds."""


class Denials:
    """The sessions whose tokens are refused although they verify.

    Attributes:
        seq: all revocations up to this number are known.
        newest: the one of that number; None where it was not told.
        monotonic: tells seconds on a clock that never goes back.

    Args:
        monotonic: the same.
        max_staleness: seconds without news after which nobody passes.
    """

    def __init__(self, *, monotonic: Callable[[], float], max_staleness: float = MAX_STALENESS) -> None:
        self.seq = 0
        self.newest: Revocation | None = None
        self.monotonic = monotonic
        self._max_staleness = max_staleness
        self._until: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []
        self._told_at = -inf
        self._wall_clock: int | None = None

    def check(self, session_id: str) -> None:
        """Ask whether a session has ended.

        Raises:
            InvalidToken: it has.
            Unavailable: nobody knows, for want of news.
        """
        if self.knows(session_id):
            raise InvalidToken("revoked")
        if self.is_stale:
            raise Unavailable("which sessions have ended is not known")

    def knows(self, session_id: str) -> bool:
        """Whether it is known that a session has ended."""
        return session_id in self._until

    @property
    def staleness(self) -> float:
        """Seconds for which a session that ended elsewhere may have gone unnoticed."""
        return self.monotonic() - self._told_at

    @property
    def count(self) -> int:
        """How many sessions are remembered."""
        return len(self._until)

    @property
    def is_stale(self) -> bool:
        """Whether nobody passes, for want of news."""
        return self.staleness > self._max_staleness

    def is_to_reload(self, *, now: int) -> bool:
        """Whether the next news must be everything: at first, and when the wall clock was put back.

        Tokens that had expired then live again, and the end of their sessions may be forgotten already. Without news
        for a while, a clock that was put back can be ahead of where it was, and yet behind where it should be.
        """
        if self._wall_clock is None:
            return True
        return now < max(self._wall_clock, self._wall_clock + self.staleness - _ROUNDING)

    def learn(self, revocations: Iterable[Revocation], *, now: int) -> None:
        """Remember sessions that have ended.

        Args:
            revocations: what ended.
            now: the wall clock's time.
        """
        learnt_at = self.monotonic()
        for revocation in revocations:
            # By the clock of whoever revoked it and by ours, which may differ.
            lifetime = revocation.expires_at - min(now, revocation.revoked_at)
            until = learnt_at + max(0, lifetime) + CLOCK_SKEW
            known = self._until.get(revocation.session_id)
            if known is None:
                heappush(self._order, (until, revocation.session_id))
            self._until[revocation.session_id] = until if known is None else max(known, until)

    def learnt_all(self, *, seq: int, newest: Revocation | None = None, asked_at: float, now: int) -> None:
        """Note that all is known that had happened when the question was asked; forget what is over.

        Args:
            seq: the newest number.
            newest: the revocation of that number, if it was told.
            asked_at: when, on the monotonic clock.
            now: and on the wall clock.
        """
        self.seq, self.newest = seq, newest
        self._told_at = asked_at
        self._wall_clock = now
        self.forget(asked_at=asked_at)

    def forget(self, *, asked_at: float) -> None:
        """Forget what is over; only once it is known whether the wall clock was put back.

        Args:
            asked_at: as for ``learnt_all``.
        """
        while self._order and self._order[0][0] <= asked_at:
            _, session_id = heappop(self._order)
            until = self._until[session_id]
            if until > asked_at:  # it was learnt again, and the later one counts
                heappush(self._order, (until, session_id))
            else:
                del self._until[session_id]


def news_in(page: Sequence[Revocation], *, seq: int, newest: Revocation | None) -> Sequence[Revocation] | None:
    """What is new on a page that was asked for from the last known number on, and not from behind it.

    A database that comes from a backup gives its numbers again. Who looked at those alone would pass over the sessions
    that end under numbers which were seen before.

    Args:
        page: begins with the revocation of that number, as long as the table has it.
        seq: the number; 0 for none yet.
        newest: its revocation; None if it was not told.

    Returns:
        What stands behind it; None if it is gone or another: then only everything is news.
    """
    if seq <= 0:  # below it only a foreign hand numbers
        return page
    if not page or page[0].seq != seq or newest not in (None, page[0]):
        return None
    return page[1:]
