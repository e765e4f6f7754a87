"""POST /oauth/revoke: a token in, and its session has ended (RFC 7009)."""

from quart import Response

from watchword.endpoints.callers import asker
from watchword.endpoints.oauth import read_token_form
from watchword.flows import Tools
from watchword.flows.revoke import revoke as end_session_of


async def revoke(tools: Tools) -> Response:
    """End the session of a token; 200 without a body, also where there was nothing to end (RFC 7009 §2.2)."""
    client, token = await read_token_form()
    await end_session_of(tools, client=client, token=token, asker=asker(tools))
    response = Response(b"", 200)
    response.headers.pop("Content-Type", None)
    return response
