"""The command that runs the service."""

import os

import click

from watchword import telemetry
from watchword.addresses import expect_a_host
from watchword.processors import cores
from watchword.serve import run


def _with_a_host(_context: click.Context, _parameter: click.Parameter, bind: str | None) -> str | None:
    if bind is not None:
        try:
            expect_a_host(bind)
        except ValueError as fault:
            raise click.BadParameter(str(fault)) from None
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
