"""GET /healthz and GET /readyz: is the process alive, and could it log somebody in?"""

from quart import Response

from watchword.endpoints.answers import answer
from watchword.flows import Tools


async def healthz(_: Tools) -> Response:
    """Say that the event loop runs; no other part is asked, lest a restart be the cure for a database."""
    return answer({"status": "alive"})


async def readyz(tools: Tools) -> Response:
    """Say that a login would find what it needs.

    Raises:
        Unavailable: it would not.
    """
    await tools.readiness.check()
    return answer({"status": "ready"})
