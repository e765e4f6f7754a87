"""GET /.well-known/jwks.json: the public keys that check our tokens (RFC 7517 §5)."""

from typing import Final

from quart import Response, request

from watchword.endpoints.answers import answer, unchanged
from watchword.flows import Tools

PATH: Final = "/.well-known/jwks.json"
KEPT: Final = "public, max-age=600"
"""For how long anybody may keep what we publish."""
_MOST_TAGS: Final = 256
"""Characters of tags that are looked through: to take apart as many as fit into a head takes ten milliseconds."""


async def jwks(tools: Tools) -> Response:
    """Publish the ring's public halves; a secret has none, so under HS256 the set may be empty.

    Who has the set already is told so without it: guards ask again and again, and keys seldom change.
    """
    tag = tools.ring.fingerprint
    headers = {"Cache-Control": KEPT, "ETag": f'"{tag}"'}
    if len(request.headers.get("If-None-Match", "")) <= _MOST_TAGS and request.if_none_match.contains_weak(tag):
        return unchanged(headers)
    return answer(tools.ring.jwks(), headers=headers)
