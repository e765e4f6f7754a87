"""The lines of a file of users, JSON each: none may cost more memory than a line of users can be long."""

from collections.abc import Iterator
from itertools import count
from typing import IO, Final

import click

from watchword.cli.endings import waiting_for_input

MAX_BYTES: Final = 1 << 20
"""Of a line. The longest that can be taken has some 25 KiB, if every character is escaped."""


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file line by line.

    Raises:
        ClickException: a line is longer than any user's could be.
    """
    for number in count(1):
        with waiting_for_input():
            line = file.readline(MAX_BYTES + 1)
        if len(line) > MAX_BYTES:
            raise click.ClickException(f"line {number} has more than {MAX_BYTES:,} bytes; is this a file of users?")
        if not line:
            return
        yield line
