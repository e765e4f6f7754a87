"""GET /healthz and /readyz: alive without any other part, ready only if somebody could log in."""

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import opened, refused
from watchword.flows import Tools
from watchword.store.connection import Connection, Statement

FOREIGN = Statement("UPDATE alembic_version SET version_num = 'another' RETURNING version_num")


async def test_ready(client: Client) -> None:
    """With the database, its schema and a key in place the service is ready."""
    assert await opened(await client.get("/readyz")) == {"status": "ready"}


async def test_not_ready_with_another_schema(tools: Tools, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A database of another version: 503 and when to come again; the process is alive all the same."""

    async def change(connection: Connection) -> None:
        await connection.fetch(FOREIGN)

    await tools.store.write(change)
    assert await refused(await client.get("/readyz"), retry_after="1") == (503, "unavailable")
    assert await opened(await client.get("/healthz")) == {"status": "alive"}
