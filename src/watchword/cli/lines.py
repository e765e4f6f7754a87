"""The lines of a file of users, JSON each: none may cost more memory than a line of users can be long."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import count
from typing import IO, Final

import click

from watchword.cli.endings import waiting_for_input

MAX_BYTES: Final = 1 << 20
"""Of a line. The longest that can be taken has some 25 KiB, if every character is escaped."""
MAX_PIECES: Final = 64
"""Of that size, which are passed over of a line; one that still goes on has no end."""
NO_LINE: Final = b"]"


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file line by line. One that is too long comes as ``NO_LINE``, which is refused while others are taken.

    A byte order mark in front of all is no part of the first line: programs on Windows like to write it.

    Raises:
        ClickException: a line has no end.
    """
    for number in count(1):
        line = _read(file)
        if not line:
            return
        if len(line) > MAX_BYTES:
            _pass_over(file, line, number)
            line = NO_LINE
        yield line.removeprefix(BOM_UTF8) if number == 1 else line


def _read(file: IO[bytes]) -> bytes:
    with waiting_for_input():
        return file.readline(MAX_BYTES + 1)


def _pass_over(file: IO[bytes], piece: bytes, number: int) -> None:
    for _ in range(MAX_PIECES):
        if len(piece) <= MAX_BYTES or piece.endswith(b"\n"):
            return
        piece = _read(file)
    raise click.ClickException(f"line {number} has no end; is this a file of users?")
