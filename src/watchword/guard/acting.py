"""Acting as a user without a token, for the tests of an application's own routes.

It cannot be left on by accident. Who acts is known to the context of the block alone, and is believed only on requests
that Quart's own test client made: no server can put its mark on a request, and no client of a server can.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from quart import Request, Websocket

from watchword.model import AccessToken

Actor = ContextVar[AccessToken | None]

_MADE_BY_THE_TEST_CLIENT: Final = "_quart._preserve_context"
"""A member of the ASGI scope of the test client's requests, whatever its value."""


@asynccontextmanager
async def acting(actor: Actor, token: AccessToken) -> AsyncIterator[AccessToken]:
    """Let the requests that begin in a block, and name nobody, be this token's."""
    before = actor.get()
    actor.set(token)
    try:
        yield token
    finally:
        actor.set(before)  # not ``reset``: a fixture may be left in another context than it was entered


def token_of_the_actor(asked: Request | Websocket, actor: Actor) -> AccessToken | None:
    """Whose a request without any ``Authorization`` is; None for nobody's."""
    token = actor.get()
    if token is None or _MADE_BY_THE_TEST_CLIENT not in asked.scope or "Authorization" in asked.headers:
        return None
    return token
