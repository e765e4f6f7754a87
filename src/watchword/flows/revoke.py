"""Revoke: whoever holds a token of a session may have it ended, through a client (RFC 7009).

Access token or refresh token, the session ends with all that it has given. So it does for a refresh token that was
exchanged long ago: who holds one held the session, or stole it from who did, and either way it is better over. A token
that is none of ours, or is over, ends nothing and is no error: what its holder wants is so already.
"""

from functools import partial

from watchword import tokens
from watchword.audit import Event
from watchword.errors import InvalidRefreshToken, InvalidToken
from watchword.flows import Tools
from watchword.flows.admission import ClientCredentials, admit
from watchword.model import AccessToken, Client, ClientScope, Revocation, Session, User
from watchword.recorder import Asker
from watchword.refresh_tokens import RefreshToken
from watchword.store import sessions
from watchword.store.connection import Connection


async def revoke(tools: Tools, *, client: ClientCredentials, token: str, asker: Asker) -> None:
    """End the session of a token.

    Raises:
        InvalidClient: whoever asks has not proven to be a client of ours.
        UnauthorizedClient: the client may not ask this.
        Unavailable: the database is away, slow or locked; perhaps nothing has ended.
    """
    # Only what ends something waits for the one who writes: a token that is none of ours costs a read.
    try:
        presented = RefreshToken.parse(token)
    except InvalidRefreshToken:
        asking, _ = await tools.store.read(partial(_asked_by, client=client))
        try:
            claims = tokens.verify(token, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
        except InvalidToken:
            return
        await _end(tools, asking, session_id=claims.sid, user_id=claims.sub, presented=claims, asker=asker)
        return
    asking, found = await tools.store.read(partial(_asked_by, client=client, session_id=presented.session_id))
    if found is None:
        return
    session = found[0]
    try:
        tools.refresh_keys.verify(presented, salt=session.salt)
    except InvalidRefreshToken:
        return
    await _end(tools, asking, session_id=session.id, user_id=session.user_id, asker=asker)


async def _asked_by(
    connection: Connection, client: ClientCredentials, session_id: str | None = None
) -> tuple[Client, tuple[Session, User] | None]:
    asking = await admit(connection, client, scope=ClientScope.TOKENS_REVOKE)
    return asking, None if session_id is None else await sessions.find(connection, session_id=session_id)


async def _end(
    tools: Tools, asking: Client, *, session_id: str, user_id: str, presented: AccessToken | None = None, asker: Asker
) -> None:
    now = tools.clock()
    end = partial(
        sessions.end,
        session_id=session_id,
        user_id=user_id,
        now=now,
        token_lifetime=tools.lifetimes.access_token,
        presented=presented,
    )

    def tell(ended: list[Revocation]) -> None:
        tools.denials.learn(ended, now=now)
        if ended:  # else it was over already
            asker.as_client(asking.id).tell(Event.TOKEN_REVOKED, user_id=user_id, session_id=session_id)

    await tools.store.write(end, then=tell)
