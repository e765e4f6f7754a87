"""The extension: what an application's tokens must be, kept in ``app.extensions`` and nowhere else.

So one ``Guard`` object may serve several applications, each with its own issuer and keys.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from functools import partial
from math import isfinite
from typing import Final, TypeVar

from quart import Blueprint, Quart, current_app

from watchword.bearer_tokens import is_bearer_token
from watchword.clock import since_boot, system_clock
from watchword.denials import MAX_STALENESS, Denials
from watchword.guard.acting import Actor, acting
from watchword.guard.admission import begin_websocket
from watchword.guard.blueprints import require_everywhere
from watchword.guard.checkpoint import EXTENSION, Checkpoint
from watchword.guard.configuration import service_token, setting
from watchword.guard.feed import PROMISE
from watchword.guard.issuer import Issuer
from watchword.guard.marks import Requirement, View, exempt, is_guarded_elsewhere
from watchword.guard.memory import VerifiedTokens
from watchword.guard.remote import Remote
from watchword.identifiers import new_id
from watchword.keys import KeyRing
from watchword.model import FIRST_PARTY_CLIENT, AccessToken, Clock
from watchword.tokens import Profile

_DEFAULT_ISSUER: Final = "http://127.0.0.1:8000"
_DEFAULT_AUDIENCE: Final = "watchword"
_ACTING_SECONDS: Final = 900

_log: Final = logging.getLogger("watchword.guard")

V = TypeVar("V", bound=View)


class Guard:
    """Checks bearer tokens in a Quart application.

        Guard(app, issuer="https://login.example.com")

    Where its keys come from is decided by the first of these that there is:

    1. ``keys``: these, and no others.
    2. ``issuer``, ``app.config["WATCHWORD_ISSUER"]`` or the environment's ``WATCHWORD_ISSUER``: the login service that
       is there, which is asked for its keys while the application runs. An application's SECRET_KEY is not looked at;
       it may be for its cookies.
    3. ``app.config["SECRET_KEY"]`` and ``SECRET_KEY_FALLBACKS``: tokens are HS256, as in the Flask tutorial.

    Args:
        app: the application, or none yet (``init_app``).
        keys: the keys that verify: those of ``KeyRing.from_jwks`` or, for HS256, of ``KeyRing.from_secret``.
        issuer: the login service's ISSUER setting: https, or http for a service on this machine.
        audience: its AUDIENCE setting, else WATCHWORD_AUDIENCE, else ``watchword``; for HS256 none.
        service_token: with which the login service tells of ended sessions, else WATCHWORD_SERVICE_TOKEN; without one a
            token is good until it expires.
        max_staleness: seconds without news of ended sessions after which guarded routes answer 503; at least 1.
        clock: tells the time.
        monotonic: tells seconds on a clock that never goes back.
        denials: the sessions that have ended before their time, kept up to date by the caller.

    Raises:
        ValueError: an argument makes no sense, alone or beside the others.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        keys: KeyRing | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        service_token: str | None = None,
        max_staleness: float = MAX_STALENESS,
        clock: Clock = system_clock,
        monotonic: Callable[[], float] = since_boot,
        denials: Denials | None = None,
    ) -> None:
        if service_token is not None and (keys is not None or denials is not None):
            raise ValueError("a service_token is for the login service at issuer=…, without keys=… and denials=…")
        if "" in (issuer, audience, service_token):  # else what was meant to be there would count as left out
            raise ValueError("issuer, audience and service_token may be left out, but not be empty")
        if not (isfinite(max_staleness) and max_staleness >= PROMISE):  # less, and a service that is well is too slow
            raise ValueError(f"max_staleness must be a number of seconds, at least {PROMISE:g}")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._service_token = service_token
        self._max_staleness = max_staleness
        self._clock = clock
        self._monotonic = monotonic
        self._denials = denials
        self._actor: Actor = ContextVar("watchword_actor", default=None)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Guard an application.

        Raises:
            KeyRefused: the application's SECRET_KEY, or a former one, is too short for HS256 or can be guessed.
            RuntimeError: the application has a guard, or there is nothing to verify tokens with, or a setting is empty
                or cannot be read, or there is a service token and no login service to use it with.
            ValueError: the issuer is no address of a login service, or the service token is none.
        """
        if EXTENSION in app.extensions:
            # It would take the first one's place: that of create_app() hears of logouts, and nobody would any more.
            raise RuntimeError(
                "this application has a guard already, one made by create_app() too: keep that one, without Guard(app);"
                " require and exempt of a Guard() without an application work with it"
            )
        named = self._issuer or setting(app, "ISSUER", None)
        remote, denials = None, self._denials
        is_remote = self._keys is None and named
        if denials is None and not is_remote and (self._service_token or setting(app, "SERVICE_TOKEN", None)):
            # Else a guard that was meant to hear of logouts hears of none, and nobody is told.
            raise RuntimeError("a WATCHWORD_SERVICE_TOKEN is for the login service at WATCHWORD_ISSUER, without keys=…")
        if self._keys is not None:
            ring = self._keys
        elif named:
            ring = KeyRing()
            remote, denials = self._remote(app, Issuer.at(named), ring)
        else:
            ring = _secret_ring(app)
        profile = Profile(
            issuer=named or _DEFAULT_ISSUER,
            audience=self._audience or setting(app, "AUDIENCE", None if ring.is_secret else _DEFAULT_AUDIENCE),
        )
        app.extensions[EXTENSION] = Checkpoint(
            VerifiedTokens(ring, profile), clock=self._clock, actor=self._actor, denials=denials, remote=remote
        )
        app.before_websocket_funcs[None].insert(0, begin_websocket)  # also before those of an earlier ``require``
        app.view_functions = _Views(app.view_functions)
        app.before_serving(_refuse_decorators_in_the_wrong_order)
        if remote is not None:
            app.before_serving(partial(self._start, remote))
            app.after_serving(remote.stop)

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
            TypeError: the scope is no text, or ``fresh`` is no whole number.
            ValueError: the scope has what no scope may have (RFC 6749 §3.3) or is too long, or ``fresh`` is below 0.
        """
        require_everywhere(target, Requirement.of(scope=scope, optional=False, fresh=fresh))

    @staticmethod
    def exempt(view: V) -> V:
        """Leave a view out where ``require`` asks for a token; what ``@token_required`` on it asks for, stays.

        @reports.get("/health")
        @guard.exempt
        async def health(): …

        It may also stand above a class-based view or one of its methods, which leaves out that class and none that
        inherits from it.

        Raises:
            TypeError: a bound method, which takes no mark.
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

    def _remote(self, app: Quart, issuer: Issuer, ring: KeyRing) -> tuple[Remote, Denials | None]:
        token = None
        denials = self._denials
        if denials is None:
            token = self._service_token or service_token(app)
        if token:
            if not is_bearer_token(token):
                raise ValueError("WATCHWORD_SERVICE_TOKEN is no bearer token")
            denials = Denials(monotonic=self._monotonic, max_staleness=self._max_staleness)
        remote = Remote(
            issuer,
            ring=ring,
            denials=denials,
            service_token=token,
            clock=self._clock,
            monotonic=self._monotonic,
        )
        return remote, denials

    async def _start(self, remote: Remote) -> None:
        if current_app.testing or self._actor.get() is not None:
            _log.warning("under TESTING no login service is asked: guarded routes are for guard.acting_as alone")
            remote.stay_silent()
        else:
            await remote.start()


def _secret_ring(app: Quart) -> KeyRing:
    secret = app.config.get("SECRET_KEY")
    if not secret:
        raise RuntimeError("a guard needs issuer=…, keys=… or app.config['SECRET_KEY'] to verify tokens with")
    if not isinstance(secret, str | bytes):
        raise RuntimeError("app.config['SECRET_KEY'] must be a text or bytes")
    former = app.config.get("SECRET_KEY_FALLBACKS") or ()
    is_list = isinstance(former, Collection) and not isinstance(former, str)  # which is a collection of its letters
    if not is_list or not all(isinstance(each, str | bytes) for each in former):
        raise RuntimeError("app.config['SECRET_KEY_FALLBACKS'] must be a list of secrets")
    return KeyRing.from_secret(secret, *former)


async def _refuse_decorators_in_the_wrong_order() -> None:
    _expect_guarded(current_app.view_functions.items(), below="the route")
    for below, hooks in (
        ("before_request", current_app.before_request_funcs),
        ("before_websocket", current_app.before_websocket_funcs),
    ):
        each = (hook for of_one in hooks.values() for hook in of_one)
        _expect_guarded(((getattr(hook, "__name__", repr(hook)), hook) for hook in each), below=below)


def _expect_guarded(named: Iterable[tuple[str, View]], *, below: str) -> None:
    names = [name for name, view in named if is_guarded_elsewhere(view)]
    if names:
        raise RuntimeError(f"@token_required stands above {below} and guards nothing: {', '.join(names)}")


class _Views(dict[str, View]):
    """An application's views by their endpoints, of which none comes out to be served that the start would refuse.

    Many a parent and test client starts nothing, and some views come later.
    """

    def __getitem__(self, endpoint: str) -> View:
        view = super().__getitem__(endpoint)
        _expect_guarded([(endpoint, view)], below="the route")
        return view
