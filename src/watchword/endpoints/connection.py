"""How requests of our own routes go through Quart: in the server's task, without the ones that Quart starts for each.

Quart starts a task to receive a request's body, one to handle it and one more for each time limit, and waits for
whichever ends first, so that a client who hangs up cancels the handler. A route of ours answers what has no body from
memory and needs none of these. What has one, and an application's own routes, go Quart's usual way.
"""

from collections.abc import Callable
from typing import Final

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers import Request
from quart.wrappers.response import DataBody, Response

from watchword.endpoints.exchange import exchange_of

_BODILESS: Final = frozenset({"GET", "HEAD"})
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


def direct_connection(is_ours: Callable[[str], bool]) -> type[ASGIHTTPConnection]:
    """A class for ``Quart.asgi_http_class``.

    Args:
        is_ours: whether a path belongs to a route of ours.
    """

    class DirectConnection(ASGIHTTPConnection):
        async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            if not (_has_no_body(self.scope) and is_ours(self.scope["path"])):
                await super().__call__(receive, send)
                return
            request = self._create_request_from_scope(send)
            request.body.set_complete()
            response = await self.app.handle_request(request)
            if isinstance(response, Response) and isinstance(response.response, DataBody):
                await exchange_of(self.scope).answer(
                    status=response.status_code,
                    headers=encode_headers(response.headers),
                    body=response.response.data,
                )
            else:
                await self._send_response(send, response)

        def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
            request = super()._create_request_from_scope(send)
            exchange_of(self.scope).asked = request
            return request

    return DirectConnection


def _has_no_body(scope: HTTPScope) -> bool:
    """Whether there is nothing to wait for; in HTTP/2 a body need not be announced, but these methods have none."""
    return scope["method"] in _BODILESS and _BODY_HEADERS.isdisjoint(name for name, _ in scope["headers"])
