"""Prove a password: the same work, whatever is wrong, under the throttle.

Whether the user is unknown, disabled, or without a readable password changes neither the answer nor the work:
each attempt that the throttle lets in looks the user up and computes one hash. Here alone are passwords proven, so that
every way to try one is charged to the same account.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from watchword.errors import InvalidCredentials, Unconfirmed, UnreadableHash
from watchword.flows import Tools
from watchword.flows.attempts import Attempt, abandon, charge, count_as_failed
from watchword.flows.outcomes import Telling, count_unheard
from watchword.model import User
from watchword.passwords import Verified, password_bytes
from watchword.passwords.pool import Place
from watchword.store import Story
from watchword.store.connection import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Proof:
    """A password that was proven, and what is still to be done about it.

    Attributes:
        user: whose it is, as of before the hash was computed.
        new_hash: what to store instead, where the hash is to be renewed; else None.
    """

    user: User
    new_hash: str | None
    _tools: Tools = field(repr=False)
    _attempt: Attempt = field(repr=False)
    _is_concluded: bool = False

    @property
    def failures_before(self) -> int:
        """How many wrong ones this right one came after, as far as they are not forgotten or forgiven."""
        return self._attempt.failures_before

    async def conclude(self, story: Story[T | None], *, then: Callable[[T], None] = lambda _: None) -> T | None:
        """Do what the password was proven for, and settle the attempt, in one transaction.

        Args:
            story: what to do; it returns None if the password is good for nothing any more.
            then: is called with what it returned else, once that is committed, whether or not the caller is there.

        Returns:
            What the story returned.
        """
        now = self._tools.clock()

        async def do_and_settle(connection: Connection) -> T | None:
            result = await story(connection)
            settled = self._attempt.give_back if result is None else self._attempt.succeed
            await settled(connection, now=now)
            return result

        def tell(result: T | None) -> None:
            self._tools.throttle.settled(self._attempt.account)
            if result is not None:
                then(result)

        def take_back(fault: BaseException) -> None:
            if not isinstance(fault, Unconfirmed):  # else it may be settled, or becomes a failure by itself
                abandon(self._tools, self._attempt)

        self._is_concluded = True  # also if we are cancelled: the transaction goes on
        return await self._tools.store.write(do_and_settle, then=tell, otherwise=take_back)

    async def acquaint(self, connection: Connection, *, version: int) -> None:
        """Let the network go on being familiar to the account, whose new password has this version."""
        await self._attempt.acquaint(self._tools.throttle, connection, version=version, now=self._tools.clock())

    def drop(self) -> None:
        """Take the charge back if nothing came of it."""
        if not self._is_concluded:
            abandon(self._tools, self._attempt)


@asynccontextmanager
async def proven(
    tools: Tools, *, username: str, find: Story[User | None] | None, password: str, telling: Telling
) -> AsyncIterator[Proof]:
    """Check a password against a user's; inside it is proven, and to be concluded.

    Args:
        tools: the instruments.
        username: to whose account it is charged, whether or not there is one.
        find: looks the user up; None where it is known already that there is none.
        password: what is claimed.
        telling: whose attempt it is; tells if they leave before it is proven.

    Raises:
        InvalidRequest: the password is empty or longer than any password may be.
        TooManyAttempts: too many guesses at the account, or from the network, have failed; none is made.
        InvalidCredentials: it is not the password of a user who may log in, whatever the reason.
        Overloaded: too many are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    password_bytes(password)  # what can be nobody's is no guess
    asker = telling.asker
    with telling.departure(), tools.hasher.pool.place(username, asker.network) as place:
        attempt = await charge(tools, place=place, username=username, asker=asker, find=find)
        verified = await _verify(tools, attempt, place=place, password=password)
    user = attempt.user
    if user is None:
        raise InvalidCredentials("unknown user")  # never reached: without a user there is no hash that fits
    proof = Proof(user, verified.new_hash, tools, attempt)
    try:
        yield proof
    finally:
        proof.drop()


async def _verify(tools: Tools, attempt: Attempt, *, place: Place, password: str) -> Verified:
    user = attempt.user
    try:
        return await tools.hasher.verify(password, _hash_to_check(user), place=place)
    except UnreadableHash:
        _log.error("the stored password hash of user %s cannot be read", user and user.id)
        await _refuse(tools, attempt, "unreadable hash")
    except InvalidCredentials:
        await _refuse(tools, attempt, attempt.why_not)
    except asyncio.CancelledError:
        abandon(tools, attempt, place=place)
        raise
    except Exception:  # there was no memory for the hash, say: nothing was proven, and nothing failed
        abandon(tools, attempt)
        raise


async def _refuse(tools: Tools, attempt: Attempt, reason: str) -> NoReturn:
    try:
        await count_as_failed(tools, attempt)
    except asyncio.CancelledError:
        count_unheard(tools.metrics, reason)
        raise
    raise InvalidCredentials(reason, user_id="" if attempt.user is None else attempt.user.id)


def _hash_to_check(user: User | None) -> str | None:
    """The hash that the password must fit; None for those whom no password lets in."""
    return None if user is None or user.is_disabled else user.password_hash
