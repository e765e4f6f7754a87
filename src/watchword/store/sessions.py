"""The table of sessions: one row per login."""

from watchword.model import Session, User
from watchword.store.connection import Connection, Statement

_OPEN = Statement(
    "INSERT INTO sessions (id, user_id, auth_time, expires_at)"
    " SELECT CAST(:id AS TEXT), id, CAST(:auth_time AS BIGINT), CAST(:expires_at AS BIGINT) FROM users"
    " WHERE id = :user_id AND password_version = :password_version AND disabled_at IS NULL"
    " RETURNING id"
)


async def open_for(connection: Connection, user: User, *, session: Session) -> Session | None:
    """Begin a session for a user whose password was just proven.

    Returns:
        The session; None if since then the user was disabled, deleted or given another password.
    """
    rows = await connection.fetch(
        _OPEN,
        id=session.id,
        user_id=user.id,
        password_version=user.password_version,
        auth_time=session.auth_time,
        expires_at=session.expires_at,
    )
    return session if rows else None
