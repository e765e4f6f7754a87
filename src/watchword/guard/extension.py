"""The extension: what an application's tokens must be, kept in ``app.extensions`` and nowhere else.

So one ``Guard`` object may serve several applications, each with its own issuer and keys.
"""

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Final, TypeVar

from quart import Blueprint, Quart, current_app

from watchword.clock import system_clock
from watchword.denials import Denials
from watchword.guard.acting import Actor, acting
from watchword.guard.blueprints import require_everywhere
from watchword.guard.checkpoint import EXTENSION, Checkpoint
from watchword.guard.marks import Requirement, View, exempt, unguarded_views
from watchword.guard.memory import VerifiedTokens
from watchword.identifiers import new_id
from watchword.keys import KeyRing, VerificationKey
from watchword.model import FIRST_PARTY_CLIENT, AccessToken, Clock, scopes_of
from watchword.tokens import Profile

_DEFAULT_ISSUER: Final = "http://127.0.0.1:8000"
_DEFAULT_AUDIENCE: Final = "watchword"
_ACTING_SECONDS: Final = 900

V = TypeVar("V", bound=View)


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
        self._actor: Actor = ContextVar("watchword_actor", default=None)
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
        app.extensions[EXTENSION] = Checkpoint(
            VerifiedTokens(ring, profile), clock=self._clock, actor=self._actor, denials=self._denials
        )
        app.before_serving(_refuse_decorators_in_the_wrong_order)

    def require(self, target: Quart | Blueprint, *, scope: str = "", fresh: int | None = None) -> None:
        """Ask for a token on all routes and WebSockets of a blueprint or an application.

            guard.require(reports, scope="reports:read")

        To be called before the blueprint is registered. ``@token_required`` on a single view asks for more, on top;
        ``@guard.exempt`` leaves a view out.

        Args:
            target: the blueprint, nested ones included, or the application with all that is in it, static files too.
            scope: scopes that the token must cover, separated by spaces.
            fresh: seconds that may have passed since the password was proven.

        Raises:
            AssertionError: the blueprint is registered already.
        """
        require_everywhere(target, Requirement(scopes=scopes_of(scope), optional=False, fresh=fresh))

    @staticmethod
    def exempt(view: V) -> V:
        """Leave a view out where ``require`` asks for a token; what ``@token_required`` on it asks for, stays.

        @reports.get("/health")
        @guard.exempt
        async def health(): …
        """
        exempt(view)
        return view

    def acting_as(
        self, username: str, *, scope: str = "", sub: str | None = None, auth_time: int | None = None
    ) -> AbstractAsyncContextManager[AccessToken]:
        """Let the application's test client act as a user, without a login service, keys or a network.

            app.testing = True
            async with guard.acting_as("alice", scope="reports:read"):
                response = await app.test_client().get("/reports")

        Requests and WebSockets of ``app.test_client()`` that are begun within the block and have no ``Authorization``
        header are that user's. All others are judged as ever; those of a real server always are.

        Args:
            username: the token's ``username``.
            scope: what the token covers, separated by spaces.
            sub: the user's id; without it the user name.
            auth_time: when the password was proven; without it now.

        Returns:
            A context manager that gives the token.
        """
        now = self._clock()
        token = AccessToken(
            sub=username if sub is None else sub,
            username=username,
            scope=scope,
            sid=new_id(),
            jti=new_id(),
            client_id=FIRST_PARTY_CLIENT,
            iat=now,
            exp=now + _ACTING_SECONDS,
            auth_time=now if auth_time is None else auth_time,
        )
        return acting(self._actor, token)


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
