"""Run the service under Hypercorn, in this process."""

import asyncio
from pathlib import Path

import uvloop
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config, Sockets
from hypercorn.utils import wrap_app

from watchword import telemetry
from watchword.app import create_app, preflight
from watchword.errors import StartRefused
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
    if bind is not None:
        config.bind = [bind]
    # Before the application starts: if the server failed after that, the held connections would keep the process alive.
    sockets = _bind(config)
    application = wrap_app(create_app(settings), config.wsgi_max_body_size, "asgi")
    uvloop.run(worker_serve(application, config, sockets=sockets))


def _bind(config: Config) -> Sockets:
    try:
        return config.create_sockets()
    except (OSError, OverflowError, UnicodeError) as fault:  # taken or forbidden, a port beyond 65535, no host name
        reason = getattr(fault, "strerror", None) or fault
        raise StartRefused(f"cannot listen on {', '.join(config.bind)} ({reason})") from None


def _hypercorn_toml() -> Path:
    """The file beside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "hypercorn.toml"
    return installed if installed.exists() else package.parents[1] / "hypercorn.toml"
