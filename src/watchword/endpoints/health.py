"""GET /healthz and GET /readyz: is the process alive, and could it log somebody in?"""

from quart import Response

from watchword.endpoints.answers import answer
from watchword.errors import SchemaRefused, Unavailable
from watchword.flows import Tools
from watchword.store import migrations


async def healthz(_: Tools) -> Response:
    """Say that the event loop runs; no other part is asked, lest a restart be the cure for a database."""
    return answer({"status": "alive"})


async def readyz(tools: Tools) -> Response:
    """Look at the database, its schema, whether it takes writes, and the keys.

    Raises:
        Unavailable: one of them is not as it must be; the log says which.
    """
    try:
        await migrations.check(tools.store)
    except SchemaRefused as refusal:
        raise Unavailable(str(refusal)) from refusal
    if not tools.ring.can_sign:
        raise Unavailable("there is no key to sign with")
    return answer({"status": "ready"})
