"""The database, for as long as a command needs it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click

from watchword import instruments
from watchword.cli import streams
from watchword.cli.endings import interruptible, run_to_the_end
from watchword.clock import system_clock
from watchword.flows.audit import keeping
from watchword.recorder import Asker, Recorder
from watchword.settings import Settings
from watchword.store import Store, inspection

T = TypeVar("T")


def with_store(settings: Settings, story: Callable[[Store], Awaitable[T]]) -> T:
    """Run a command's story that only reads on the open database, whose schema is ours.

    Raises:
        StartRefused: the database cannot be reached or has another schema.
    """
    return run_to_the_end(_on_our_schema(settings, story, to_write=False))


def with_asker(settings: Settings, story: Callable[[Store, Asker], Awaitable[T]]) -> T:
    """Run a command's story that changes something; what it tells is in the audit trail when the command ends.

    Raises:
        StartRefused: the database cannot be reached or has another schema, or the secret is not that of its services.
        Unavailable: it takes no writes.
        ClickException: somebody pressed Ctrl-C; or standard output is closed, and nothing was done.
    """
    streams.expect_an_output()

    async def run(store: Store) -> T:
        await instruments.check_secret(settings, store)
        asker = Asker(instruments.build_recorder(settings, clock=system_clock), actor="cli")
        async with telling_what_is_lost(asker.recorder), keeping(asker, store):
            return await story(store, asker)

    with interruptible():
        return run_to_the_end(_on_our_schema(settings, run, to_write=True))


@asynccontextmanager
async def telling_what_is_lost(recorder: Recorder) -> AsyncIterator[None]:
    """Write the events that the audit trail has not taken to standard error, for a command has no other log."""
    try:
        yield
    finally:
        for line in recorder.unwritten():
            click.echo(line, err=True)


async def _on_our_schema(settings: Settings, story: Callable[[Store], Awaitable[T]], *, to_write: bool) -> T:
    async with instruments.open_store(settings) as store:
        await inspection.check(store, to_write=to_write)
        return await story(store)
