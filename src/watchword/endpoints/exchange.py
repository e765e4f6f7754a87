"""One request and its answer, as they pass the doorstep: the headers, the id and the report that every answer gets.

It wraps ASGI's ``send``, so that nobody who answers, Quart's own error pages included, can forget a part.
"""

import time
from collections.abc import Iterable
from typing import Final, cast

import msgspec
from hypercorn.typing import ASGISendCallable, ASGISendEvent, HTTPScope, WebsocketScope

from watchword import telemetry
from watchword.errors import InsufficientScope, UnauthorizedClient
from watchword.identifiers import new_id
from watchword.metrics import Metrics
from watchword.problems import Problem, problem_at

RawHeader = tuple[bytes, bytes]

KEY: Final = "watchword.exchange"
"""Where in the ASGI scope a request's exchange is found."""

HEADERS: Final[dict[bytes, bytes]] = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""What every answer carries, unless a view has set another value."""

_ALL: Final = tuple(HEADERS.items())
JSON: Final = (b"content-type", b"application/json")
_NORMAL: Final = 1000
_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_BODIES: Final = frozenset({"http.response.body", "websocket.http.response.body"})


class Exchange:
    """A request that is being answered.

    Attributes:
        request_id: told in the answer and in the log.
        route: the rule that matched, once one has.
        code: the stable word of an error answer.
        has_begun: whether an answer is on its way.
        forbidden: why somebody who is known may not do this, where that was so.
    """

    __slots__ = (
        "_arrived", "_metrics", "_scope", "_send", "_status", "code", "forbidden", "has_begun", "request_id", "route",
    )  # fmt: skip

    def __init__(self, scope: HTTPScope | WebsocketScope, send: ASGISendCallable, metrics: Metrics) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._arrived = time.perf_counter()
        self._status = 0
        self.request_id = new_id()
        self.route: str | None = None
        self.code: str | None = None
        self.has_begun = False
        self.forbidden: InsufficientScope | UnauthorizedClient | None = None

    async def send(self, event: ASGISendEvent) -> None:
        """Send an event of the answer, completed; report when it was the last."""
        kind = event["type"]
        if kind in _STARTS:
            self.has_begun = True
            self._status = event["status"]  # type: ignore[typeddict-item]  # both kinds of start have it
            event["headers"] = self._completed(event["headers"])  # type: ignore[typeddict-item, typeddict-unknown-key]
        elif kind == "websocket.accept":
            self.has_begun = True
        await self._send(event)
        if kind in _BODIES and not event.get("more_body", False):
            self._report()

    async def answer(self, *, status: int, body: bytes = b"", headers: Iterable[RawHeader] = ()) -> None:
        """Send a whole answer, completed, and report it."""
        self.has_begun = True
        self._status = status
        sent = self._completed(headers)
        if self._scope["type"] == "websocket":
            if "websocket.http.response" not in (self._scope.get("extensions") or {}):
                # The server makes a 403 of it.
                await self._send({"type": "websocket.close", "code": _NORMAL, "reason": None})
                self._report()
                return
            await self._send({"type": "websocket.http.response.start", "status": status, "headers": sent})
            await self._send({"type": "websocket.http.response.body", "body": body, "more_body": False})
        else:
            await self._send({"type": "http.response.start", "status": status, "headers": sent})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self._report()

    def note(self, problem: Problem) -> Problem:
        """Take a problem down for the report, and give it back in the words of the path that was asked for."""
        told = problem_at(self._scope["path"], problem)
        self.code = told.code
        return told

    async def refuse(self, problem: Problem, *, headers: Iterable[RawHeader] = ()) -> None:
        """Answer with an error by hand, where Quart makes no answer."""
        problem = self.note(problem)
        named = ((name.lower().encode(), value.encode()) for name, value in problem.headers.items())
        body = msgspec.json.encode(problem.body(request_id=self.request_id))
        await self.answer(
            status=problem.status,
            body=body,
            headers=[JSON, (b"content-length", b"%d" % len(body)), *named, *headers],
        )

    def _completed(self, headers: Iterable[RawHeader]) -> list[RawHeader]:
        given = list(headers)
        if self._scope["http_version"] >= "2":  # which has no such header (RFC 9113 §8.2.2)
            given = [each for each in given if each[0] != b"connection"]
        names = {name for name, _ in given}  # in lower case, as Quart sends them and as HTTP/2 must
        common = _ALL if names.isdisjoint(HEADERS) else [each for each in _ALL if each[0] not in names]
        return [*given, *common, (b"x-request-id", self.request_id.encode())]

    def _report(self) -> None:
        method = self._scope["method"] if self._scope["type"] == "http" else "GET"
        seconds = time.perf_counter() - self._arrived
        telemetry.request_answered(
            request_id=self.request_id,
            method=method,
            route=self.route,
            status=self._status,
            seconds=seconds,
            code=self.code,
        )
        self._metrics.request_answered(method=method, route=self.route, status=self._status, seconds=seconds)


def exchange_of(scope: HTTPScope | WebsocketScope) -> Exchange:
    """The exchange of a request that has passed the doorstep."""
    return cast("dict[str, Exchange]", scope)[KEY]
