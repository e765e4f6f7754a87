"""The table of signing keys, their private parts sealed. Whoever changes them is alone at it."""

from collections.abc import Callable

from watchword.model import SealedKey
from watchword.store import turns
from watchword.store.connection import Connection, Statement
from watchword.store.turns import Turn

_COLUMNS = "kid, algorithm, generation, sealed, created_at, signs_from, verifies_until"

_ALL = Statement(f"SELECT {_COLUMNS} FROM signing_keys ORDER BY algorithm, generation")
_INSERT = Statement(
    f"INSERT INTO signing_keys ({_COLUMNS}) VALUES (:kid, :algorithm, :generation, :sealed, :created_at,"
    " :signs_from, :verifies_until)"
    " ON CONFLICT (algorithm, generation) DO NOTHING"
)
_UPDATE = Statement(
    "UPDATE signing_keys SET sealed = :sealed, signs_from = :signs_from, verifies_until = :verifies_until"
    " WHERE kid = :kid"
)
_REMOVE = Statement("DELETE FROM signing_keys WHERE kid = :kid")
_PURGE = Statement(
    "DELETE FROM signing_keys WHERE kid IN"
    " (SELECT kid FROM signing_keys WHERE verifies_until <= :before ORDER BY verifies_until LIMIT :limit"
    " /* PostgreSQL: FOR UPDATE SKIP LOCKED */) RETURNING kid"
)


async def all_keys(connection: Connection) -> list[SealedKey]:
    """Every key, each algorithm's from oldest to newest."""
    return [SealedKey(*row) for row in await connection.fetch(_ALL)]


async def insert(connection: Connection, key: SealedKey) -> None:
    """Add a key, unless another process was first to make one of its algorithm and generation."""
    await connection.fetch(
        _INSERT,
        kid=key.kid,
        algorithm=key.algorithm,
        generation=key.generation,
        sealed=key.sealed,
        created_at=key.created_at,
        signs_from=key.signs_from,
        verifies_until=key.verifies_until,
    )


async def change(connection: Connection, *, decide: Callable[[list[SealedKey]], list[SealedKey]]) -> list[SealedKey]:
    """Let a rule decide on the keys that are found what they are to be, while nobody else changes them.

    Args:
        connection: the database, inside a transaction.
        decide: is given all keys and returns all that there shall be; a key is the same one by its ``kid``, and what
            may be changed of it are its seal and its times.

    Returns:
        All keys, as they are now.
    """
    await turns.take(connection, Turn.SIGNING_KEYS)
    found = {key.kid: key for key in await all_keys(connection)}
    wanted = {key.kid: key for key in decide(list(found.values()))}
    for kid in found.keys() - wanted.keys():
        await connection.fetch(_REMOVE, kid=kid)
    for kid, key in wanted.items():
        if kid not in found:
            await insert(connection, key)
        elif key != found[kid]:
            times = {"signs_from": key.signs_from, "verifies_until": key.verifies_until}
            await connection.fetch(_UPDATE, kid=kid, sealed=key.sealed, **times)
    return await all_keys(connection)


async def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Remove up to ``limit`` keys that were dead at a time, and tell how many."""
    return len(await connection.fetch(_PURGE, before=before, limit=limit))
