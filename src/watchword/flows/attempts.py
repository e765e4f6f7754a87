"""An attempt to prove a password, as the throttle sees it: charged before the hash is computed, settled after.

    charge ─┬─ the hash fits ───────► succeed     the charge is taken back, and the failures that it came after
            ├─ it does not ─────────► fail        one more of the account, and of a network that is strange to it
            ├─ nothing was guessed ─► give_back   a fault, or a client who left before the hash was begun
            └─ nobody is left ──────►             a failure, after one to two LEASE: the process was killed

Charging and finding the user are one hand-over to the database. Between the charge and its settlement nothing is held.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from watchword.audit import Event
from watchword.errors import (
    InvalidCredentials,
    Overloaded,
    TooManyAttempts,
    Unavailable,
    Unconfirmed,
    UnreadableHash,
)
from watchword.flows import Tools
from watchword.flows.outcomes import count_unheard
from watchword.limits import (
    FAMILIAR,
    FAMILIAR_FOR,
    FORMER,
    LEASE,
    NETWORK,
    STRANGERS,
    InFlight,
    Rule,
    Tally,
    familiar_until,
)
from watchword.model import User
from watchword.passwords.pool import Place
from watchword.recorder import Asker
from watchword.store import Story, tallies
from watchword.store.connection import Connection
from watchword.store.tallies import Entry
from watchword.throttle import TRY_AGAIN, Throttle, account_named

_TRIES: Final = 10
"""Whoever loses a race for a row looks at it again; more losses than these are treated as no room."""
_TIMES_GIVEN_BACK: Final = int(LEASE / TRY_AGAIN)
_PATIENCE: Final = 2
"""For how many times HASH_MAX_WAIT one waits for others' attempts, which themselves may wait as long for their hash."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A guess that is charged and not settled.

    Attributes:
        asker: who guesses.
        user: whose password is guessed, as of then; None if there is none.
        account: that of whoever it is said to be, as the throttle names it.
        rule: by which it counts.
        charged: the entry that it was charged to, as of then.
        pair: the entry of account, password and network, as of before.
        network: the entry of the network, as of before.
    """

    asker: Asker
    user: User | None
    account: str
    rule: Rule
    charged: Entry
    pair: Entry
    network: Entry

    @property
    def why_not(self) -> str:
        """What is wrong with the credentials, if they are; for our own counting, never for the client."""
        if self.user is None:
            return "unknown user"
        if self.user.is_disabled:
            return "disabled"
        return "no password" if self.user.password_hash is None else "wrong password"

    @property
    def failures_before(self) -> int:
        """How many are counted against the account, or against this network at it."""
        return self.charged.tally.failures

    async def succeed(self, connection: Connection, *, now: int) -> None:
        """Settle it as right: the charge is taken back, and from now on the network is familiar to the account."""
        lease, forgiven = self.charged.tally.lease, self.charged.tally.failures
        before = self.charged.tally

        def changed(tally: Tally) -> Tally:
            nonlocal before
            before = tally.as_of(self.rule, now=now)
            return tally.succeeded(self.rule, now=now, lease=lease, forgiven=forgiven)

        await self._settle(connection, changed, now=now)
        if self.rule is not FAMILIAR:
            # Where another login was quicker, the network is familiar already and has a tally of its own.
            await _rewrite(
                connection,
                self.pair,
                lambda entry: (
                    entry.tally.more_familiar(now=now) if entry.over_at > now else before.made_familiar(now=now),
                    now + FAMILIAR_FOR,
                ),
            )

    async def acquaint(self, throttle: Throttle, connection: Connection, *, version: int, now: int) -> None:
        """Make the network familiar with the password of this version, which has just been chosen from there."""
        if self.user is not None:
            user = replace(self.user, password_version=version)
            pair = throttle.keys(self.account, self.asker.network, user).pair
            await tallies.put(connection, Entry(pair), tally=Tally(), over_at=now + FAMILIAR_FOR)

    async def fail(self, connection: Connection, *, now: int) -> int:
        """Settle it as wrong, for the account and, where that is a stranger to it, for the network.

        Returns:
            For how many seconds the account is closed by it, to all strangers or to this network; mostly 0.
        """
        lease = self.charged.tally.lease
        tally = await self._settle(connection, lambda tally: tally.failed(self.rule, now=now, lease=lease), now=None)
        if self.rule is not FAMILIAR:
            # Last, and so locked for the shortest time: it is the row that others have in common with us.
            await _rewrite(
                connection, self.network, lambda entry: _with_end(entry.tally.noted(NETWORK, now=now), NETWORK)
            )
        return max(0, tally.until - now)

    async def give_back(self, connection: Connection, *, now: int) -> None:
        """Settle it as never made."""
        lease = self.charged.tally.lease
        await self._settle(connection, lambda tally: tally.returned(self.rule, now=now, lease=lease), now=None)

    async def _settle(self, connection: Connection, change: Callable[[Tally], Tally], *, now: int | None) -> Tally:
        def changed(entry: Entry) -> tuple[Tally, int]:
            tally = change(entry.tally)
            if self.rule is not FAMILIAR:
                return _with_end(tally, self.rule)
            return tally, entry.over_at if now is None else familiar_until(entry.over_at, now=now)

        return await _rewrite(connection, self.charged, changed)


async def charge(
    tools: Tools, *, place: Place, username: str, asker: Asker, find: Story[User | None] | None
) -> Attempt:
    """Charge an attempt and find the user, when it is the place's turn.

    Where the room is taken by attempts that are not settled yet, this waits for them: they may be right.

    Raises:
        TooManyAttempts: too many have failed.
        Overloaded: others' attempts were not settled in time.
        Unavailable: the database is away, slow or locked.
    """
    account = account_named(username)
    patience = _PATIENCE * tools.hasher.pool.queue.max_wait
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    async with tools.throttle.line(account, asker.network, patience=patience):
        while True:
            await place.turn()
            try:
                return await _charge_once(tools, place=place, asker=asker, account=account, find=find)
            except InFlight:
                place.return_turn()
            if loop.time() > deadline:
                raise Overloaded("too many guesses at one account are in flight")
            await tools.throttle.news(account)


def abandon(tools: Tools, attempt: Attempt, *, place: Place | None = None) -> None:
    """Settle an attempt that ended before its outcome was known, while nobody waits for it.

    Args:
        tools: the instruments.
        attempt: it.
        place: in which its hash is computed, if it has begun. A wrong guess is one, whoever waits for the answer, and
            is counted as one.
    """

    async def settle() -> None:
        if place is not None:
            await place.over()
        if place is not None and isinstance(place.fault, InvalidCredentials | UnreadableHash):
            reason = "unreadable hash" if isinstance(place.fault, UnreadableHash) else attempt.why_not
            count_unheard(tools.metrics, reason)
            with suppress(Unavailable):  # then the charge becomes a failure by itself
                await count_as_failed(tools, attempt)
        else:
            await _give_back(tools, attempt)

    tools.throttle.send(settle())


async def _give_back(tools: Tools, attempt: Attempt) -> None:
    """Take a charge back, before it becomes a failure by itself; the database may be away for a while."""
    for _ in range(_TIMES_GIVEN_BACK):
        try:
            await tools.store.write(partial(attempt.give_back, now=tools.clock()))
        except Unconfirmed:  # it may be done, and the next one would be that of somebody else's guess
            return
        except Unavailable:
            pass
        else:
            tools.throttle.settled(attempt.account)
            return
        if not await tools.throttle.may_try_again():
            return


async def count_as_failed(tools: Tools, attempt: Attempt) -> None:
    """Settle an attempt as wrong; if that closes the account for a time, it is told.

    Raises:
        Unavailable: the database is away, slow or locked; the charge becomes a failure by itself.
    """

    def tell(wait: int) -> None:
        tools.throttle.settled(attempt.account)
        if wait:
            attempt.asker.tell(Event.LOGIN_LOCK, detail=f"{attempt.rule.by} {wait}", user_id=_id_of(attempt.user))

    await tools.store.write(partial(attempt.fail, now=tools.clock()), then=tell)


async def _charge_once(
    tools: Tools, *, place: Place, asker: Asker, account: str, find: Story[User | None] | None
) -> Attempt:
    story = partial(_charge, tools.throttle, asker=asker, account=account, find=find, now=tools.clock())
    charging = asyncio.ensure_future(tools.store.write_one(story))
    try:
        return await asyncio.shield(charging)
    except asyncio.CancelledError:  # the client has left, and what is on its way to the database cannot be held back

        def undo(charged: "asyncio.Future[Attempt]") -> None:
            if not charged.cancelled() and charged.exception() is None:
                abandon(tools, charged.result())

        charging.add_done_callback(undo)
        place.outlast(charging)
        raise


async def _charge(
    throttle: Throttle,
    connection: Connection,
    *,
    asker: Asker,
    account: str,
    find: Story[User | None] | None,
    now: int,
) -> Attempt:
    # Before the charge: where this fails one would be left, and become a failure though nothing was guessed.
    user = None if find is None else await find(connection)
    keys = throttle.keys(account, asker.network, user)
    for _ in range(_TRIES):
        strangers, pair, former, formers, network = await tallies.find(connection, keys=keys)
        counts = ((STRANGERS, strangers), (FAMILIAR, pair), (FORMER, formers), (NETWORK, network))
        if await _set_right(connection, counts, now=now):
            continue
        if pair.over_at > now:
            rule, entry = FAMILIAR, pair
        else:
            network.tally.admit(NETWORK, now=now)
            rule, entry = (FORMER, formers) if former.over_at > now else (STRANGERS, strangers)
        try:
            tally = entry.tally.charged(rule, now=now)
        except TooManyAttempts as refusal:
            refusal.user_id = _id_of(user)
            raise
        over_at = pair.over_at if rule is FAMILIAR else tally.over_at(rule)
        charged = await tallies.put(connection, entry, tally=tally, over_at=over_at)
        if charged is not None:
            return Attempt(
                asker=asker, user=user, account=account, rule=rule, charged=charged, pair=pair, network=network
            )
    raise InFlight


async def _set_right(connection: Connection, entries: Iterable[tuple[Rule, Entry]], *, now: int) -> bool:
    """Let waits that a clock began which was put back since begin again, and tell whether there was one."""
    ahead = [(rule, entry) for rule, entry in entries if entry.tally.is_ahead(rule, now=now)]
    for rule, entry in ahead:
        await tallies.put(connection, entry, tally=entry.tally.as_of(rule, now=now), over_at=entry.over_at)
    return bool(ahead)


async def _rewrite(connection: Connection, entry: Entry, change: Callable[[Entry], tuple[Tally, int]]) -> Tally:
    """Change an entry that may have been written since it was read, and tell what is there now; in a transaction."""
    for _ in range(_TRIES):
        tally, over_at = change(entry)
        if tally.is_blank and not over_at:
            if not entry.version or await tallies.remove(connection, entry):
                return tally
        elif await tallies.put(connection, entry, tally=tally, over_at=over_at) is not None:
            return tally
        entry = await tallies.lock(connection, key=entry.key)
    raise Unavailable("the throttle's tallies change too quickly")


def _id_of(user: User | None) -> str:
    return "" if user is None else user.id


def _with_end(tally: Tally, rule: Rule) -> tuple[Tally, int]:
    return tally, 0 if tally.is_blank else tally.over_at(rule)
