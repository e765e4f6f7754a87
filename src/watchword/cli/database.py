"""The database, for as long as a command needs it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from watchword import app
from watchword.settings import Settings
from watchword.store import Store, migrations

T = TypeVar("T")


def with_store(settings: Settings, story: Callable[[Store], Awaitable[T]]) -> T:
    """Run a command's story on the open database, whose schema is ours.

    Raises:
        StartRefused: the database cannot be reached or has another schema.
    """

    async def run() -> T:
        async with app.open_store(settings) as store:
            await migrations.check(store)
            return await story(store)

    return asyncio.run(run())
