"""The doorstep: what is answered before it becomes a request of the application.

1. The routes behind ``doors``, because they must be cheap.
2. What Quart would stumble over where no error handler watches: a Host header that is no host name, or a query that is
   not UTF-8, would end in an empty 500.
3. What a proxy in front may have understood in another way. Of a target that does not begin with a slash Quart takes
   what a URL parser would call the path, so that ``GET http:/me`` is /me to us and something else to a proxy's rules,
   as ``/%6de`` and ``//me`` are: our routes answer to one spelling. So does POST: behind a proxy that counts every one
   there is no ``post`` (RFC 9110 §9.1). And of a request with both a length and chunks (RFC 9112 §6.1) the two may see
   different ends.
4. Everything but /healthz, until the application has started: without a parent's lifespan events there are no keys, no
   database and no news, and an empty set of keys or a 401 would be believed.

Where the application is mounted below a path, as ASGI's ``root_path`` says, all this goes by what stands behind it.
"""

import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import Final, cast
from urllib.parse import quote

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebsocketScope
from quart import Quart
from werkzeug.exceptions import HTTPException

from watchword.audit import Event, Outcome
from watchword.endpoints.callers import asker_of
from watchword.endpoints.doors import Call, ClientHasLeft, Door
from watchword.endpoints.exchange import KEY, Exchange
from watchword.errors import InsufficientScope, UnauthorizedClient, Unavailable, WatchwordError
from watchword.flows import Tools
from watchword.problems import INTERNAL_ERROR, Problem, problem_of, problem_of_status
from watchword.recorder import Asker

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_END: Final = ((b"connection", b"close"),)
"""Of a request whose end is not certain: what follows on its connection may be no request of its own."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

_HEALTH: Final = b"/healthz"
_PLAIN: Final = "/:@!$&'()*+,;=~"
"""What stands in a path as it is, beside letters, digits and ``-._`` (RFC 3986 §3.3)."""

_log = logging.getLogger(__name__)


def watch_the_doorstep(app: Quart, *, doors: Iterable[Door], is_ours: Callable[[str], bool], tools: Tools) -> None:
    """Stand in front of an application: every request and its answer pass here as an ``Exchange``.

    Args:
        app: the application.
        doors: the routes that are answered here.
        is_ours: whether a path belongs to a route of ours.
        tools: count and time the requests, and take those that are not allowed.
    """
    inside = app.asgi_app
    door_at = {door.path.encode(): door for door in doors}

    @app.before_serving
    async def refuse_views_behind_a_door() -> None:
        hidden = sorted(rule.rule for rule in app.url_map.iter_rules() if rule.rule.encode() in door_at)
        if hidden:
            raise RuntimeError(f"the login service answers there, and no view is reached: {', '.join(hidden)}")

    is_told = False

    def has_started() -> bool:
        """Whether the start has come to its end, which is the first news of ended sessions; if not, the log says so."""
        nonlocal is_told
        is_up = tools.denials.staleness < inf
        if not is_up and not is_told:
            is_told = True
            _log.warning(
                "all but /healthz is answered 503, for the application was not started; does its server, its parent or "
                "its test send the events of ASGI's lifespan?"
            )
        return is_up

    async def doorstep(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await inside(scope, receive, send)
            return
        below = _below_its_root(scope) if scope.get("root_path") else scope
        exchange = Exchange(below or scope, send, tools.metrics)
        if scope["type"] == "http" and (_has_two_ends(scope) or _has_no_method(scope)):
            # Before all else: whatever it asks for, it is the last.
            await exchange.refuse(problem_of_status(_BAD_REQUEST), headers=_END)
        elif not has_started() and (below is None or below["raw_path"] != _HEALTH):
            await exchange.refuse(problem_of(Unavailable("the application was not started")))
        elif below is not None and below["type"] == "http" and (door := door_at.get(below["raw_path"])) is not None:
            exchange.route = door.path
            await at_the_door(door, exchange, below, receive)
        elif (
            below is None
            or not below["path"].startswith("/")
            or (_is_spelled_oddly(below["raw_path"]) and is_ours(f"/{below['path'].lstrip('/')}"))
        ):
            await exchange.refuse(problem_of_status(_NOT_FOUND))
        else:
            cast("dict[str, object]", scope)[KEY] = exchange
            await enter(exchange, scope, receive)
        if exchange.forbidden is not None:
            _tell(exchange.forbidden, asker_of(tools, scope, request_id=exchange.request_id))

    async def at_the_door(door: Door, exchange: Exchange, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        if scope["method"] not in door.methods:
            allow = ", ".join(door.methods).encode()
            await exchange.refuse(problem_of_status(_METHOD_NOT_ALLOWED), headers=[(b"allow", allow)])
            return
        try:
            reply = await door.view(Call(app, scope, receive, request_id=exchange.request_id))
        except ClientHasLeft:
            return
        except Exception as fault:
            await _refuse(exchange, fault)
            return
        length = (b"content-length", b"%d" % len(reply.body))
        await exchange.answer(status=reply.status, body=reply.body, headers=(length, *reply.headers))

    async def enter(exchange: Exchange, scope: HTTPScope | WebsocketScope, receive: ASGIReceiveCallable) -> None:
        try:
            await inside(scope, receive, exchange.send)
        except Exception as fault:
            if exchange.has_begun:
                raise  # too late for another answer; the server logs it and closes
            await _refuse(exchange, fault)

    app.asgi_app = doorstep  # type: ignore[method-assign]  # the place that Quart has for middleware


def _below_its_root(scope: HTTPScope | WebsocketScope) -> HTTPScope | WebsocketScope | None:
    """A request as it looks from below the path that the application is mounted at; None where it is not below it.

    Quart gets it as it came: it takes that path away by itself, and needs it for the addresses that ``url_for`` makes.
    """
    root = scope["root_path"].rstrip("/")
    raw_root = quote(root, safe=_PLAIN).encode()
    if not (scope["path"].startswith(f"{root}/") and scope["raw_path"].startswith(b"%b/" % raw_root)):
        return None
    below = scope.copy()
    below["root_path"] = ""
    below["path"] = scope["path"].removeprefix(root)
    below["raw_path"] = scope["raw_path"].removeprefix(raw_root)
    return below


def _is_spelled_oddly(raw_path: bytes) -> bool:
    return b"%" in raw_path or raw_path.startswith(b"//")


def _has_two_ends(scope: HTTPScope) -> bool:
    return len(_FRAMING.intersection([name for name, _ in scope["headers"]])) == len(_FRAMING)


def _has_no_method(scope: HTTPScope) -> bool:
    """Whether what stands in its place has small letters."""
    return scope["method"] != scope["method"].upper()


def _tell(refusal: InsufficientScope | UnauthorizedClient, asker: Asker) -> None:
    known = asker.as_client(refusal.client_id) if refusal.client_id else asker
    known.tell(
        Event.AUTHZ_FAIL,
        outcome=Outcome.REFUSED,
        detail=refusal.required,
        user_id="" if isinstance(refusal, UnauthorizedClient) else refusal.user_id,
        session_id="" if isinstance(refusal, UnauthorizedClient) else refusal.session_id,
    )


async def _refuse(exchange: Exchange, fault: Exception) -> None:
    if isinstance(fault, InsufficientScope):
        exchange.forbidden = fault
    problem = _problem_of(fault)
    if problem is INTERNAL_ERROR:
        _log.error("unforeseen", exc_info=fault, extra={"request_id": exchange.request_id})
    await exchange.refuse(problem)


def _problem_of(fault: Exception) -> Problem:
    if isinstance(fault, WatchwordError):
        return problem_of(fault)
    if isinstance(fault, HTTPException):
        return problem_of_status(fault.code or _BAD_REQUEST)
    if isinstance(fault, UnicodeDecodeError):
        return problem_of_status(_BAD_REQUEST)
    return INTERNAL_ERROR
