"""The table of sessions: one row per login, counted up by each refresh, removed when it ends."""

from collections.abc import Sequence
from typing import Final

from watchword.model import AccessToken, Revocation, Session, User
from watchword.store import revocations
from watchword.store.connection import Connection, Row, Statement, first
from watchword.store.users import COLUMNS as USER_COLUMNS

MOST: Final = 10_000
"""Sessions of one user: their end must fit into one transaction, or nobody could log the user out any more."""
MADE_ROOM_FOR: Final = 1000
"""How many fewer there are each time that there were too many, so that few logins pay for it."""

_COLUMNS = (
    "id, user_id, auth_time, expires_at, salt, counter, refreshed_at, ends_at, token_expires_at, password_version,"
    " network, user_agent"
)
_SIZE = len(_COLUMNS.split(", "))
_QUALIFIED = ", ".join(f"sessions.{name}" for name in _COLUMNS.split(", "))
_QUALIFIED_USER = ", ".join(f"users.{name}" for name in USER_COLUMNS.split(", "))

# The user's row is locked, so that whoever disables the user meanwhile waits, and then finds the session to end it.
# The count is one of the index alone, where no id stands: with ten thousand rows to read one user's login would keep
# SQLite from all others. SQLite counts the new row, which PostgreSQL does not see yet.
_OPEN = Statement(
    f"INSERT INTO sessions ({_COLUMNS})"
    " SELECT :id, id, :auth_time, :expires_at, :salt, :counter, :refreshed_at, :ends_at, :token_expires_at,"
    " password_version, :network, :user_agent FROM users"
    " WHERE id = :user_id AND password_version = :password_version AND disabled_at IS NULL"
    " /* PostgreSQL: FOR SHARE */"
    " RETURNING (SELECT count(*) FROM sessions AS others WHERE others.user_id = :user_id) - 1 /* PostgreSQL: + 1 */"
)
_FIND = Statement(
    f"SELECT {_QUALIFIED}, {_QUALIFIED_USER} FROM sessions JOIN users ON users.id = sessions.user_id"
    " WHERE sessions.id = :id"
)
_REFRESH = Statement(
    "UPDATE sessions SET counter = :new_counter, refreshed_at = :refreshed_at, ends_at = :ends_at,"
    " token_expires_at = CASE WHEN token_expires_at > :token_expires_at THEN token_expires_at"
    " ELSE :token_expires_at END"
    " WHERE id = :id AND counter = :counter AND ends_at > :now AND EXISTS (SELECT 1 FROM users"
    " WHERE users.id = user_id AND users.password_version = sessions.password_version AND disabled_at IS NULL)"
    " RETURNING id"
)
_NOTE_TOKEN = Statement(
    "UPDATE sessions SET token_expires_at = CASE WHEN token_expires_at > :token_expires_at THEN token_expires_at"
    " ELSE :token_expires_at END WHERE id = :id RETURNING id"
)
_NOTE_PASSWORD = Statement("UPDATE sessions SET password_version = :password_version WHERE id = :id RETURNING id")
_OF_USER = Statement(
    f"SELECT {_COLUMNS} FROM sessions WHERE user_id = :user_id AND ends_at > :now ORDER BY refreshed_at DESC, id"
)
_LATEST_OF_USER = Statement(
    f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS} FROM sessions WHERE user_id = :user_id AND ends_at > :now"
    " ORDER BY CASE id WHEN :kept THEN 0 ELSE 1 END, refreshed_at DESC, id LIMIT :limit) AS latest"
    " ORDER BY refreshed_at DESC, id"
)
_PAGE = Statement(
    f"SELECT {_QUALIFIED}, users.username FROM sessions JOIN users ON users.id = sessions.user_id"
    " WHERE sessions.id > :after AND ends_at > :now ORDER BY sessions.id LIMIT :limit"
)
_END = Statement(
    "DELETE FROM sessions WHERE id = :id AND user_id = :user_id RETURNING id, token_expires_at, refreshed_at"
)
_END_ALL = Statement(
    "DELETE FROM sessions WHERE user_id = :user_id AND id <> :kept RETURNING id, token_expires_at, refreshed_at"
)
_END_OLDEST = Statement(
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = :user_id AND id <> :kept"
    " ORDER BY refreshed_at DESC, id LIMIT :limit OFFSET :others) RETURNING id, token_expires_at, refreshed_at"
)
_PURGE = Statement(
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ends_at <= :before ORDER BY ends_at LIMIT :limit"
    " /* PostgreSQL: FOR UPDATE SKIP LOCKED */) RETURNING id"
)


async def open_for(connection: Connection, user: User, *, session: Session) -> int | None:
    """Begin a session for a user whose password was just proven.

    Returns:
        How many others the user has; None if since then the user was disabled, deleted or given another password, and
        so no session has begun.
    """
    rows = await connection.fetch(
        _OPEN,
        id=session.id,
        user_id=user.id,
        auth_time=session.auth_time,
        expires_at=session.expires_at,
        salt=session.salt,
        counter=session.counter,
        refreshed_at=session.refreshed_at,
        ends_at=session.ends_at,
        token_expires_at=session.token_expires_at,
        password_version=user.password_version,
        network=session.network,
        user_agent=session.user_agent,
    )
    return rows[0][0] if rows else None


