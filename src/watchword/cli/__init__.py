"""The command line: the same flows as over HTTP, for people and scripts at a terminal."""

import sys
from typing import NoReturn

import click

from watchword import __version__
from watchword.cli import service, users
from watchword.errors import Unavailable, WatchwordError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="watchword")
def watchword() -> None:
    """A password goes in, a bearer token comes out."""


watchword.add_command(service.init)
watchword.add_command(service.migrate)
watchword.add_command(service.serve)
watchword.add_command(service.doctor)
watchword.add_command(users.users)


def main() -> NoReturn:
    """Run a command; a refusal is one line on standard error and a status of 1."""
    try:
        watchword(prog_name="watchword")
    except Unavailable as fault:
        sys.exit(f"watchword: WATCHWORD_DATABASE_URL: {fault}")
    except WatchwordError as refusal:
        sys.exit(f"watchword: {refusal}")
    sys.exit()
