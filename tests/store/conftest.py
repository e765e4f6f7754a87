"""What tests of the store may ask for beyond the common."""

from collections.abc import AsyncIterator

import pytest

from watchword.store import Store, store_at


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An open store on a fresh database."""
    store = await store_at(database_url).open()
    yield store
    await store.close()
