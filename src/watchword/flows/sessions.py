"""Look at sessions and end them: one's own, or as an administrator anybody's."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Final

from watchword import usernames
from watchword.errors import UnknownSession, UnknownUser
from watchword.flows import Tools
from watchword.model import AccessToken, Revocation, Session
from watchword.recorder import Asker
from watchword.store import Store, sessions, users
from watchword.store.connection import Connection

_PAGE: Final = 1000
_CHOSEN: Final = "chosen"
"""How the audit trail tells that one session, or one user's, was named to be ended."""

_MOST_OWN: Final = 200
"""Sessions of which a bearer is told: a list of ten thousand, asked for again and again, would be all that a service
does."""


async def list_own(tools: Tools, *, token: AccessToken) -> list[Session]:
    """A bearer's sessions: the one that asks, then the one that was refreshed last, and so on; of very many the first.

    Of the one that asks no more is told than its token says. Whoever has stolen tokens of it would else be told when
    its owner refreshes, and could do so too, within the grace, each time and unnoticed.
    """
    latest = partial(sessions.latest_of_user, user_id=token.sub, kept=token.sid, limit=_MOST_OWN, now=tools.clock())
    own: list[Session] = []
    for session in await tools.store.read(latest):
        if session.id != token.sid:
            own.append(session)
        else:
            is_cut = session.ends_at == session.expires_at  # then its row no longer knows for how long it may be idle
            idle = tools.lifetimes.idle if is_cut else session.ends_at - session.refreshed_at
            ends_at = min(session.expires_at, max(token.exp, token.iat + idle))
            own.insert(0, replace(session, refreshed_at=token.iat, ends_at=ends_at))
    return own


async def end_own(tools: Tools, *, token: AccessToken, session_id: str, asker: Asker) -> None:
    """End one of a bearer's sessions.

    Raises:
        UnknownSession: the bearer has no such session.
    """
    now = tools.clock()

    def tell(ended: list[Revocation]) -> None:
        tools.denials.learn(ended, now=now)
        asker.tell_ends(ended, detail=_CHOSEN, user_id=token.sub)

    end = partial(
        sessions.end,
        session_id=session_id,
        user_id=token.sub,
        now=now,
        token_lifetime=tools.lifetimes.access_token,
        presented=token if session_id == token.sid else None,
    )
    if not await tools.store.write(end, then=tell):
        raise UnknownSession(session_id)


async def list_sessions(store: Store, *, username: str | None, now: int) -> AsyncIterator[tuple[Session, str]]:
    """Everybody's sessions, or one user's, each with the user's name; read page by page.

    Raises:
        UnknownUser: nobody has the name.
    """
    if username is not None:
        name = usernames.canonical_at_leisure(username)
        user = await store.read(partial(users.find_by_name, canonical_name=name))
        if user is None:
            raise UnknownUser(name)
        for session in await store.read(partial(sessions.of_user, user_id=user.id, now=now)):
            yield session, user.username
        return
    after = ""
    while True:
        page = await store.read(partial(sessions.page, after=after, limit=_PAGE, now=now))
        for each in page:
            yield each
        if len(page) < _PAGE:
            return
        after = page[-1][0].id


async def end_session(store: Store, *, session_id: str, now: int, token_lifetime: int, asker: Asker) -> None:
    """End anybody's session.

    Raises:
        UnknownSession: there is none of this id.
    """
    if not session_id.isascii():  # a command's argument may be no UTF-8, and then no database takes it
        raise UnknownSession(session_id)

    async def end(connection: Connection) -> tuple[list[Revocation], str]:
        found = await sessions.find(connection, session_id=session_id)
        if found is None:
            return [], ""
        user_id = found[0].user_id
        ended = await sessions.end(
            connection, session_id=session_id, user_id=user_id, now=now, token_lifetime=token_lifetime
        )
        return ended, user_id

    ended, _ = await store.write(end, then=lambda done: asker.tell_ends(done[0], detail=_CHOSEN, user_id=done[1]))
    if not ended:
        raise UnknownSession(session_id)


async def end_sessions_of(store: Store, *, username: str, now: int, token_lifetime: int, asker: Asker) -> int:
    """End all sessions of a user, and tell how many.

    Raises:
        UnknownUser: nobody has the name.
    """
    name = usernames.canonical_at_leisure(username)

    async def end(connection: Connection) -> tuple[list[Revocation], str]:
        user = await users.find_by_name(connection, canonical_name=name)
        if user is None:
            raise UnknownUser(name)
        ended = await sessions.end_all(connection, user_id=user.id, now=now, token_lifetime=token_lifetime)
        return ended, user.id

    ended, _ = await store.write(end, then=lambda done: asker.tell_ends(done[0], detail=_CHOSEN, user_id=done[1]))
    return len(ended)
