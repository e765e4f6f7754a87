"""POST /logout: end this session, the bearer's others, or all."""

from quart import Response

from watchword.endpoints.answers import done
from watchword.endpoints.bearer import bearer
from watchword.endpoints.callers import asker
from watchword.endpoints.queries import sent
from watchword.errors import InvalidRequest
from watchword.flows import Tools
from watchword.flows.logout import Scope, log_out


async def logout(tools: Tools) -> Response:
    """End what ``?scope=`` names; this session where it is left out."""
    await log_out(tools, token=bearer(), scope=_scope(sent("scope")), asker=asker(tools))
    return done()


def _scope(names: list[str]) -> Scope:
    try:
        (name,) = names or [Scope.LOCAL.value]
        return Scope(name)
    except ValueError:
        raise InvalidRequest("scope: must be local, others or global") from None
