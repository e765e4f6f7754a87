"""Prove a password: the same work, whatever is wrong, and a count of how it ended.

Whether the user is unknown, disabled, or without a readable password changes neither the answer nor the work:
each attempt looks the user up and computes one hash.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from watchword.errors import InvalidCredentials, UnreadableHash, WatchwordError
from watchword.flows import Tools
from watchword.metrics import Metrics
from watchword.model import User
from watchword.passwords import Verified
from watchword.problems import problem_of
from watchword.store import Story

_log = logging.getLogger(__name__)


@contextmanager
def counted(metrics: Metrics) -> Iterator[None]:
    """Count what happens inside as one attempt to prove a password, by how it ends."""
    try:
        yield
    except WatchwordError as refusal:
        outcome = "failure" if isinstance(refusal, InvalidCredentials) else "refused"
        metrics.login_ended(outcome, _reason_of(refusal))
        raise
    metrics.login_ended("success")


async def prove(
    tools: Tools, *, claimant: str, network: str, find: Story[User | None] | None, password: str
) -> tuple[User, Verified]:
    """Check a password against a user's.

    Args:
        tools: the instruments.
        claimant: by what the hash pool knows a caller again whom it sent away.
        network: where the caller is, with whom the caller shares the turns in the pool.
        find: looks the user up; None where it is known already that there is none.
        password: what is claimed.

    Returns:
        The user as of before the hash was computed, and whether the hash is to be renewed.

    Raises:
        InvalidRequest: the password is empty or longer than any password may be.
        InvalidCredentials: it is not the password of a user who may log in, whatever the reason.
        Overloaded: too many are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    with tools.hasher.pool.place(claimant, network) as place:
        user = None if find is None else await tools.store.read(find)
        try:
            verified = await tools.hasher.verify(password, _hash_to_check(user), place=place)
        except UnreadableHash:
            _log.error("the stored password hash of user %s cannot be read", user and user.id)
            raise InvalidCredentials("unreadable hash") from None
        except InvalidCredentials:
            raise InvalidCredentials(_why_not(user)) from None
    if user is None:
        raise InvalidCredentials("unknown user")  # never reached: without a user there is no hash that fits
    return user, verified


def _hash_to_check(user: User | None) -> str | None:
    """The hash that the password must fit; None for those whom no password lets in."""
    return None if user is None or user.is_disabled else user.password_hash


def _why_not(user: User | None) -> str:
    """What was wrong with the credentials; for our own counting, never for the client."""
    if user is None:
        return "unknown user"
    if user.is_disabled:
        return "disabled"
    return "no password" if user.password_hash is None else "wrong password"


def _reason_of(refusal: WatchwordError) -> str:
    if isinstance(refusal, InvalidCredentials):
        return str(refusal).replace(" ", "_")
    return problem_of(refusal).code
