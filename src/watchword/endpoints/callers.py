"""Who is asking: what a request tells of its sender, as far as it can be believed."""

from typing import Final

from hypercorn.typing import HTTPScope, WebsocketScope
from quart import request

from watchword.endpoints.exchange import exchange_of
from watchword.flows import Tools
from watchword.recorder import Asker

_READ: Final = b"x-forwarded-for"
_CLAIMS: Final = frozenset({_READ, b"forwarded", b"x-real-ip"})
"""Headers by which proxies tell for whom they speak. One is read: of two, a proxy may pass on what a client wrote."""

_MAX_USER_AGENT: Final = 200
"""Characters that are kept: enough to know one's own devices by."""


def asker(tools: Tools) -> Asker:
    """The sender of the request that Quart is handling."""
    return asker_of(tools, request.scope, request_id=exchange_of(request.scope).request_id)


def asker_of(tools: Tools, scope: HTTPScope | WebsocketScope, *, request_id: str) -> Asker:
    """The sender of a request at the doorstep."""
    agents = [_text(value) for name, value in scope["headers"] if name == b"user-agent"]
    return Asker(
        tools.recorder,
        actor="user",
        network=_network(tools, scope),
        user_agent=_printable(", ".join(agents)),
        request_id=request_id,
    )


def _network(tools: Tools, scope: HTTPScope | WebsocketScope) -> str:
    client = scope.get("client")
    claims = [(name, value) for name, value in scope["headers"] if name in _CLAIMS]
    return tools.proxies.network(
        None if client is None else client[0],
        forwarded=[value.decode("latin-1") for name, value in claims if name == _READ],
        is_claimed=bool(claims),
    )


def _text(value: bytes) -> str:
    """A field in UTF-8, as clients of today write it, or in Latin-1, which anything is (RFC 9110 §5.5)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _printable(text: str) -> str:
    """What is shown to people and stored: no control characters, which no database has to take."""
    return "".join(filter(str.isprintable, text[:_MAX_USER_AGENT]))
