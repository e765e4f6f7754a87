"""Refresh: the newest refresh token of a session is exchanged for the next one, and for a new access token.

Of any number who present it at once one counts the session up, and all get the same answer. So does who presents the
token just before, within the grace, because the answer was lost. Anything older means that two hold tokens of one
session, and ends it for both (RFC 9700 §4.14.2).
"""

import logging
from functools import partial
from typing import Final

from watchword.errors import InvalidRefreshToken
from watchword.flows import Tools
from watchword.flows.issue import Issued, issue
from watchword.identifiers import new_id
from watchword.model import Presented, Revocation, Session, User
from watchword.refresh_tokens import RefreshToken
from watchword.store import audit, sessions
from watchword.store.connection import Connection

_TRIES: Final = 3
"""Who loses to another refresh finds its successor in place; only an end or a change of the user comes after that."""

_log = logging.getLogger(__name__)


async def refresh(tools: Tools, *, refresh_token: str) -> Issued:
    """Exchange a refresh token.

    Raises:
        InvalidRefreshToken: it is not ours, was exchanged before, or its session is over.
        Unavailable: the database is away, slow or locked.
    """
    presented = RefreshToken.parse(refresh_token)
    for _ in range(_TRIES):
        session, user = await _find(tools, presented)
        now = tools.clock()
        if session.is_over(now=now):
            raise InvalidRefreshToken("over")
        if user.is_disabled or user.password_version != session.password_version:
            raise InvalidRefreshToken("the user has changed")
        match session.presented(presented.counter, now=now, grace=tools.lifetimes.grace):
            case Presented.CURRENT:
                continued = await _exchange(tools, session, now=now)
            case Presented.PREDECESSOR:
                continued = await _repeat(tools, session, now=now)
            case Presented.REUSED:
                await _end(tools, session, now=now)
                raise InvalidRefreshToken("exchanged before")
            case Presented.AHEAD:
                raise InvalidRefreshToken("from the future")
        if continued is not None:
            return issue(tools, user=user, session=continued, now=now)
    raise InvalidRefreshToken("changed meanwhile")


async def _find(tools: Tools, presented: RefreshToken) -> tuple[Session, User]:
    found = await tools.store.read(partial(sessions.find, session_id=presented.session_id))
    if found is None:
        raise InvalidRefreshToken("no such session")
    tools.refresh_keys.verify(presented, salt=found[0].salt)
    return found


async def _exchange(tools: Tools, session: Session, *, now: int) -> Session | None:
    refreshed = session.refreshed(now=now, idle=tools.lifetimes.idle)
    refreshed = refreshed.with_token(now=now, lifetime=tools.lifetimes.access_token)
    return await tools.store.write_one(partial(sessions.refresh, session=session, refreshed=refreshed, now=now))


async def _repeat(tools: Tools, session: Session, *, now: int) -> Session | None:
    """Give the answer again. The access token in it is new, and may outlive the one before."""
    again = session.with_token(now=now, lifetime=tools.lifetimes.access_token)
    if again == session:
        return session
    return await tools.store.write_one(partial(sessions.note_token, session=again))


async def _end(tools: Tools, session: Session, *, now: int) -> None:
    async def end_and_tell(connection: Connection) -> list[Revocation]:
        ended = await sessions.end(connection, session_id=session.id, user_id=session.user_id, now=now)
        if ended:  # else another has ended it, and told
            await audit.record(
                connection,
                event_id=new_id(),
                at=now,
                event=audit.TOKEN_REUSE,
                user_id=session.user_id,
                session_id=session.id,
            )
        return ended

    ended = await tools.store.write(end_and_tell)
    tools.denials.learn(ended, now=now)
    if ended:
        _log.warning(audit.TOKEN_REUSE, extra={"user_id": session.user_id, "session_id": session.id})
