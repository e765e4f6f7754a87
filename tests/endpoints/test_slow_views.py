"""A program that has our routes beside views of its own: what of ours is made in a thread waits for none of theirs."""

import asyncio
import threading

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.services import a_service, bearer
from watchword.flows import Tools

SECONDS = 10


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Any database will do."""
    return sqlite_url


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/metrics"])
async def test_slow_views_hold_up_nothing_of_ours(
    tools: Tools, client: Client, busy: threading.Event, path: str
) -> None:
    """While all of the event loop's own threads are taken, in which ``def`` views run, ours are answered."""
    headers = bearer(await a_service(tools, "metrics:read"))
    async with asyncio.timeout(SECONDS):
        assert (await client.get(path, headers=headers)).status_code == 200
    assert not busy.is_set()
