"""How requests of our own routes go through Quart: in the server's task, without the ones that Quart starts for each.

Quart starts a task to receive a request's body, one to handle it and one more for each time limit, and waits for
whichever ends first, so that a client who hangs up cancels the handler. Our routes read a small body before anything
else and answer from memory, so a request without a body needs none of these, and one with a body a single task: the
one that notices a client who hangs up while a hash is computed. An application's own routes go Quart's usual way.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers import Request
from quart.wrappers.response import DataBody, Response
from werkzeug.wrappers import Response as WerkzeugResponse

from watchword.endpoints.exchange import exchange_of

T = TypeVar("T")
Answer = Response | WerkzeugResponse

_BODILESS: Final = frozenset({"GET", "HEAD"})
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


def direct_connection(is_ours: Callable[[str], bool]) -> type[ASGIHTTPConnection]:
    """A class for ``Quart.asgi_http_class``.

    Args:
        is_ours: whether a path belongs to a route of ours.
    """

    class DirectConnection(ASGIHTTPConnection):
        async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            if not is_ours(self.scope["path"]):
                await super().__call__(receive, send)
                return
            request = self._create_request_from_scope(send)
            response: Answer | None = None
            if _has_no_body(self.scope):
                request.body.set_complete()
                response = await self.app.handle_request(request)
            elif await _body_has_come(request, receive, limit=self.app.config["MAX_CONTENT_LENGTH"]):
                response = await _unless_the_client_leaves(receive, self.app.handle_request(request))
            if isinstance(response, Response) and isinstance(response.response, DataBody):
                await exchange_of(self.scope).answer(
                    status=response.status_code,
                    headers=encode_headers(response.headers),
                    body=response.response.data,
                )
            elif response is not None:
                await self._send_response(send, response)

        def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
            request = super()._create_request_from_scope(send)
            exchange_of(self.scope).asked = request
            return request

    return DirectConnection


def _has_no_body(scope: HTTPScope) -> bool:
    """Whether there is nothing to wait for; in HTTP/2 a body need not be announced, but these methods have none."""
    return scope["method"] in _BODILESS and _BODY_HEADERS.isdisjoint(name for name, _ in scope["headers"])


async def _body_has_come(request: Request, receive: ASGIReceiveCallable, *, limit: int) -> bool:
    """Receive a body, or so much of it that whoever reads it will be told that it is too long or too late.

    Returns:
        Whether there is still somebody to answer.
    """
    if (request.content_length or 0) > limit:
        return True
    seconds, request.body_timeout = request.body_timeout, None  # it is all here when it is read, and needs no task
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while size <= limit:
                message = await receive()
                if message["type"] != "http.request":
                    return False
                request.body.append(message["body"])
                size += len(message["body"])
                if not message["more_body"]:
                    request.body.set_complete()
                    break
    except TimeoutError:
        request.body_timeout = 0
    return True


async def _unless_the_client_leaves(receive: ASGIReceiveCallable, handling: Coroutine[Any, Any, T]) -> T | None:
    """Handle a request in this task, but cancel that when the client hangs up; there is then nobody to answer."""
    this_task = cast("asyncio.Task[Any]", asyncio.current_task())
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] == "http.request":
            pass
        has_left = True
        this_task.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        return await handling
    except asyncio.CancelledError:
        if not has_left:
            raise
        this_task.uncancel()
        return None
    finally:
        watching.cancel()