async def find(connection: Connection, *, session_id: str) -> tuple[Session, User] | None:
    """A session, also one that is over but still there, and the user whose it is."""
    row = first(await connection.fetch(_FIND, id=session_id))
    return None if row is None else (Session(*row[:_SIZE]), User(*row[_SIZE:]))


async def refresh(connection: Connection, session: Session, *, refreshed: Session, now: int) -> Session | None:
    """Count a session up, of any number who try at once for one of them.

    Args:
        connection: the database.
        session: as it was read.
        refreshed: as it is to be.
        now: the time.

    Returns:
        The refreshed session; None if it was refreshed or has ended since it was read, or if the user was disabled or
        given another password.
    """
    rows = await connection.fetch(
        _REFRESH,
        id=session.id,
        counter=session.counter,
        new_counter=refreshed.counter,
        refreshed_at=refreshed.refreshed_at,
        ends_at=refreshed.ends_at,
        token_expires_at=refreshed.token_expires_at,
        now=now,
    )
    return refreshed if rows else None


async def note_token(connection: Connection, session: Session) -> Session | None:
    """Remember that one more access token was given, and until when it lives.

    Returns:
        The session; None if it has ended.
    """
    rows = await connection.fetch(_NOTE_TOKEN, id=session.id, token_expires_at=session.token_expires_at)
    return session if rows else None


async def note_password(connection: Connection, *, session_id: str, password_version: int) -> bool:
    """Let a session go on under the user's new password, and tell whether it is still there."""
    return bool(await connection.fetch(_NOTE_PASSWORD, id=session_id, password_version=password_version))


async def of_user(connection: Connection, *, user_id: str, now: int) -> list[Session]:
    """A user's sessions that are not over, the one that was refreshed last first."""
    return [Session(*row) for row in await connection.fetch(_OF_USER, user_id=user_id, now=now)]


async def latest_of_user(connection: Connection, *, user_id: str, kept: str, limit: int, now: int) -> list[Session]:
    """Of a user's sessions that are not over, up to ``limit`` that were refreshed last, and ``kept`` in any case."""
    rows = await connection.fetch(_LATEST_OF_USER, user_id=user_id, kept=kept, limit=limit, now=now)
    return [Session(*row) for row in rows]


async def page(connection: Connection, *, after: str, limit: int, now: int) -> list[tuple[Session, str]]:
    """Up to ``limit`` sessions of anybody that are not over, each with its user's name, behind the id ``after``."""
    rows = await connection.fetch(_PAGE, after=after, limit=limit, now=now)
    return [(Session(*row[:_SIZE]), row[_SIZE]) for row in rows]


async def end(
    connection: Connection,
    *,
    session_id: str,
    user_id: str,
    now: int,
    token_lifetime: int,
    presented: AccessToken | None = None,
) -> list[Revocation]:
    """End a session of a user and announce it.

    Args:
        connection: the database.
        session_id: which.
        user_id: whose.
        now: the time.
        token_lifetime: seconds that an access token may live.
        presented: a good token of it. The row may not be there: the database may be one from a backup.

    Returns:
        What was announced; nothing if the user has no such session, and nobody a token of it.
    """
    await revocations.take_turns(connection)
    rows = await connection.fetch(_END, id=session_id, user_id=user_id)
    if presented is not None:
        token_lifetime = max(token_lifetime, presented.exp - presented.iat)
        if not rows and not await revocations.is_announced(connection, session_id=session_id, until=presented.exp):
            rows = [(session_id, presented.exp, presented.iat)]
    return await _announce(connection, rows, now=now, token_lifetime=token_lifetime)


async def end_all(
    connection: Connection, *, user_id: str, now: int, token_lifetime: int, kept: str = ""
) -> list[Revocation]:
    """End all sessions of a user, but perhaps one, and announce it.

    Returns:
        What was announced.
    """
    await revocations.take_turns(connection)
    rows = await connection.fetch(_END_ALL, user_id=user_id, kept=kept)
    return await _announce(connection, rows, now=now, token_lifetime=token_lifetime)


async def make_room(connection: Connection, *, session: Session, now: int, token_lifetime: int) -> list[Revocation]:
    """End those sessions of a user, beside this one, that were used longest ago, and announce it.

    Returns:
        What was announced.
    """
    await revocations.take_turns(connection)
    # Not so many as are too many: of logins at once that all see it, one ends them and the others find none.
    rows = await connection.fetch(
        _END_OLDEST,
        user_id=session.user_id,
        kept=session.id,
        others=MOST - MADE_ROOM_FOR,
        limit=2 * MADE_ROOM_FOR,
    )
    return await _announce(connection, rows, now=now, token_lifetime=token_lifetime)


async def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Remove up to ``limit`` sessions that were over at a time, the oldest first, and tell how many."""
    return len(await connection.fetch(_PURGE, before=before, limit=limit))


async def _announce(connection: Connection, rows: Sequence[Row], *, now: int, token_lifetime: int) -> list[Revocation]:
    """Have the end of sessions remembered for as long as any token of theirs can live.

    A row may be one from a backup, and know nothing of tokens that were given since, up to now. They live as long as
    its last one, or as one that is given today.
    """

    def last_expiry(last: object, given_at: object) -> object:
        if type(last) is not int or type(given_at) is not int:  # as a foreign hand may have left it in SQLite
            return last
        return max(last, now + max(last - given_at, token_lifetime))

    ended = [(session_id, last_expiry(last, given_at)) for session_id, last, given_at in rows]
    return await revocations.insert(connection, ended, now=now)
