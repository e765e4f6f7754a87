"""Run the service under Hypercorn, in this process."""

import asyncio
import logging
from pathlib import Path

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from watchword import telemetry
from watchword.app import create_app, preflight
from watchword.settings import Settings


def run(settings: Settings, *, bind: str | None) -> None:
    """Serve until SIGTERM or SIGINT; what is in flight then is answered first.

    Args:
        settings: what the operator decided.
        bind: ``HOST:PORT``, or None for what hypercorn.toml says.

    Raises:
        StartRefused: the service cannot start; nothing listens yet.
    """
    asyncio.run(preflight(settings))
    telemetry.log_to_stderr()
    config = Config.from_toml(_hypercorn_toml())
    config.workers = 1  # this process; the file's 0 says the same to Hypercorn's own command
    config.errorlog = logging.getLogger("hypercorn.error")
    if bind is not None:
        config.bind = [bind]
    uvloop.run(serve(create_app(settings), config))


def _hypercorn_toml() -> Path:
    """The file beside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "hypercorn.toml"
    return installed if installed.exists() else package.parents[1] / "hypercorn.toml"
