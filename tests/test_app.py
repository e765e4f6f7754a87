"""The application's life: it is started once, and ends as its server says."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from quart.testing.app import LifespanError

from tests.builders import cheap_settings
from watchword.app import create_app
from watchword.settings import Settings

REFUSAL = r"this application was started before; make another with create_app\(\)"


async def test_another_start_says_what_to_do(settings: Settings) -> None:
    """What it is made of has been closed; another application with the same settings starts."""
    app = create_app(settings)
    async with app.test_app():
        pass
    with pytest.raises(LifespanError, match=REFUSAL):
        await app.test_app().startup()
    async with create_app(settings).test_app() as started:
        assert (await started.test_client().get("/readyz")).status_code == 200


async def test_a_start_that_was_refused_was_one(tmp_path: Path) -> None:
    """Had the database come meanwhile it would start, and answer no login: the threads for hashes have ended."""
    app = create_app(cheap_settings(instance=tmp_path, database_url=f"sqlite:///{tmp_path / 'away.db'}"))
    for refusal in ("there is no database at", REFUSAL):
        with pytest.raises(LifespanError, match=refusal):
            await app.test_app().startup()


def test_a_worker_that_heeds_sigterm_goes_on_to_heed_it(tmp_path: Path, sqlite_url: str) -> None:
    """uvicorn's workers are told so to end; Hypercorn's, which heed nothing, are not to be ended by it."""
    worker = multiprocessing.get_context("spawn").Process(target=serve_and_be_told_to_end, args=(tmp_path, sqlite_url))
    worker.start()
    worker.join(30)
    assert worker.exitcode == TOLD


TOLD = 7


def serve_and_be_told_to_end(instance: Path, database_url: str) -> None:
    """What a worker does, until it heeds the signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TOLD))

    async def serve() -> None:
        async with create_app(cheap_settings(instance=instance, database_url=database_url)).test_app():
            os.kill(os.getpid(), signal.SIGTERM)

    asyncio.run(serve())


def test_a_thread_of_a_child_process_may_start_it(tmp_path: Path, sqlite_url: str) -> None:
    """Python lets none but the main thread set what a signal does: each start was refused there."""
    child = multiprocessing.get_context("spawn").Process(target=start_in_a_thread, args=(tmp_path, sqlite_url))
    child.start()
    child.join(30)
    assert child.exitcode == TOLD


def start_in_a_thread(instance: Path, database_url: str) -> None:
    """Start the service beside the main thread, and end."""
    has_started = threading.Event()

    async def serve() -> None:
        async with create_app(cheap_settings(instance=instance, database_url=database_url)).test_app():
            has_started.set()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    thread.join()
    sys.exit(TOLD if has_started.is_set() else 1)
