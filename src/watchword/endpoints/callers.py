"""Who is asking: the network that a request comes from, as far as it can be believed."""

from typing import Final

from hypercorn.typing import HTTPScope, WebsocketScope

from watchword.flows import Tools

_READ: Final = b"x-forwarded-for"
_CLAIMS: Final = frozenset({_READ, b"forwarded", b"x-real-ip"})
"""Headers by which proxies tell for whom they speak. One is read: of two, a proxy may pass on what a client wrote."""


def network_of_caller(tools: Tools, scope: HTTPScope | WebsocketScope) -> str:
    """The network of whoever sent a request, as ``networks.network_of`` writes it."""
    client = scope.get("client")
    claims = [(name, value) for name, value in scope["headers"] if name in _CLAIMS]
    return tools.proxies.network(
        None if client is None else client[0],
        forwarded=[value.decode("latin-1") for name, value in claims if name == _READ],
        is_claimed=bool(claims),
    )
