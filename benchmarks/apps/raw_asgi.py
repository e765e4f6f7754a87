"""Two ASGI answers without a framework: what a request costs in the server alone.

``/bare`` is as short as an answer gets; ``/headers`` has the headers of a good ``GET /forward-auth``.
"""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = b'{"hello":"world"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
AS_FORWARD_AUTH = [
    (b"content-length", b"0"),
    (b"x-auth-user", b"user-00000"),
    (b"x-auth-subject", b"0123456789012345678901"),
    (b"x-auth-scope", b""),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-request-id", b"0123456789012345678901"),
]


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers, answer = (AS_FORWARD_AUTH, b"") if scope["path"] == "/headers" else (HEADERS, ANSWER)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer, "more_body": False})
