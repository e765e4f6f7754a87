"""GET /.well-known/jwks.json: the public keys that check our tokens (RFC 7517 §5)."""

from quart import Response

from watchword.endpoints.answers import answer
from watchword.flows import Tools


async def jwks(tools: Tools) -> Response:
    """Publish the ring's public halves; a secret has none, so under HS256 the set may be empty."""
    return answer(tools.ring.jwks(), headers={"Cache-Control": "public, max-age=600"})
