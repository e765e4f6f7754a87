"""GET /sessions and DELETE /sessions/{id}: where the bearer is logged in, and an end to it."""

from typing import Annotated

import msgspec
from quart import Response

from watchword.endpoints.answers import Time, answer, done
from watchword.endpoints.bearer import bearer
from watchword.endpoints.callers import asker
from watchword.flows import Tools
from watchword.flows.sessions import end_own, list_own


class SessionAnswer(msgspec.Struct):
    """One login. Its id is the ``sid`` of its access tokens and is no secret; nothing of a token is told."""

    id: str
    auth_time: Time
    refreshed_at: Time
    ends_at: Time
    network: Annotated[str, msgspec.Meta(description="where the login came from")]
    user_agent: Annotated[str, msgspec.Meta(description="what the client called itself")]
    current: Annotated[bool, msgspec.Meta(description="whether it is the one that asks")]


class SessionsAnswer(msgspec.Struct):
    """The login that asks and those that were used last, the latest first: all, unless there are more than 200."""

    sessions: list[SessionAnswer]


async def list_sessions(tools: Tools) -> Response:
    """Tell when and from where the bearer has logged in."""
    token = bearer()
    listed = [
        SessionAnswer(
            id=session.id,
            auth_time=session.auth_time,
            refreshed_at=session.refreshed_at,
            ends_at=session.ends_at,
            network=session.network,
            user_agent=session.user_agent,
            current=session.id == token.sid,
        )
        for session in await list_own(tools, token=token)
    ]
    return answer(SessionsAnswer(listed))


async def end_session(tools: Tools, session_id: str) -> Response:
    """End one of the bearer's sessions."""
    await end_own(tools, token=bearer(), session_id=session_id, asker=asker(tools))
    return done()
