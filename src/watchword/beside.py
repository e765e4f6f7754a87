"""Work that goes on beside an application's requests."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any


def run_beside(work: Coroutine[Any, Any, None], running: AsyncExitStack, *, log: logging.Logger) -> None:
    """Let work go on until the application stops; should it end by itself, the log says why.

    Args:
        work: a coroutine, by whose name the log knows it.
        running: ends it.
        log: where that is told.
    """
    task = asyncio.create_task(work, name=getattr(work, "__qualname__", None))

    def tell_its_end(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("%s has ended and is not begun again", task.get_name(), exc_info=fault)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    task.add_done_callback(tell_its_end)
    running.push_async_callback(end)
