"""The table of clients: which services may ask in their own name, and for what."""

from watchword.errors import ClientExists, UnknownClient
from watchword.model import Client
from watchword.store.connection import Connection, Statement, first

_COLUMNS = "id, name, scope, secret_digest, created_at"

_FIND = Statement(f"SELECT {_COLUMNS} FROM clients WHERE id = :id")
_PAGE = Statement(f"SELECT {_COLUMNS} FROM clients WHERE name > :after ORDER BY name LIMIT :limit")
_INSERT = Statement(
    f"INSERT INTO clients ({_COLUMNS}) VALUES (:id, :name, :scope, :secret_digest, :created_at)"
    " ON CONFLICT (name) DO NOTHING RETURNING id"
)
_DELETE = Statement("DELETE FROM clients WHERE name = :name RETURNING id")


async def find(connection: Connection, *, client_id: str) -> Client | None:
    """The client with this id."""
    row = first(await connection.fetch(_FIND, id=client_id))
    return None if row is None else Client(*row)


async def page(connection: Connection, *, after: str, limit: int) -> list[Client]:
    """Up to ``limit`` clients in the order of their names, beginning behind the name ``after``."""
    return [Client(*row) for row in await connection.fetch(_PAGE, after=after, limit=limit)]


async def insert(connection: Connection, client: Client) -> None:
    """Add a client.

    Raises:
        ClientExists: the name is taken.
    """
    rows = await connection.fetch(
        _INSERT,
        id=client.id,
        name=client.name,
        scope=client.scope,
        secret_digest=client.secret_digest,
        created_at=client.created_at,
    )
    if not rows:
        raise ClientExists(client.name)


async def delete(connection: Connection, *, name: str) -> str:
    """Remove a client for good: the secret is refused from now on.

    Returns:
        Its id.

    Raises:
        UnknownClient: no client has the name.
    """
    row = first(await connection.fetch(_DELETE, name=name))
    if row is None:
        raise UnknownClient(name)
    return str(row[0])
