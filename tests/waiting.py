"""Waiting for something that must come to pass."""

import asyncio
import time
from collections.abc import Callable

SECONDS = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes or threads do."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what goes on beside, on this event loop."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)
