"""The table of audit events: what happened that somebody may have to answer for, in the words of OWASP's vocabulary."""

from typing import Final

from watchword.store.connection import Connection, Statement

TOKEN_REUSE: Final = "authn_token_reuse"
"""A refresh token came again after it had been exchanged (OWASP Logging Vocabulary Cheat Sheet)."""

TOKEN_REVOKED: Final = "authn_token_revoked"
"""A client had a session ended, by one of its tokens."""

_INSERT = Statement(
    "INSERT INTO audit_events (id, at, event, user_id, session_id) VALUES (:id, :at, :event, :user_id, :session_id)"
)


async def record(connection: Connection, *, event_id: str, at: int, event: str, user_id: str, session_id: str) -> None:
    """Write an event, in the transaction that does what it tells."""
    await connection.fetch(_INSERT, id=event_id, at=at, event=event, user_id=user_id, session_id=session_id)
