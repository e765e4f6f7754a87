"""The door for servers: ``hypercorn -c hypercorn.toml 'watchword.asgi:create_app()'``."""

from quart import Quart

from watchword import app, telemetry
from watchword.errors import StartRefused


def create_app() -> Quart:
    """The service as the environment describes it, logging to standard error.

    Raises:
        SystemExit: a setting is missing or wrong; its one line says which.
    """
    telemetry.log_to_stderr()
    try:
        return app.create_app()
    except StartRefused as refusal:
        raise SystemExit(f"watchword: {refusal}") from None
