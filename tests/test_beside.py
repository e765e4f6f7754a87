"""What goes on in an application beside its requests."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from watchword.beside import run_beside

LOG = logging.getLogger(__name__)


async def test_no_work_beside_the_requests_dies_unseen(caplog: pytest.LogCaptureFixture) -> None:
    """What ends by an exception that nobody foresaw is in the log once, by its name and with its traceback."""

    async def follow_the_news() -> None:
        raise ZeroDivisionError

    async with AsyncExitStack() as running:
        run_beside(follow_the_news(), running, log=LOG)
        await asyncio.sleep(0.01)
        (told,) = caplog.records
    assert "follow_the_news has ended" in told.getMessage()
    assert told.exc_info is not None
    assert told.exc_info[0] is ZeroDivisionError
    assert caplog.records == [told]


async def test_work_that_the_end_stops_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """An application that stops says nothing of what went on until then."""
    async with AsyncExitStack() as running:
        run_beside(asyncio.sleep(60), running, log=LOG)
        await asyncio.sleep(0.01)
    assert caplog.records == []
