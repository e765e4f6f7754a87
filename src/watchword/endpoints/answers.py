"""Shape answers: JSON bodies, and every error in one form."""

import logging
from typing import Annotated, Final

import msgspec
from quart import Quart, Response, has_request_context, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from watchword.endpoints.exchange import Exchange, exchange_of
from watchword.errors import InsufficientScope, UnauthorizedClient, WatchwordError
from watchword.guard import Refusal
from watchword.problems import INTERNAL_ERROR, Problem, problem_of, problem_of_status

Time = Annotated[int, msgspec.Meta(ge=0, description="seconds since 1970")]
Seconds = Annotated[int, msgspec.Meta(ge=0, description="seconds")]
ScopeText = Annotated[str, msgspec.Meta(description="scopes, separated by spaces")]

_FIRST_ERROR: Final = 400

_log = logging.getLogger(__name__)


def answer(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, headers, content_type="application/json")


def done() -> Response:
    """204: it was done, and there is nothing to say."""
    return _bodiless(204)


def unchanged(headers: dict[str, str]) -> Response:
    """304: the client has it already (RFC 9110 §15.4.5). The headers are those that 200 would have."""
    return _bodiless(304, headers)


def _bodiless(status: int, headers: dict[str, str] | None = None) -> Response:
    response = Response(b"", status, headers)
    for name in ("Content-Type", "Content-Length"):  # RFC 9110 §8.6: the second must not be there
        response.headers.pop(name, None)
    return response


def refuse(problem: Problem, *, headers: dict[str, str] | None = None) -> Response:
    """An error answer, in the words of the path that was asked for."""
    exchange = _current_exchange()
    problem = exchange.note(problem)
    body = problem.body(request_id=exchange.request_id)
    return answer(body, status=problem.status, headers={**(headers or {}), **problem.headers})


def shape_all(app: Quart) -> None:
    """Give every error of an application its shape, and let each exchange know its route."""
    app.before_request(_note_route)
    app.before_websocket(_note_route)
    app.register_error_handler(WatchwordError, _on_refusal)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_surprise)


def _current_exchange() -> Exchange:
    return exchange_of((request if has_request_context() else websocket).scope)


async def _note_route() -> None:
    asked = request if has_request_context() else websocket
    if asked.url_rule is not None:
        exchange_of(asked.scope).route = asked.url_rule.rule


async def _on_refusal(refusal: WatchwordError) -> ResponseReturnValue:
    problem = problem_of(refusal)
    if problem is INTERNAL_ERROR:
        return await _on_surprise(refusal)
    if isinstance(refusal, InsufficientScope | UnauthorizedClient):
        _current_exchange().forbidden = refusal
    return refuse(problem)


async def _on_http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, Refusal):
        if isinstance(error.reason, InsufficientScope):
            _current_exchange().forbidden = error.reason
        return refuse(error.problem)
    status = error.code or INTERNAL_ERROR.status
    if status < _FIRST_ERROR:
        return error.get_response()  # a redirect is an answer, not an error
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return refuse(problem_of_status(status), headers=headers)


async def _on_surprise(fault: Exception) -> ResponseReturnValue:
    _log.error("unforeseen", exc_info=fault, extra={"request_id": _current_exchange().request_id})
    return refuse(INTERNAL_ERROR)
