"""The extension: what an application's tokens must be, kept in ``app.extensions`` and nowhere else.

So one ``Guard`` object may serve several applications, each with its own issuer and keys.
"""

from typing import Final

from quart import Quart, current_app

from watchword.clock import system_clock
from watchword.denials import Denials
from watchword.guard.checkpoint import EXTENSION, Checkpoint
from watchword.guard.marks import unguarded_views
from watchword.guard.memory import VerifiedTokens
from watchword.keys import KeyRing, VerificationKey
from watchword.model import Clock
from watchword.tokens import Profile

_DEFAULT_ISSUER: Final = "http://127.0.0.1:8000"
_DEFAULT_AUDIENCE: Final = "watchword"


class Guard:
    """Checks bearer tokens in a Quart application.

    What is not given is taken from ``app.config``: ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS`` (tokens are then HS256,
    as in the Flask tutorial), ``WATCHWORD_ISSUER`` and ``WATCHWORD_AUDIENCE``.

    Args:
        app: the application, or none yet (``init_app``).
        keys: the keys that verify; ``KeyRing.from_jwks`` reads those that a login service publishes.
        issuer: the login service's ISSUER setting.
        audience: its AUDIENCE setting; without ``keys`` tokens name no audience unless this says so.
        clock: tells the time.
        denials: the sessions that have ended before their time, kept up to date by the caller; without them a token
            is good until it expires.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        keys: KeyRing | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        clock: Clock = system_clock,
        denials: Denials | None = None,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._denials = denials
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Guard an application.

        Raises:
            KeyRefused: the application's SECRET_KEY is too short for HS256.
            RuntimeError: there is nothing to verify tokens with.
        """
        ring, default_audience = (
            (self._keys, _DEFAULT_AUDIENCE) if self._keys is not None else (_secret_ring(app), None)
        )
        profile = Profile(
            issuer=self._issuer or app.config.get("WATCHWORD_ISSUER", _DEFAULT_ISSUER),
            audience=self._audience or app.config.get("WATCHWORD_AUDIENCE", default_audience),
        )
        app.extensions[EXTENSION] = Checkpoint(VerifiedTokens(ring, profile), clock=self._clock, denials=self._denials)
        app.before_serving(_refuse_decorators_in_the_wrong_order)


def _secret_ring(app: Quart) -> KeyRing:
    secret = app.config.get("SECRET_KEY")
    if not secret:
        raise RuntimeError("a guard needs keys=… or app.config['SECRET_KEY'] to verify tokens with")
    secrets = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), secret]  # Flask 3.1's name for a secret's predecessors
    return KeyRing(VerificationKey.from_secret(each if isinstance(each, bytes) else each.encode()) for each in secrets)


async def _refuse_decorators_in_the_wrong_order() -> None:
    names = unguarded_views(current_app.view_functions)
    if names:
        raise RuntimeError(f"@token_required stands above the route and guards nothing: {', '.join(names)}")
