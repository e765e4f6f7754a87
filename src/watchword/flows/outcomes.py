"""How an attempt to prove a password is told when it comes to nothing: as one event, whatever the reason."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from watchword.audit import Event, Outcome
from watchword.errors import InvalidCredentials, Overloaded, TooManyAttempts, WatchwordError
from watchword.flows.proof import reason_of
from watchword.limits import NETWORK
from watchword.recorder import Asker


@contextmanager
def failure_told(asker: Asker, event: Event, *, user_id: str = "", session_id: str = "") -> Iterator[None]:
    """Tell if what happens inside is refused.

    Args:
        asker: whose attempt it is.
        event: what a failure is called. One that the throttle stops at the account is ``authn_login_fail_max``; who is
            sent away for want of room, or with all of a network, is ``excess_rate_limit_exceeded``.
        user_id: whose account it is about, where that is known before the password is proven.
        session_id: of the bearer.
    """
    try:
        yield
    except Exception as refusal:
        asker.tell(
            _called(refusal, event),
            outcome=Outcome.FAILURE if isinstance(refusal, InvalidCredentials) else Outcome.REFUSED,
            detail=reason_of(refusal) if isinstance(refusal, WatchwordError) else "internal_error",
            user_id=user_id or _about(refusal),
            session_id=session_id,
        )
        raise


@contextmanager
def departure_told(asker: Asker, event: Event, *, user_id: str = "", session_id: str = "") -> Iterator[None]:
    """Tell if the client hangs up while nothing has changed yet; see ``failure_told``."""
    try:
        yield
    except asyncio.CancelledError:
        asker.tell(event, outcome=Outcome.ABORTED, detail="client_left", user_id=user_id, session_id=session_id)
        raise


def _about(refusal: Exception) -> str:
    return refusal.user_id if isinstance(refusal, InvalidCredentials | TooManyAttempts) else ""


def _called(refusal: Exception, event: Event) -> Event:
    match refusal:
        case TooManyAttempts():
            return Event.RATE_LIMIT_EXCEEDED if str(refusal) == NETWORK.of else Event.LOGIN_FAIL_MAX
        case Overloaded():
            return Event.RATE_LIMIT_EXCEEDED
        case _:
            return event
