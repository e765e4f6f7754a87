"""Shape answers: JSON bodies, error answers, and the headers and the log line that every answer gets."""

import logging
import time
from typing import Final

import msgspec
from quart import Quart, Response, g, has_request_context, request, websocket
from quart.typing import ResponseReturnValue, ResponseTypes
from werkzeug.exceptions import HTTPException

from watchword import telemetry
from watchword.errors import WatchwordError
from watchword.guard import Refusal
from watchword.identifiers import new_id
from watchword.problems import INTERNAL_ERROR, Problem, problem_of, problem_of_status

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

_FIRST_ERROR: Final = 400

_log = logging.getLogger(__name__)


def answer(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, headers, content_type="application/json")


def refuse(problem: Problem, *, headers: dict[str, str] | None = None) -> Response:
    """An error answer (DESIGN §1)."""
    g.code = problem.code
    body = problem.body(request_id=g.get("request_id"))
    return answer(body, status=problem.status, headers={**(headers or {}), **problem.headers})


def shape_all(app: Quart) -> None:
    """Give every answer of an application its request id, headers and log line, and every error its shape.

    Headers that a view set itself stay as they are.
    """
    app.before_request(_arrive)
    app.after_request(_leave)
    app.before_websocket(_arrive)
    app.after_websocket(_leave_unaccepted)
    app.register_error_handler(WatchwordError, _on_refusal)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_surprise)


async def _arrive() -> None:
    g.request_id = new_id()
    g.arrived = time.perf_counter()


async def _leave(response: ResponseTypes) -> ResponseTypes:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = g.request_id
    asked = request if has_request_context() else websocket
    telemetry.request_answered(
        request_id=g.request_id,
        method=asked.method,
        route=None if asked.url_rule is None else asked.url_rule.rule,
        status=response.status_code,
        milliseconds=(time.perf_counter() - g.arrived) * 1000,
        code=g.get("code"),
    )
    return response


async def _leave_unaccepted(response: ResponseTypes | None) -> ResponseTypes | None:
    """A handshake for a WebSocket that is not to be is a request like others; one that was accepted has no answer."""
    return None if response is None else await _leave(response)


async def _on_refusal(refusal: WatchwordError) -> ResponseReturnValue:
    problem = problem_of(refusal)
    if problem is INTERNAL_ERROR:
        return await _on_surprise(refusal)
    return refuse(problem)


async def _on_http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, Refusal):
        return refuse(error.problem)
    status = error.code or 500
    if status < _FIRST_ERROR:
        return error.get_response()  # a redirect is an answer, not an error
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return refuse(problem_of_status(status), headers=headers)


async def _on_surprise(fault: Exception) -> ResponseReturnValue:
    _log.error("unforeseen", exc_info=fault, extra={"request_id": g.get("request_id")})
    return refuse(INTERNAL_ERROR)
