"""The standard streams as a command may find them: closed, full, or in an encoding that lacks a letter."""

import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_REFUSING: Final = {"stdin": (os.O_WRONLY, "w"), "stdout": (os.O_RDONLY, "r"), "stderr": (os.O_WRONLY, "w")}
"""How to open /dev/null for a stream that is closed: to read from or to write to it fails, but for the last one."""


def settle() -> None:
    """See that there are all three, that standard output writes every letter, and that standard error never fails.

    The next file or socket to be opened would get the number of a closed one, and be read, written or closed as it.
    """
    for name, (flags, mode) in _REFUSING.items():
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)  # a worker opens files too
            setattr(sys, name, os.fdopen(descriptor, mode))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.__stderr__, TextIOWrapper):  # it is not if it was closed
        told = BufferedWriter(_Unheard(sys.__stderr__.fileno(), "w", closefd=False))
        sys.stderr = TextIOWrapper(told, sys.__stderr__.encoding, sys.__stderr__.errors, line_buffering=True)


class _Unheard(FileIO):
    """A file that may be full or have no reader: what it does not take is lost, and nobody is kept from their work."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            written: int | None = super().write(data)  # None of a full pipe that does not block
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def forget_what_is_unwritten() -> None:
    """Let what standard output did not take go nowhere, or Python would complain of it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def expect_an_output() -> None:
    """See that there is a standard output, before anything is done that is told there.

    Raises:
        ClickException: it is closed.
    """
    if not sys.stdout.writable():
        raise click.ClickException("standard output is closed; nothing was done")


def tell_what_is_done(text: str) -> None:
    """Write what a command has changed; a full disk is told as that of standard output, for the database took all.

    Raises:
        ClickException: it could not be written.
    """
    _write(text, failing="but what was asked for is done")


def show_once(text: str, *, otherwise: str) -> None:
    """Write what nobody can ask for again.

    Args:
        text: what to write.
        otherwise: what to do if it is lost.

    Raises:
        ClickException: it could not be written.
    """
    _write(text, failing=f"and a secret is lost: {otherwise}")


def _write(text: str, *, failing: str) -> None:
    try:
        click.echo(text)
    except OSError as fault:
        forget_what_is_unwritten()
        raise click.ClickException(f"standard output failed ({fault.strerror}), {failing}") from None
