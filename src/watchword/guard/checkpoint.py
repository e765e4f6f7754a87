"""The checkpoint: one application's rule for who may pass, kept in ``app.extensions``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from quart import Quart

from watchword.denials import Denials
from watchword.errors import InvalidToken, MissingToken
from watchword.guard.acting import Actor
from watchword.guard.memory import VerifiedTokens
from watchword.guard.remote import Remote
from watchword.model import AccessToken, Clock

EXTENSION: Final = "watchword"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One application's rule for who may pass.

    Attributes:
        tokens: verifies them, against the application's keys, issuer and audience.
        clock: tells the time.
        actor: who acts without a token in the tests of the application.
        denials: the sessions that have ended before their time; None where nobody tells the application.
        remote: the login service that keys are fetched from; None where they are given.
    """

    tokens: VerifiedTokens
    clock: Clock
    actor: Actor
    denials: Denials | None = None
    remote: Remote | None = None

    def admit(self, authorization: Sequence[str]) -> AccessToken:
        """Verify the bearer token of a request.

        Args:
            authorization: all ``Authorization`` header fields that were sent.

        Raises:
            MissingToken: there is none, or one of another scheme.
            InvalidToken: more than one (RFC 6750 §2), or one whose token is not valid here or whose session has ended.
            Unavailable: it is not known whether the session has ended.
        """
        token = self.tokens.verify(bearer_text(authorization), now=self.clock())
        if self.denials is not None:
            self.denials.check(token.sid)
        return token

    def look_again(self, token: AccessToken) -> None:
        """Judge anew a token that was admitted a while ago, under keys that are the same now.

        Raises:
            InvalidToken: it has expired, or its session has ended.
            Unavailable: it is not known whether the session has ended.
        """
        if token.exp <= self.clock():
            raise InvalidToken("exp")
        if self.denials is not None:
            self.denials.check(token.sid)


def bearer_text(authorization: Sequence[str]) -> str:
    """What stands after ``Bearer``.

    Args:
        authorization: all ``Authorization`` header fields that were sent.

    Raises:
        MissingToken: there is none, or one of another scheme.
        InvalidToken: there is more than one (RFC 6750 §2).
    """
    if not authorization:
        raise MissingToken
    if len(authorization) > 1:
        raise InvalidToken("several Authorization headers")
    scheme, _, text = authorization[0].partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken
    return text.lstrip(" ")


def checkpoint_of(app: Quart) -> Checkpoint:
    """An application's rule.

    Raises:
        RuntimeError: the application has no guard.
    """
    found = app.extensions.get(EXTENSION)
    if not isinstance(found, Checkpoint):
        raise RuntimeError("this application has no guard: call Guard(app) where the application is made")
    return found
