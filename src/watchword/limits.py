"""The throttle's rules as functions of (state, now): how often a password may be guessed, and how long to wait then.

A ``Tally`` counts the guesses at one thing: at an account by strangers, at an account from one network that has logged
into it before, from all that had with its former password, or from one network at whatever account. Laws of this file:

1. A guess is charged before its hash is computed: it is in flight until it is settled as failed, right, or never made.
   What is in flight fills the same room as failures, so that any number who guess at once are let in no further.
2. The first failures cost nothing, each one after them a wait that is twice the one before: half a minute more than the
   guessing that brought it on has lasted. No wait is for ever, nor longer than the failures are remembered for.
3. A right guess takes back its own charge, and the failures that were counted when it was charged: they were the
   owner's, or consecutive no longer (NIST SP 800-63B-4 §3.2.2). Failures of meanwhile stay.
4. What is never settled, because its process was killed, becomes a failure after one to two ``LEASE``.
5. Failures are forgotten one by one, slowly.

Times are whole seconds of the wall clock, for all nodes and every restart must read them. A clock that is put forward
opens what that time would have opened, once; one that is put back makes nobody wait for longer than once more the wait
that the failures stand for.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from watchword.errors import TooManyAttempts

LEASE: Final = 60
"""Seconds after which an unsettled guess begins to be held for a failed one; a login takes a few seconds at most."""
FAMILIAR_FOR: Final = 90 * 86_400
"""Seconds after a login for which its network is familiar to the account."""

_A_DAY: Final = 86_400
_MOST_DOUBLINGS: Final = 32
"""So that no huge number is computed: with these a wait is four thousand years, and bounded otherwise long before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of tally allows.

    Attributes:
        of: what is guessed at, for our own counting.
        by: who guesses, for the audit trail.
        free: failures that cost no wait; also how many guesses may be in flight at once.
        first_wait: seconds to wait after the first that does; each further one doubles it.
        forgotten_after: seconds after which one failure is forgotten.
    """

    of: str
    by: str
    free: int
    first_wait: int
    forgotten_after: int

    def wait_after(self, failures: int) -> int:
        """Seconds from the last of so many failures until the next guess: no longer than they are remembered.

        Failures that overlapped may be many more than the first that costs a wait; doubled for each, that of one burst
        would be years.
        """
        if failures < self.free:
            return 0
        doubled = self.first_wait * 2 ** min(failures - self.free, _MOST_DOUBLINGS)
        return int(min(doubled, (failures - self.free + 1) * self.forgotten_after))


STRANGERS: Final = Rule(of="account", by="strangers", free=10, first_wait=30, forgotten_after=30 * 86_400)
"""At one account, from all networks that have not logged into it. The tenth failure costs 30 seconds; in a year of
guessing at every chance 38 are evaluated, in six years fewer than 100."""
FAMILIAR: Final = Rule(of="account", by="familiar", free=20, first_wait=30, forgotten_after=30 * 86_400)
"""At one account, from one network that has logged into it before, with the present password."""
FORMER: Final = Rule(of="account", by="former", free=20, first_wait=30, forgotten_after=30 * 86_400)
"""At one account, from all networks together that had logged into it with the password before. Whoever had that may
have made any number familiar; but the owner, too, is at one of them, and is to get in past strangers."""
NETWORK: Final = Rule(of="network", by="network", free=100, first_wait=30, forgotten_after=300)
"""From one network, at all accounts that it is strange to."""


def familiar_until(until: int, *, now: int) -> int:
    """Until when a network is familiar after one more login; to the day, as an index has to follow each change."""
    return until if until > now + FAMILIAR_FOR - _A_DAY else now + FAMILIAR_FOR


class InFlight(Exception):  # nobody is refused yet
    """The room is taken by guesses that are not settled; whether there is any is known once they are."""


class Tally(NamedTuple):  # several are made for each login, and a tuple is what a row is
    """What is remembered of the guesses at one thing.

    Attributes:
        failures: not forgotten yet.
        since: from when on the next one is being forgotten.
        until: before this no guess is let in.
        lease: in which ``LEASE`` since the epoch the youngest in flight were charged.
        young: how many of that lease are in flight.
        old: how many of the one before.
    """

    failures: int = 0
    since: int = 0
    until: int = 0
    lease: int = 0
    young: int = 0
    old: int = 0

    @property
    def in_flight(self) -> int:
        """Guesses that are charged and not settled."""
        return self.young + self.old

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.failures and not self.in_flight

    def over_at(self, rule: Rule) -> int:
        """When there is nothing left to remember if nothing happens any more."""
        leased = (self.lease + 2) * LEASE if self.in_flight else 0
        failures = self.failures + self.in_flight
        return max(self.until, leased, max(self.since, leased) + failures * rule.forgotten_after if failures else 0)

    def is_ahead(self, rule: Rule, *, now: int) -> bool:
        """Whether its wait was begun by a clock that has been put back since; then it is to be stored as of now."""
        return self.until > now + rule.wait_after(self.failures)

    def admit(self, rule: Rule, *, now: int) -> Self:
        """See whether one more guess may be let in at all.

        Returns:
            The tally as of now.

        Raises:
            TooManyAttempts: not yet.
        """
        tally = self.as_of(rule, now=now)
        if now < tally.until:
            raise TooManyAttempts(rule.of, retry_after=tally.until - now)
        return tally

    def charged(self, rule: Rule, *, now: int) -> Self:
        """Let one more guess in. Its lease is the one of the tally that is returned.

        Raises:
            TooManyAttempts: not yet.
            InFlight: that depends on how those end that are in flight.
        """
        tally = self.admit(rule, now=now)
        if tally.in_flight >= max(1, rule.free - tally.failures):
            raise InFlight
        return tally._replace(young=tally.young + 1)

    def failed(self, rule: Rule, *, now: int, lease: int) -> Self:
        """Settle a guess as wrong."""
        tally = self.as_of(rule, now=now)
        released = tally._released(lease)
        return tally if released is None else released._with_failures(1, rule, now=now)  # else it is held for one

    def noted(self, rule: Rule, *, now: int) -> Self:
        """Count a wrong guess that was charged elsewhere."""
        return self.as_of(rule, now=now)._with_failures(1, rule, now=now)

    def succeeded(self, rule: Rule, *, now: int, lease: int, forgiven: int) -> Self:
        """Settle a guess as right.

        Args:
            rule: the tally's.
            now: the time.
            lease: in which it was charged.
            forgiven: the failures that were counted then.
        """
        tally = self.as_of(rule, now=now)
        released = tally._released(lease)
        if released is None:
            return tally._without(forgiven + 1, rule)
        return released._without(forgiven, rule)

    def returned(self, rule: Rule, *, now: int, lease: int) -> Self:
        """Settle a guess that was never made."""
        tally = self.as_of(rule, now=now)
        released = tally._released(lease)
        return tally._without(1, rule) if released is None else released

    def made_familiar(self, *, now: int) -> Self:
        """The first tally of a network that is becoming familiar, from the one that its guess is charged to, before.

        What others have used of that room is used of this one too: else who guesses right in the midst of a burst
        would have the room of both.
        """
        used = self.failures + self.in_flight - 1
        return type(self)(failures=min(used, STRANGERS.free), since=now) if used > 0 else type(self)()

    def more_familiar(self, *, now: int) -> Self:
        """The tally of a network that is familiar already, since a guess that counted this right one as used."""
        return self.as_of(FAMILIAR, now=now)._without(1, FAMILIAR)

    def as_of(self, rule: Rule, *, now: int) -> Self:
        """The same tally when time has passed: what is forgotten, and what was never settled."""
        if not self.failures and not self.until and now // LEASE == self.lease:
            return self  # as nearly always
        return self._with_leases_ended(rule, now=now)._with_time_passed(rule, now=now)

    def _with_time_passed(self, rule: Rule, *, now: int) -> Self:
        since = min(self.since, now)  # after a step back of the clock
        forgotten = min(self.failures, (now - since) // rule.forgotten_after)
        failures = self.failures - forgotten
        return self._replace(
            failures=failures,
            since=since + forgotten * rule.forgotten_after if failures else 0,
            until=min(self.until, now + rule.wait_after(self.failures)),
        )

    def _with_leases_ended(self, rule: Rule, *, now: int) -> Self:
        lease = now // LEASE
        if lease < self.lease - 1:  # the clock was put back: they have their whole lease before them
            return self._replace(lease=lease, young=0, old=self.in_flight)
        tally = self
        while tally.in_flight and tally.lease < lease:
            tally = tally._with_a_lease_ended(rule)
        return tally._replace(lease=max(lease, tally.lease))  # other nodes' clocks may be ahead of ours

    def _with_a_lease_ended(self, rule: Rule) -> Self:
        """What is old fails, when the lease ends and not when somebody looks.

        Of a look that is refused nothing is stored, so that the next one would begin the wait again, and so for ever.
        """
        ended = (self.lease + 1) * LEASE
        tally = self._replace(lease=self.lease + 1, young=0, old=self.young)
        return tally._with_time_passed(rule, now=ended)._with_failures(self.old, rule, now=ended) if self.old else tally

    def _released(self, lease: int) -> Self | None:
        """Without one that is in flight; None if it is no longer."""
        if lease == self.lease and self.young:
            return self._replace(young=self.young - 1)
        # One of a later lease is from before a step back of the clock.
        if (lease == self.lease - 1 or lease > self.lease) and self.old:
            return self._replace(old=self.old - 1)
        return None

    def _with_failures(self, more: int, rule: Rule, *, now: int) -> Self:
        failures = self.failures + more
        return self._replace(
            failures=failures,
            since=self.since if self.failures else now,
            until=max(self.until, now + rule.wait_after(failures)) if rule.wait_after(failures) else self.until,
        )

    def _without(self, forgiven: int, rule: Rule) -> Self:
        failures = max(0, self.failures - forgiven)
        return self._replace(
            failures=failures,
            since=self.since if failures else 0,
            until=self.until if rule.wait_after(failures) else 0,
        )
