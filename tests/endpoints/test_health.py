"""GET /healthz and /readyz: alive without any other part, ready only if somebody could log in."""

import asyncio
from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import opened, refused
from tests.postgresql import take_no_writes
from tests.servers import environment
from watchword.app import create_app
from watchword.errors import SchemaRefused, Unavailable
from watchword.flows import Tools
from watchword.settings import Settings
from watchword.store import inspection
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


async def test_not_ready_where_nothing_can_be_written(tmp_path: Path, postgresql_url: str) -> None:
    """On a standby or a demoted primary no login succeeds, so another node is to be asked."""
    app = create_app(Settings.read(environment(tmp_path, DATABASE_URL=postgresql_url)))
    async with app.test_app():
        client = app.test_client()
        assert await opened(await client.get("/readyz")) == {"status": "ready"}
        await take_no_writes(postgresql_url)
        async with asyncio.timeout(10):
            while (answer := await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.05)
        assert await refused(answer, retry_after="1") == (503, "unavailable")
        assert await opened(await client.get("/healthz")) == {"status": "alive"}


async def test_one_look_answers_all_who_ask_meanwhile(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 77: all who ask keep the news of ended sessions waiting no more than one, even if one of them leaves."""
    looks, may_answer = 0, asyncio.Event()

    async def slow(_: object) -> None:
        nonlocal looks
        looks += 1
        await may_answer.wait()
        raise SchemaRefused("another")

    monkeypatch.setattr(inspection, "check", slow)
    asking = [asyncio.create_task(tools.readiness.check()) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    may_answer.set()
    first, *others = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert {type(other) for other in others} == {Unavailable}
    assert looks == 1
    with pytest.raises(Unavailable):
        await tools.readiness.check()
    assert looks == 2
