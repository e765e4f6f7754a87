"""Who may wait for a hash, and who is sent away: a rule on how long each would wait, with the time handed in.

A queue without a bound only turns every answer into a late one. So this one knows how long a job takes and how many
wait, and sends away at once whoever would wait too long. Laws of this file:

1. Whoever was sent away and comes back is let in before newcomers from the same network: part of the queue is kept for
   them. Otherwise those inside, who ask again the moment they are answered, would take every place that falls free, and
   some outside would never get one.
2. ``retry_after`` is the time to work off all who wait before one and all from there who were told to come back.
3. Networks take turns, and each is judged by the wait that this leaves it: one that floods fills a queue of its own,
   and who comes from elsewhere waits for one of its jobs and not for all.
4. Of a network that is refused again and again nobody is heard for the rest of a second: a flood costs little, or the
   refusals would take from the hashes what they need.

Times are seconds of a clock that never goes back.
"""

from collections import Counter, defaultdict
from math import ceil
from typing import Final

from watchword.errors import Overloaded

_NEWCOMERS: Final = 0.7
"""The part of the longest wait that newcomers may fill while somebody is expected back."""
_MOST_HEARD: Final = 100
"""How many of one network are refused within a second before no more of them are heard."""
_LONGEST_RETRY: Final = 30
_MOST_EXPECTED: Final = 10_000
_MOST_EXPECTED_FROM_ONE: Final = 1_000
"""So that one network's flood does not keep those of others from being remembered."""


class Queue:
    """How many are inside, from where, and who is expected back.

    Args:
        threads: how many jobs run at once.
        max_wait: seconds that one may have to wait for its turn.
        job_seconds: that a job takes.

    Attributes:
        max_wait: as given.
        job_seconds: as is known now.
        depth: how many have entered and not left.
    """

    def __init__(self, *, threads: int, max_wait: float, job_seconds: float) -> None:
        self.max_wait = max_wait
        self.job_seconds = job_seconds
        self.depth = 0
        self._threads = threads
        self._depths: dict[str, int] = {}
        self._expected_back: dict[int, tuple[int, str]] = {}
        self._expected_until: defaultdict[int, set[int]] = defaultdict(set)
        self._expected_from: Counter[str] = Counter()
        self._refused_in = 0
        self._refused: Counter[str] = Counter()

    @property
    def expected_wait(self) -> float:
        """Seconds until everything that is inside now has begun, and one more would."""
        return self._wait_behind(self.depth)

    def turn_away(self, network: str, *, now: float) -> None:
        """Refuse a network that floods before anybody asks who of it wants to enter, and that costs much less.

        Raises:
            Overloaded: many of it were refused within this second, and nobody of it could enter now.
        """
        if (
            self._refused[network] >= _MOST_HEARD
            and self._refused_in == int(now)
            and self._wait_behind(self._before(network)) > self.max_wait
        ):
            raise Overloaded("the hash pool is full", retry_after=self._advice(network))

    def enter(self, claimant: str, network: str, *, now: float) -> None:
        """Let one in.

        Args:
            claimant: by what one who was sent away is known again.
            network: with whom one shares the turns.
            now: the time.

        Raises:
            Overloaded: the turn would not come in time.
        """
        known = hash((claimant, network))
        self._forget_those_who_stay_away(now)
        was_sent_away = known in self._expected_back
        if was_sent_away:
            self._expect_no_more(known)
        share = 1.0 if was_sent_away or network not in self._expected_from else _NEWCOMERS
        if self._wait_behind(self._before(network)) > share * self.max_wait:
            raise Overloaded("the hash pool is full", retry_after=self._send_away(known, network, now))
        self.depth += 1
        self._depths[network] = self._depths.get(network, 0) + 1

    def leave(self, network: str) -> None:
        """Note that one of those inside has left."""
        self.depth -= 1
        left = self._depths[network] - 1
        if left:
            self._depths[network] = left
        else:
            del self._depths[network]

    def _before(self, network: str) -> int:
        """How many jobs come before a new one of this network: as many of each other as of its own, and one."""
        own = self._depths.get(network, 0)
        return sum(min(depth, own + 1) for depth in self._depths.values())

    def _wait_behind(self, jobs: int) -> float:
        return max(0, jobs - self._threads + 1) * self.job_seconds / self._threads

    def _send_away(self, known: int, network: str, now: float) -> int:
        if self._refused_in != int(now):
            self._refused_in = int(now)
            self._refused.clear()
        self._refused[network] += 1
        seconds = self._advice(network)
        if len(self._expected_back) < _MOST_EXPECTED and self._expected_from[network] < _MOST_EXPECTED_FROM_ONE:
            until = int(now) + 2 * max(1, seconds)
            self._expected_back[known] = until, network
            self._expected_until[until].add(known)
            self._expected_from[network] += 1
        return seconds

    def _advice(self, network: str) -> int:
        ahead = self._before(network) + self._expected_from[network]
        return min(_LONGEST_RETRY, ceil(ahead * self.job_seconds / self._threads))

    def _forget_those_who_stay_away(self, now: float) -> None:
        for second in [second for second in self._expected_until if second < now]:
            for known in tuple(self._expected_until[second]):
                self._expect_no_more(known)

    def _expect_no_more(self, known: int) -> None:
        until, network = self._expected_back.pop(known)
        self._expected_until[until].discard(known)
        if not self._expected_until[until]:
            del self._expected_until[until]
        self._expected_from[network] -= 1
        if not self._expected_from[network]:
            del self._expected_from[network]
