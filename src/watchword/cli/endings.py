"""How a command ends before its time: SIGTERM, as a service manager sends it, and Ctrl-C end it in order."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final, TypeVar

import click

T = TypeVar("T")

_waits_for_input: Final = ContextVar("waits_for_input", default=False)


def run_to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; a signal cancels it, and what it does then is done before the command ends.

    Raises:
        SystemExit: there was a SIGTERM.
        KeyboardInterrupt: somebody pressed Ctrl-C; at the second time nothing more is done, and nothing is raised.
    """
    told: list[int] = []

    async def run() -> T:
        working, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

        def end(number: int, _frame: FrameType | None) -> None:
            if not told:
                told.append(number)
                if _waits_for_input.get():  # nothing else runs meanwhile, and what is waited for may never come
                    raise asyncio.CancelledError
                working.cancel()
                loop.call_soon_threadsafe(lambda: None)  # to wake it
            elif number == signal.SIGINT:  # a second SIGTERM would cut off the writing down of what was done
                # Raised wherever we are, asyncio, a thread's start or Python's end would tell of it in a hundred lines.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)

        before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            return await working
        finally:
            if told:  # the second may come in what is left: two are sent within a millisecond, as by ``timeout -s INT``
                del before[signal.SIGINT]
            for each, handler in before.items():
                signal.signal(each, handler)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if told == [signal.SIGINT]:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + signal.SIGTERM) from None


@contextmanager
def waiting_for_input() -> Iterator[None]:
    """Around a read from a terminal or a pipe: a signal ends it there."""
    token = _waits_for_input.set(True)
    try:
        yield
    finally:
        _waits_for_input.reset(token)


@contextmanager
def interruptible() -> Iterator[None]:
    """Around what changes something, say of Ctrl-C that it may be done: a write goes on without who asked for it.

    Raises:
        ClickException: an interrupt came.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; what was asked for may have been done all the same") from None
