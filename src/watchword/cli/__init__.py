"""The command line: the same flows as over HTTP, for people and scripts at a terminal.

A command's module is loaded when the command is called, so that none pays for what another needs.
"""

import sys
from importlib import import_module
from io import UnsupportedOperation
from typing import Final, NoReturn

import click

from watchword import __version__
from watchword.cli import inherited, streams
from watchword.errors import Unavailable, WatchwordError

_HOMES: Final = {
    "init": "service",
    "migrate": "service",
    "serve": "serve",
    "doctor": "service",
    "users": "users",
    "sessions": "sessions",
    "clients": "clients",
    "keys": "keys",
    "audit": "audit",
    "calibrate": "calibrate",
    "bench": "bench",
    "openapi": "openapi",
}


class _LateCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        if cmd_name not in _HOMES:
            return None
        command: click.Command = getattr(import_module(f"watchword.cli.{_HOMES[cmd_name]}"), cmd_name)
        return command


@click.command(cls=_LateCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="watchword")
def watchword() -> None:
    """A password goes in, a bearer token comes out."""


def main() -> NoReturn:
    """Run a command; a refusal is one line on standard error and a status of 1."""
    streams.settle()
    inherited.settle()
    try:
        watchword(prog_name="watchword")
    except Unavailable as fault:
        sys.exit(f"watchword: WATCHWORD_DATABASE_URL: {fault}")
    except WatchwordError as refusal:
        sys.exit(f"watchword: {refusal}")
    except UnsupportedOperation:  # of a stream that ``settle`` put there
        sys.exit("watchword: standard input or standard output is closed")
    except OSError as fault:  # standard output is full, a file gone; a pipe that nobody reads is click's to see
        streams.forget_what_is_unwritten()
        sys.exit(f"watchword: {fault}")
    sys.exit()
