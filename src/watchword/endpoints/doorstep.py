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

ASGI lets a server leave ``raw_path`` out: how a path was spelled is not known then, and the usual way is taken for it.

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
    doorstep = _Doorstep(app, doors=doors, is_ours=is_ours, tools=tools)
    app.before_serving(doorstep.refuse_views_behind_a_door)
    app.asgi_app = doorstep  # type: ignore[method-assign]  # the place that Quart has for middleware


class _Doorstep:
    """ASGI middleware: a request ends at one of its steps, or enters the application."""

    def __init__(self, app: Quart, *, doors: Iterable[Door], is_ours: Callable[[str], bool], tools: Tools) -> None:
        self._app = app
        self._inside = app.asgi_app
        self._doors = {door.path.encode(): door for door in doors}
        self._is_ours = is_ours
        self._tools = tools
        self._is_told = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer a request, or have it answered inside."""
        if scope["type"] == "lifespan":
            await self._inside(scope, receive, send)
            return
        if scope.get("raw_path") is None:
            scope = scope.copy()
            scope["raw_path"] = quote(scope["path"], safe=_PLAIN).encode()
        below = _below_its_root(scope) if scope.get("root_path") else scope
        exchange = Exchange(below or scope, send, self._tools.metrics)
        if scope["type"] == "http" and (_has_two_ends(scope) or _has_no_method(scope)):
            # Before all else: whatever it asks for, it is the last.
            await exchange.refuse(problem_of_status(_BAD_REQUEST), headers=_END)
        elif not self._has_started() and (below is None or below["raw_path"] != _HEALTH):
            await exchange.refuse(problem_of(Unavailable("the application was not started")))
        elif below is not None and below["type"] == "http" and (door := self._doors.get(below["raw_path"])) is not None:
            await self._answer_at(door, exchange, below, receive)
        elif below is None or self._is_no_path(below):
            await exchange.refuse(problem_of_status(_NOT_FOUND))
        else:
            await self._let_in(exchange, scope, receive)
        if exchange.forbidden is not None:
            _tell(exchange.forbidden, asker_of(self._tools, scope, request_id=exchange.request_id))

    async def refuse_views_behind_a_door(self) -> None:
        """See that no view of the application stands where a door does.

        Raises:
            RuntimeError: one does, and would never be reached.
        """
        hidden = sorted(rule.rule for rule in self._app.url_map.iter_rules() if rule.rule.encode() in self._doors)
        if hidden:
            raise RuntimeError(f"the login service answers there, and no view is reached: {', '.join(hidden)}")

    def _has_started(self) -> bool:
        """Whether the start has come to its end, which is the first news of ended sessions; if not, the log says so."""
        is_up = self._tools.denials.staleness < inf
        if not is_up and not self._is_told:
            self._is_told = True
            _log.warning(
                "all but /healthz is answered 503, for the application was not started; does its server, its parent or "
                "its test send the events of ASGI's lifespan?"
            )
        return is_up

    def _is_no_path(self, scope: HTTPScope | WebsocketScope) -> bool:
        """Whether its target is no path, or another spelling of one of ours."""
        path = scope["path"]
        return not path.startswith("/") or (
            _is_spelled_oddly(scope["raw_path"]) and self._is_ours(f"/{path.lstrip('/')}")
        )

    async def _answer_at(self, door: Door, exchange: Exchange, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        exchange.route = door.path
        if scope["method"] not in door.methods:
            allow = ", ".join(door.methods).encode()
            await exchange.refuse(problem_of_status(_METHOD_NOT_ALLOWED), headers=[(b"allow", allow)])
            return
        try:
            reply = await door.view(Call(self._app, scope, receive, request_id=exchange.request_id))
        except ClientHasLeft:
            return
        except Exception as fault:
            await _refuse(exchange, fault)
            return
        length = (b"content-length", b"%d" % len(reply.body))
        await exchange.answer(status=reply.status, body=reply.body, headers=(length, *reply.headers))

    async def _let_in(
        self, exchange: Exchange, scope: HTTPScope | WebsocketScope, receive: ASGIReceiveCallable
    ) -> None:
        cast("dict[str, object]", scope)[KEY] = exchange
        try:
            await self._inside(scope, receive, exchange.send)
        except Exception as fault:
            if exchange.has_begun:
                raise  # too late for another answer; the server logs it and closes
            await _refuse(exchange, fault)


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
