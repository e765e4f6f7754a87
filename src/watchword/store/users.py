"""The table of users."""

from collections.abc import Sequence

from watchword.errors import UnknownUser, UserExists
from watchword.model import User
from watchword.store.connection import Connection, Row, Statement, first

COLUMNS = "id, username, canonical_name, password_hash, password_version, scope, disabled_at, created_at"

_FIND = Statement(f"SELECT {COLUMNS} FROM users WHERE canonical_name = :canonical_name")
_FIND_BY_ID = Statement(f"SELECT {COLUMNS} FROM users WHERE id = :id")
_PAGE = Statement(f"SELECT {COLUMNS} FROM users WHERE canonical_name > :after ORDER BY canonical_name LIMIT :limit")
_INSERT = f"INSERT INTO users ({COLUMNS}) VALUES"
_UNLESS_TAKEN = "ON CONFLICT (canonical_name) DO NOTHING RETURNING canonical_name"
_REHASH = Statement(
    "UPDATE users SET password_hash = :new_hash"
    " WHERE id = :id AND password_version = :password_version AND password_hash = :old_hash RETURNING id"
)
_SET_PASSWORD = Statement(
    "UPDATE users SET password_hash = :password_hash, password_version = password_version + 1"
    " WHERE canonical_name = :canonical_name RETURNING id, canonical_name"
)
_REPLACE_PASSWORD = Statement(
    "UPDATE users SET password_hash = :password_hash, password_version = password_version + 1"
    " WHERE id = :id AND password_version = :password_version AND disabled_at IS NULL RETURNING password_version"
)
_SET_DISABLED = Statement(
    "UPDATE users SET disabled_at = :disabled_at WHERE canonical_name = :canonical_name RETURNING id, canonical_name"
)
_DELETE = Statement("DELETE FROM users WHERE canonical_name = :canonical_name RETURNING id, canonical_name")


async def find_by_name(connection: Connection, *, canonical_name: str) -> User | None:
    """The user with just this name.

    To a collation that takes more for the same, other spellings would be the user's too, and the throttle counts each
    of them by itself.
    """
    row = first(await connection.fetch(_FIND, canonical_name=canonical_name))
    user = None if row is None else User(*row)
    return user if user is not None and user.canonical_name == canonical_name else None


async def find_by_id(connection: Connection, *, user_id: str) -> User | None:
    """The user with this id."""
    row = first(await connection.fetch(_FIND_BY_ID, id=user_id))
    return None if row is None else User(*row)


async def page(connection: Connection, *, after: str, limit: int) -> list[User]:
    """Up to ``limit`` users in the order of their canonical names, beginning behind the name ``after``."""
    return [User(*row) for row in await connection.fetch(_PAGE, after=after, limit=limit)]


async def insert(connection: Connection, user: User) -> None:
    """Add a user.

    Raises:
        UserExists: the name is taken.
    """
    if not await insert_many(connection, [user]):
        raise UserExists(user.username)


async def insert_many(connection: Connection, users: Sequence[User]) -> set[str]:
    """Add users in one statement, in the order of their names: of two at once with the same users one waits.

    Returns:
        The canonical names that were added; the others were taken.
    """
    places, values = [], {}
    for number, user in enumerate(sorted(users, key=lambda user: user.canonical_name)):
        row = {
            f"id_{number}": user.id,
            f"username_{number}": user.username,
            f"canonical_name_{number}": user.canonical_name,
            f"password_hash_{number}": user.password_hash,
            f"password_version_{number}": user.password_version,
            f"scope_{number}": user.scope,
            f"disabled_at_{number}": user.disabled_at,
            f"created_at_{number}": user.created_at,
        }
        places.append(f"({', '.join(f':{name}' for name in row)})")
        values.update(row)
    rows = await connection.fetch(Statement(f"{_INSERT} {', '.join(places)} {_UNLESS_TAKEN}"), **values)
    return {name for (name,) in rows}


async def rehash(connection: Connection, user: User, *, new_hash: str) -> None:
    """Store a better hash of the same password; whoever changed the row meanwhile was right and wins."""
    await connection.fetch(
        _REHASH,
        id=user.id,
        password_version=user.password_version,
        old_hash=user.password_hash,
        new_hash=new_hash,
    )


async def set_password(connection: Connection, *, canonical_name: str, password_hash: str) -> str:
    """Give a user a new password.

    Returns:
        The user's id.

    Raises:
        UnknownUser: nobody has the name.
    """
    rows = await connection.fetch(_SET_PASSWORD, canonical_name=canonical_name, password_hash=password_hash)
    return _only_id(rows, canonical_name)


async def replace_password(connection: Connection, user: User, *, password_hash: str) -> int | None:
    """Give a user, who has proven the present password, a new one.

    Returns:
        The new password's version; None if meanwhile the user was disabled, deleted or given another password.
    """
    rows = await connection.fetch(
        _REPLACE_PASSWORD, id=user.id, password_version=user.password_version, password_hash=password_hash
    )
    row = first(rows)
    return None if row is None else int(row[0])


async def set_disabled(connection: Connection, *, canonical_name: str, disabled_at: int | None) -> str:
    """Lock a user out from a time on, or with None let the user in again.

    Returns:
        The user's id.

    Raises:
        UnknownUser: nobody has the name.
    """
    rows = await connection.fetch(_SET_DISABLED, canonical_name=canonical_name, disabled_at=disabled_at)
    return _only_id(rows, canonical_name)


async def delete(connection: Connection, *, canonical_name: str) -> None:
    """Remove a user and, with the row, all sessions; those that may still have tokens are to be ended before.

    Raises:
        UnknownUser: nobody has the name.
    """
    _only_id(await connection.fetch(_DELETE, canonical_name=canonical_name), canonical_name)


def _only_id(rows: Sequence[Row], canonical_name: str) -> str:
    """The id of the user that was changed, if it is the one with just this name; the transaction is undone if not."""
    if not rows or {name for _, name in rows} != {canonical_name}:
        raise UnknownUser(canonical_name)
    return str(rows[0][0])
