"""Introspect: is this token good, and what does it say? For those who cannot check tokens themselves (RFC 7662).

An access token is judged by the guard's rules. A refresh token is looked at and nothing more: it is neither exchanged,
nor does an old one end its session.
"""

from dataclasses import dataclass
from functools import partial

from watchword import tokens
from watchword.errors import InvalidRefreshToken, InvalidToken
from watchword.flows import Tools
from watchword.flows.admission import ClientCredentials, admit
from watchword.model import AccessToken, ClientScope, Presented, Session, User
from watchword.refresh_tokens import RefreshToken
from watchword.store import sessions
from watchword.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Refreshable:
    """What a good refresh token stands for.

    Attributes:
        session: which it would refresh.
        user: whose that is.
    """

    session: Session
    user: User


async def introspect(tools: Tools, *, client: ClientCredentials, token: str) -> AccessToken | Refreshable | None:
    """Judge a token.

    Returns:
        What it says; None where it is good for nothing, whatever the reason.

    Raises:
        InvalidClient: whoever asks has not proven to be a client of ours.
        UnauthorizedClient: the client may not ask this.
        Unavailable: the database is away, slow or locked, or it is not known which sessions have ended.
    """
    try:
        presented = RefreshToken.parse(token)
    except InvalidRefreshToken:
        await tools.store.read(partial(_asked_by, client=client))
        return _access_token(tools, token)
    found = await tools.store.read(partial(_asked_by, client=client, session_id=presented.session_id))
    return None if found is None else _refreshable(tools, presented, *found)


async def _asked_by(
    connection: Connection, client: ClientCredentials, session_id: str | None = None
) -> tuple[Session, User] | None:
    await admit(connection, client, scope=ClientScope.TOKENS_INTROSPECT)
    return None if session_id is None else await sessions.find(connection, session_id=session_id)


def _access_token(tools: Tools, text: str) -> AccessToken | None:
    try:
        token = tokens.verify(text, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
        tools.denials.check(token.sid)
    except InvalidToken:
        return None
    return token


def _refreshable(tools: Tools, presented: RefreshToken, session: Session, user: User) -> Refreshable | None:
    try:
        tools.refresh_keys.verify(presented, salt=session.salt)
    except InvalidRefreshToken:
        return None
    now = tools.clock()
    if session.is_over(now=now) or not session.serves(user):
        return None
    if tools.denials.knows(session.id):  # its row is one from a backup
        return None
    is_current = session.presented(presented.counter, now=now, grace=0) is Presented.CURRENT
    return Refreshable(session, user) if is_current else None
