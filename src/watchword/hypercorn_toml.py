"""hypercorn.toml, with the server's addresses, certificate and time limits: where it is, and what it may say."""

from pathlib import Path
from typing import Final

from hypercorn.config import Config

from watchword.errors import StartRefused

_NUMBERS: Final = ("backlog", "graceful_timeout", "keep_alive_timeout", "shutdown_timeout", "ssl_handshake_timeout")


def find() -> Path:
    """The file beside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "hypercorn.toml"
    return installed if installed.exists() else package.parents[1] / "hypercorn.toml"


def read() -> Config:
    """What it says, if that can be served.

    The supervisor asks when it starts and each worker when it does: what the file says may have changed since, and its
    predecessor must not go before it is known to fit.

    Raises:
        StartRefused: no TOML, another kind of address than ``bind``, a number that is none, or a certificate that is
            no use.
    """
    try:
        config = Config.from_toml(find())
    except (OSError, ValueError, TypeError) as fault:
        raise StartRefused(f"hypercorn.toml: cannot be read ({fault})") from None
    # Each worker would bind them itself, beside the sockets that it is handed.
    if config.insecure_bind or config.quic_bind:
        raise StartRefused("hypercorn.toml: give bind alone; insecure_bind and quic_bind are not served")
    for name in _NUMBERS:  # of another kind, some would end each connection, and some the service when it drains
        if type(getattr(config, name)) not in {int, float}:
            raise StartRefused(f"hypercorn.toml: {name} must be a number")
    if (config.certfile is None) != (config.keyfile is None):  # Hypercorn would serve in the clear
        raise StartRefused("hypercorn.toml: certfile and keyfile go together")
    try:
        config.create_ssl_context()
    except (OSError, ValueError, TypeError) as fault:  # ssl.SSLError is an OSError
        raise StartRefused(f"hypercorn.toml: the certificate or its key cannot be used ({fault})") from None
    return config
