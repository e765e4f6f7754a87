"""The table of signing keys, their private parts sealed."""

from watchword.model import SealedKey
from watchword.store.connection import Connection, Statement

_COLUMNS = "kid, algorithm, generation, sealed, created_at, signs_from, verifies_until"

_ALL = Statement(f"SELECT {_COLUMNS} FROM signing_keys ORDER BY algorithm, generation")
_INSERT = Statement(
    f"INSERT INTO signing_keys ({_COLUMNS}) VALUES (:kid, :algorithm, :generation, :sealed, :created_at,"
    " :signs_from, :verifies_until)"
    " ON CONFLICT (algorithm, generation) DO NOTHING"
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
