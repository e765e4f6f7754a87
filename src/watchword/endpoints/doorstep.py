"""The doorstep: answer what never becomes a request of the application.

Quart makes its request where no error handler watches. There a Host header that is no host name, or a query that is not
UTF-8, ends in an empty 500. And of a target that does not begin with a slash it takes what a URL parser would call
the path, so that ``GET http:/me`` is /me to us and something else to a proxy's rules.
"""

import logging
import time
from typing import Final

import msgspec
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from quart import Quart
from werkzeug.exceptions import HTTPException, NotFound

from watchword import telemetry
from watchword.endpoints.answers import HEADERS
from watchword.identifiers import new_id
from watchword.problems import INTERNAL_ERROR, Problem, problem_of_status

_BAD_REQUEST: Final = 400

_log = logging.getLogger(__name__)


def watch_the_doorstep(app: Quart) -> None:
    """Answer in the contract's shape, and log, what an application's own handlers never see."""
    inside = app.asgi_app

    async def doorstep(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await inside(scope, receive, send)
            return
        arrived, answered = time.perf_counter(), False

        async def sending(event: ASGISendEvent) -> None:
            nonlocal answered
            answered = True
            await send(event)

        try:
            if scope["path"].startswith("/"):
                await inside(scope, receive, sending)
            else:
                await _refuse(NotFound(), scope, send, arrived=arrived)
        except Exception as fault:
            if answered:
                raise  # too late for another answer; the server logs it and closes
            await _refuse(fault, scope, send, arrived=arrived)

    app.asgi_app = doorstep  # type: ignore[method-assign]  # the place that Quart has for middleware


async def _refuse(fault: Exception, scope: Scope, send: ASGISendCallable, *, arrived: float) -> None:
    request_id = new_id()
    problem = _problem_of(fault)
    if problem is INTERNAL_ERROR:
        _log.error("unforeseen", exc_info=fault, extra={"request_id": request_id})
    body = msgspec.json.encode(problem.body(request_id=request_id))
    names = {
        **HEADERS,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    headers = [(name.lower().encode(), value.encode()) for name, value in names.items()]
    telemetry.request_answered(
        request_id=request_id,
        method=scope["method"] if scope["type"] == "http" else "GET",
        route=None,
        status=problem.status,
        milliseconds=(time.perf_counter() - arrived) * 1000,
        code=problem.code,
    )
    if scope["type"] == "websocket":
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    else:
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _problem_of(fault: Exception) -> Problem:
    if isinstance(fault, HTTPException):
        return problem_of_status(fault.code or _BAD_REQUEST)
    if isinstance(fault, UnicodeDecodeError):
        return problem_of_status(_BAD_REQUEST)
    return INTERNAL_ERROR
