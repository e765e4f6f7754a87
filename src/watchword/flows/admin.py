"""What an administrator does with users: add, list, disable, enable, delete, give a password.

Passwords are hashed before a transaction begins, so that no lock waits for a hash. Whoever is disabled, deleted or
given another password is logged out everywhere, in the same transaction; the user's row comes first in it, so that a
login under way is either seen and ended, or sees the change.
"""

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final

from watchword import usernames
from watchword.audit import Event
from watchword.errors import UnknownUser
from watchword.identifiers import new_id
from watchword.model import User, scope_from
from watchword.passwords import Hasher, PasswordRules
from watchword.recorder import Asker
from watchword.store import Store, sessions, users
from watchword.store.connection import Connection

_PAGE: Final = 1000


async def add_user(
    store: Store,
    hasher: Hasher,
    *,
    username: str,
    password: str,
    scopes: Iterable[str],
    rules: PasswordRules,
    now: int,
    asker: Asker,
) -> User:
    """Make an account.

    Raises:
        InvalidUsername: not a user name.
        InvalidRequest: no password, or a scope that is none or too long.
        WeakPassword: a rule for passwords is broken.
        UserExists: the name is taken.
    """
    canonical_name = usernames.canonical(username)
    scope = scope_from(scopes)
    rules.check(password, username=username)
    user = User(
        id=new_id(),
        username=username,
        canonical_name=canonical_name,
        password_hash=await hasher.hash(password),
        password_version=1,
        scope=scope,
        disabled_at=None,
        created_at=now,
    )
    await store.write(
        lambda connection: users.insert(connection, user),
        then=lambda _: asker.tell(Event.USER_CREATED, user_id=user.id, detail=user.scope),
    )
    return user


async def has_users(store: Store) -> bool:
    """Whether there is any account."""
    return bool(await store.read(lambda connection: users.page(connection, after="", limit=1)))


async def list_users(store: Store) -> AsyncIterator[User]:
    """All users in the order of their canonical names, read page by page."""
    after = ""
    while True:
        page = await store.read(partial(users.page, after=after, limit=_PAGE))
        for user in page:
            yield user
        if len(page) < _PAGE:
            return
        after = page[-1].canonical_name


async def set_password(
    store: Store,
    hasher: Hasher,
    *,
    username: str,
    password: str,
    rules: PasswordRules,
    now: int,
    token_lifetime: int,
    asker: Asker,
) -> None:
    """Give a user a new password; all sessions end.

    Raises:
        InvalidRequest: no password.
        WeakPassword: a rule for passwords is broken.
        UnknownUser: nobody has the name.
    """
    canonical_name = usernames.canonical(username)
    user = await store.read(partial(users.find_by_name, canonical_name=canonical_name))
    if user is None:
        raise UnknownUser(username)
    rules.check(password, username=user.username)  # as the user writes it, whatever spelling found it
    password_hash = await hasher.hash(password)

    async def replace(connection: Connection) -> str:
        user_id = await users.set_password(connection, canonical_name=canonical_name, password_hash=password_hash)
        await sessions.end_all(connection, user_id=user_id, now=now, token_lifetime=token_lifetime)
        return user_id

    await store.write(replace, then=lambda user_id: asker.tell(Event.PASSWORD_CHANGE, user_id=user_id))


async def disable_user(store: Store, *, username: str, now: int, token_lifetime: int, asker: Asker) -> None:
    """Lock a user out; all sessions end.

    Raises:
        UnknownUser: nobody has the name.
    """
    name = usernames.canonical_at_leisure(username)

    async def disable(connection: Connection) -> str:
        user_id = await users.set_disabled(connection, canonical_name=name, disabled_at=now)
        await sessions.end_all(connection, user_id=user_id, now=now, token_lifetime=token_lifetime)
        return user_id

    await store.write(disable, then=lambda user_id: asker.tell(Event.USER_UPDATED, user_id=user_id, detail="disabled"))


async def enable_user(store: Store, *, username: str, asker: Asker) -> None:
    """Let a user in again.

    Raises:
        UnknownUser: nobody has the name.
    """
    name = usernames.canonical(username)

    await store.write(
        partial(users.set_disabled, canonical_name=name, disabled_at=None),
        then=lambda user_id: asker.tell(Event.USER_UPDATED, user_id=user_id, detail="enabled"),
    )


async def delete_user(store: Store, *, username: str, now: int, token_lifetime: int, asker: Asker) -> None:
    """Remove an account for good; all sessions end.

    Raises:
        UnknownUser: nobody has the name.
    """
    name = usernames.canonical_at_leisure(username)

    async def end_and_delete(connection: Connection) -> str:
        # Disabled first: a session that began between its two steps would go with the user, and its token would not.
        user_id = await users.set_disabled(connection, canonical_name=name, disabled_at=now)
        await sessions.end_all(connection, user_id=user_id, now=now, token_lifetime=token_lifetime)
        await users.delete(connection, canonical_name=name)
        return user_id

    await store.write(end_and_delete, then=lambda user_id: asker.tell(Event.USER_DELETED, user_id=user_id))
