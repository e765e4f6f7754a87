"""The command that runs the service."""

import os
import re
from typing import Final

import click

from watchword import telemetry
from watchword.processors import cores
from watchword.serve import run

_HOST: Final = re.compile(r"[^][]+|\[[^][]+\]")
"""Or the ``fd`` of ``fd://3``."""


def _with_a_host(_context: click.Context, _parameter: click.Parameter, bind: str | None) -> str | None:
    # To Hypercorn, which drops brackets wherever they are, no host means every interface.
    if bind is not None and not bind.startswith("unix:") and not _HOST.fullmatch(bind.rpartition(":")[0]):
        raise click.BadParameter("must be HOST:PORT, with brackets around an IPv6 address")
    return bind


@click.command()
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=_with_a_host,
    help="Where to listen, if not where hypercorn.toml says; also unix:PATH, or fd://3 for a socket from systemd.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="How many processes.")
def serve(bind: str | None, workers: int) -> None:
    """Run the service until it is told to stop.

    SIGTERM lets what is in flight be answered; SIGHUP replaces the workers one after the other.
    """
    telemetry.log_to_stderr()
    raise SystemExit(run(bind=bind, workers=workers, environ=_shared(os.environ, workers)))


def _shared(environ: "os._Environ[str]", workers: int) -> dict[str, str]:
    """The workers' environment: unless the operator decides otherwise, they share the cores for their hashes."""
    if {"WATCHWORD_HASH_THREADS", "WATCHWORD_HASH_THREADS_FILE"} & environ.keys():
        return dict(environ)
    return {**environ, "WATCHWORD_HASH_THREADS": str(max(1, cores() // workers))}
