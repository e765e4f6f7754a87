"""hypercorn.toml, with the server's addresses, certificate and time limits: where it is, and what it may say."""

from pathlib import Path

from hypercorn.config import Config

from watchword.errors import StartRefused


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
        StartRefused: another kind of address than ``bind``, or a certificate that is no use.
    """
    config = Config.from_toml(find())
    # Each worker would bind them itself, beside the sockets that it is handed.
    if config.insecure_bind or config.quic_bind:
        raise StartRefused("hypercorn.toml: give bind alone; insecure_bind and quic_bind are not served")
    if (config.certfile is None) != (config.keyfile is None):  # Hypercorn would serve in the clear
        raise StartRefused("hypercorn.toml: certfile and keyfile go together")
    try:
        config.create_ssl_context()
    except OSError as fault:  # ssl.SSLError is one
        raise StartRefused(f"hypercorn.toml: the certificate or its key cannot be used ({fault})") from None
    return config
