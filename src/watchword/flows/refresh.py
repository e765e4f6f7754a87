"""Refresh: the newest refresh token of a session is exchanged for the next one, and for a new access token.

Of any number who present it at once one counts the session up, and all get the same answer. So does who presents the
token just before, within the grace, because the answer was lost. Anything older means that two hold tokens of one
session, and ends it for both (RFC 9700 §4.14.2). A newer one, and one of a session that we know has ended, mean that
the database is one from a backup, where tokens that were spent since are good again; that ends the session too.
"""

from functools import partial
from typing import Final

from watchword.audit import Event, Outcome
from watchword.errors import InvalidRefreshToken
from watchword.flows import Tools
from watchword.flows.issue import Issued, issue
from watchword.model import Presented, Revocation, Session, User
from watchword.recorder import Asker
from watchword.refresh_tokens import RefreshToken
from watchword.store import sessions
from watchword.store.connection import Connection

_TRIES: Final = 3
"""Who loses to another refresh finds its successor in place; only an end or a change of the user comes after that."""


async def refresh(tools: Tools, *, refresh_token: str, asker: Asker) -> Issued:
    """Exchange a refresh token.

    Raises:
        InvalidRefreshToken: it is not ours, was exchanged before, or its session is over.
        Unavailable: the database is away, slow or locked, or no key signs.
    """
    presented = RefreshToken.parse(refresh_token)
    tools.readiness.expect_a_key()  # before it is counted up: who comes again after our 503 would be taken for a thief
    for _ in range(_TRIES):
        now = tools.clock()
        try:
            # On SQLite one hand-over to a thread and not two.
            continued = await tools.store.write_one(partial(_exchange, tools=tools, presented=presented, now=now))
        except _MustEnd as found:
            await _end(tools, found, now=now, asker=asker)
            raise InvalidRefreshToken(str(found)) from None
        if continued is not None:
            session, user = continued
            issued = issue(tools, user=user, session=session, now=now)
            asker.tell(Event.TOKEN_CREATED, user_id=user.id, session_id=session.id)
            return issued
    raise InvalidRefreshToken("changed meanwhile")


class _MustEnd(Exception):
    """What was presented is a reason to end its session.

    Attributes:
        session: it.
        is_reuse: whether two hold tokens of it; else its row is one from before.
    """

    def __init__(self, why: str, session: Session, *, is_reuse: bool) -> None:
        super().__init__(why)
        self.session = session
        self.is_reuse = is_reuse


async def _exchange(
    connection: Connection, *, tools: Tools, presented: RefreshToken, now: int
) -> tuple[Session, User] | None:
    """Look the session up and count it up.

    Returns:
        The session as it is afterwards, and its user; None if another refresh came between the two.
    """
    found = await sessions.find(connection, session_id=presented.session_id)
    if found is None:
        raise InvalidRefreshToken("no such session")
    session, user = found
    tools.refresh_keys.verify(presented, salt=session.salt)
    if session.is_over(now=now):
        raise InvalidRefreshToken("over")
    if not session.serves(user):
        raise InvalidRefreshToken("the user has changed")
    if tools.denials.knows(session.id):
        raise _MustEnd("ended before the database was restored", session, is_reuse=False)
    lifetimes = tools.lifetimes
    match session.presented(presented.counter, now=now, grace=lifetimes.grace):
        case Presented.CURRENT:
            refreshed = session.refreshed(now=now, idle=lifetimes.idle)
            refreshed = refreshed.with_token(now=now, lifetime=lifetimes.access_token)
            continued = await sessions.refresh(connection, session, refreshed=refreshed, now=now)
        case Presented.PREDECESSOR:
            # The answer is given again. The access token in it is new, and may outlive the one before.
            again = session.with_token(now=now, lifetime=lifetimes.access_token)
            continued = session if again == session else await sessions.note_token(connection, session=again)
        case Presented.REUSED:
            raise _MustEnd("exchanged before", session, is_reuse=True)
        case Presented.AHEAD:
            raise _MustEnd("from before the database was restored", session, is_reuse=False)
    return None if continued is None else (continued, user)


async def _end(tools: Tools, found: _MustEnd, *, now: int, asker: Asker) -> None:
    session = found.session

    def tell(ended: list[Revocation]) -> None:
        tools.denials.learn(ended, now=now)
        if not found.is_reuse:
            asker.tell_ends(ended, detail="restored", user_id=session.user_id)
        elif ended:  # else another has ended it, and told
            asker.tell(Event.TOKEN_REUSE, outcome=Outcome.REFUSED, user_id=session.user_id, session_id=session.id)

    lifetime = tools.lifetimes.access_token
    end = partial(sessions.end, session_id=session.id, user_id=session.user_id, now=now, token_lifetime=lifetime)
    await tools.store.write(end, then=tell)
