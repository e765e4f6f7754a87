"""How our own GET requests go through Quart: without the two tasks and the timeouts that a body and a stream need.

Quart starts one task to receive a request's body and one to handle it, and waits for whichever ends first, so that a
client that hangs up cancels the handler. Our GET routes have no body and answer at once, so for them that is cost
without use. Everything else, an application's own routes included, goes Quart's usual way.
"""

from typing import Final

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers.response import DataBody, Response

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


def direct_connection(*paths: str) -> type[ASGIHTTPConnection]:
    """A class for ``Quart.asgi_http_class`` that answers GET requests without a body on these paths directly."""
    direct = frozenset(paths)

    class DirectConnection(ASGIHTTPConnection):
        async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            scope = self.scope
            has_body = any(name in _BODY_HEADERS for name, _ in scope["headers"])
            if scope["method"] != "GET" or scope["path"] not in direct or has_body:
                await super().__call__(receive, send)
                return
            request = self._create_request_from_scope(send)
            request.body.set_complete()
            response = await self.app.handle_request(request)
            if not isinstance(response, Response) or not isinstance(response.response, DataBody):
                await self._send_response(send, response)
                return
            headers = encode_headers(response.headers)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": response.response.data, "more_body": False})

    return DirectConnection
