"""A request arrives: read it, call one flow, shape the answer. The whole route table is on this screen.

It is in two parts, for two kinds of view. Those of ``DOORS`` are what an operator sizes a machine by, and are answered
before Quart, whose part would cost as much as theirs; those of ``ROUTES`` are views of Quart as anybody's are
(docs/decisions/0009). How the answers of both are written is in docs/decisions/0019.

Each view takes the instruments; ``mount`` hands them over and puts the guard before those that ask for a bearer. Those
that ask for a client or a service admit it in the same visit to the database as what it asks for (``flows.admission``).
"""

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from functools import partial
from typing import Any, Final, NamedTuple

from quart import Quart

from watchword.endpoints.answers import shape_all
from watchword.endpoints.docs import docs, openapi_json
from watchword.endpoints.doors import Door
from watchword.endpoints.doorstep import watch_the_doorstep
from watchword.endpoints.feed import feed
from watchword.endpoints.forward_auth import forward_auth
from watchword.endpoints.health import healthz, readyz
from watchword.endpoints.introspect import introspect
from watchword.endpoints.jwks import jwks
from watchword.endpoints.login import login
from watchword.endpoints.logout import logout
from watchword.endpoints.me import me
from watchword.endpoints.metadata import metadata
from watchword.endpoints.metrics import metrics
from watchword.endpoints.password import change_password
from watchword.endpoints.refresh import refresh
from watchword.endpoints.revoke import revoke
from watchword.endpoints.sessions import end_session, list_sessions
from watchword.flows import Tools
from watchword.guard import token_required

MAX_BODY_BYTES: Final = 16 * 1024
BODY_SECONDS: Final = 10


class Caller(Enum):
    """Who may call a route.

    Attributes:
        ANYONE: anyone.
        BEARER: a user, by an access token.
        CLIENT: a client with a scope, by its name and secret (RFC 6749 §2.3.1).
        SERVICE: a client with a scope, by its secret as a bearer token.
    """

    ANYONE = auto()
    BEARER = auto()
    CLIENT = auto()
    SERVICE = auto()


class Route(NamedTuple):
    """One row of the table.

    Attributes:
        method: which it takes; HEAD goes with GET.
        path: where; a last part in angle brackets stands for anything.
        view: what answers, given the instruments: with a ``Response``, or at a door, given also the ``Call``, with a
            ``Reply``.
        caller: who may call it.
    """

    method: str
    path: str
    view: Callable[..., Awaitable[Any]]
    caller: Caller


DOORS: Final = (
    Route("POST", "/login", login, Caller.ANYONE),
    Route("POST", "/refresh", refresh, Caller.ANYONE),
    Route("GET", "/me", me, Caller.BEARER),
    Route("GET", "/forward-auth", forward_auth, Caller.BEARER),
)
"""What is answered before Quart."""

ROUTES: Final = (
    Route("POST", "/logout", logout, Caller.BEARER),
    Route("GET", "/sessions", list_sessions, Caller.BEARER),
    Route("DELETE", "/sessions/<session_id>", end_session, Caller.BEARER),
    Route("POST", "/password/change", change_password, Caller.BEARER),
    Route("GET", "/.well-known/jwks.json", jwks, Caller.ANYONE),
    Route("GET", "/.well-known/oauth-authorization-server", metadata, Caller.ANYONE),
    Route("POST", "/oauth/introspect", introspect, Caller.CLIENT),
    Route("POST", "/oauth/revoke", revoke, Caller.CLIENT),
    Route("GET", "/revocations", feed, Caller.SERVICE),
    Route("GET", "/metrics", metrics, Caller.SERVICE),
    Route("GET", "/healthz", healthz, Caller.ANYONE),
    Route("GET", "/readyz", readyz, Caller.ANYONE),
    Route("GET", "/openapi.json", openapi_json, Caller.ANYONE),
    Route("GET", "/docs", docs, Caller.ANYONE),
)
API_DOCS: Final = frozenset({"/openapi.json", "/docs"})
"""The routes that an operator may switch off."""


def mount(app: Quart, tools: Tools, *, api_docs: bool = True) -> None:
    """Hang the routes into an application and shape all its answers.

    Args:
        app: the application.
        tools: the instruments that its views are handed.
        api_docs: whether it describes itself.
    """
    routes = [route for route in ROUTES if api_docs or route.path not in API_DOCS]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    app.config["RESPONSE_TIMEOUT"] = None  # every answer is in memory before it is sent
    app.url_map.merge_slashes = False
    is_ours = _matcher(route.path for route in (*DOORS, *routes))
    shape_all(app)
    doors = [Door(each.path, _methods(each.method), partial(each.view, tools)) for each in DOORS]
    watch_the_doorstep(app, doors=doors, is_ours=is_ours, tools=tools)
    for route in routes:
        view = partial(route.view, tools)
        app.add_url_rule(
            route.path,
            endpoint=route.path,
            view_func=token_required(view) if route.caller is Caller.BEARER else view,
            methods=[route.method],
            provide_automatic_options=False,
        )


def _methods(method: str) -> tuple[str, ...]:
    return ("GET", "HEAD") if method == "GET" else (method,)


def _matcher(paths: Iterable[str]) -> Callable[[str], bool]:
    """Tells whether a path is one of these, in which a last part in angle brackets stands for anything."""
    fixed, folders = set[str](), set[str]()
    for path in paths:
        folder, bracket, _ = path.partition("<")
        (folders if bracket else fixed).add(folder)
    return lambda path: path in fixed or f"{path.rpartition('/')[0]}/" in folders
