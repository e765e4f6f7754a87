"""How an attempt to prove a password ends: counted, and told if it comes to nothing, as one event for every reason."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from watchword.audit import Event, Outcome
from watchword.errors import InvalidCredentials, Overloaded, TooManyAttempts, Unconfirmed, WatchwordError
from watchword.limits import NETWORK
from watchword.metrics import Metrics
from watchword.problems import problem_of
from watchword.recorder import Asker


@contextmanager
def counted(metrics: Metrics) -> Iterator[None]:
    """Count what happens inside as one attempt to prove a password, by how it ends."""
    with refusals_counted(metrics):
        yield
    metrics.login_ended("success")


@contextmanager
def refusals_counted(metrics: Metrics) -> Iterator[None]:
    """Count what happens inside as an attempt if it is refused."""
    try:
        yield
    except WatchwordError as refusal:
        metrics.login_ended(_outcome_of(refusal), _reason_of(refusal))
        raise


def count_unheard(metrics: Metrics, reason: str) -> None:
    """Count an attempt that failed, for this reason, after its client had left."""
    metrics.login_ended("failure", _word(reason))


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells of an attempt, once.

    Attributes:
        asker: whose it is.
        event: what a failure is called. One that the throttle stops at the account is ``authn_login_fail_max``; who is
            sent away for want of room, or with all of a network, is ``excess_rate_limit_exceeded``.
        user_id: whose account it is about, where that is known before the password is proven.
        session_id: of the bearer.
    """

    asker: Asker
    event: Event
    user_id: str = ""
    session_id: str = ""

    @contextmanager
    def failure(self) -> Iterator[None]:
        """Tell if what happens inside is refused."""
        try:
            yield
        except Exception as refusal:
            self.asker.tell(
                _called(refusal, self.event),
                outcome=Outcome.FAILURE if isinstance(refusal, InvalidCredentials) else Outcome.REFUSED,
                detail=_reason_of(refusal) if isinstance(refusal, WatchwordError) else "internal_error",
                user_id=self.user_id or _about(refusal),
                session_id=self.session_id,
            )
            raise

    @contextmanager
    def departure(self) -> Iterator[None]:
        """Tell if the client hangs up while nothing has changed yet."""
        try:
            yield
        except asyncio.CancelledError:
            self.asker.tell(
                self.event,
                outcome=Outcome.ABORTED,
                detail="client_left",
                user_id=self.user_id,
                session_id=self.session_id,
            )
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


def _outcome_of(refusal: WatchwordError) -> str:
    match refusal:
        case InvalidCredentials():
            return "failure"
        case TooManyAttempts():
            return "throttled"
        case _:
            return "refused"


def _reason_of(refusal: WatchwordError) -> str:
    """A stable word for why an attempt came to nothing."""
    if isinstance(refusal, InvalidCredentials | TooManyAttempts):
        return _word(str(refusal))
    if isinstance(refusal, Unconfirmed):  # whose client is told what any other is, but it may have been done
        return "unconfirmed"
    return problem_of(refusal).code


def _word(reason: str) -> str:
    return reason.replace(" ", "_")
