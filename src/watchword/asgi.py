"""The door for servers: ``hypercorn -c hypercorn.toml 'watchword.asgi:create_app()'``."""

import asyncio
import gc

from quart import Quart

from watchword import app, instruments, telemetry
from watchword.errors import StartRefused
from watchword.server import serve_in_our_way
from watchword.settings import Settings


def create_app(*, worker: int = 0) -> Quart:
    """The service as the environment describes it, logging to standard error.

    Args:
        worker: which of several processes this is, from 0.

    Raises:
        SystemExit: it cannot start; the one line says why and names the setting.
    """
    telemetry.log_to_stderr()
    serve_in_our_way()
    try:
        settings = Settings.read()
        if not _loop_runs():
            asyncio.run(instruments.preflight(settings))
        service = app.create_app(settings, worker=worker)
    except StartRefused as refusal:
        raise SystemExit(f"watchword: {refusal}") from None
    service.before_serving(_keep_what_is_loaded)
    return service


async def _keep_what_is_loaded() -> None:
    """Let no garbage collection look at it again: each would stop every request for as long as five logins take."""
    gc.freeze()


def _loop_runs() -> bool:
    """Whether the server has begun its loop already, as uvicorn has: a refusal is then its to report."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
