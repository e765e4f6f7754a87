"""hypercorn.toml, with the server's addresses, certificate and time limits: where it is, and what it may say."""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from os.path import exists, isfile
from pathlib import Path
from ssl import VerifyFlags
from typing import Any, Final

from hypercorn.config import Config

from watchword.addresses import expect_a_host
from watchword.errors import StartRefused

_Kind = Callable[[Any], None]
"""What an option may be: raises ValueError, whose message ends the sentence, for anything else."""

_LONGEST: Final = 24 * 60 * 60
"""Seconds; and no infinity, which some clocks refuse only when a connection is there."""
_LARGEST: Final = 2**31 - 1
"""The largest number that the system takes for a backlog."""
_VERIFY_FLAGS: Final = reduce(or_, VerifyFlags.__members__.values())
_ROOT: Final = re.compile(r"(?:/[^%?#\s]*[^%?#\s/])?")
_LOGGING_KEYS: Final = {"version", "disable_existing_loggers", "root", "loggers", "handlers", "formatters", "filters"}


def _kind(description: str, takes: Callable[[Any], bool]) -> _Kind:
    def expect(value: Any) -> None:
        if not takes(value):
            raise ValueError(f"must be {description}")

    return expect


def _whole(least: int, most: int = _LARGEST) -> _Kind:
    return _kind(f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most)


def _one_of(*choices: Any) -> _Kind:
    return _kind(" or ".join(map(repr, choices)), lambda value: value in choices)


def _is_time(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= _LONGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _file(value: Any) -> None:
    # A pipe would be waited for; and pathlib's raise where the way there is barred.
    if not _is_text(value) or (exists(value) and not isfile(value)):  # noqa: PTH110, PTH113
        raise ValueError("must be the path of a file")
    path = Path(value)
    try:
        path = path.absolute()  # the message shall say in which folder; where that has been removed, there is none
        path.open("rb").close()
    except OSError as fault:  # ssl would name neither the option nor the path
        raise ValueError(f"{str(path)!r} cannot be read ({fault.strerror})") from None


def _addresses(value: Any) -> None:
    addresses = [value] if isinstance(value, str) else value
    if not isinstance(addresses, list) or not addresses or not all(map(_is_text, addresses)):
        raise ValueError("must be an address or a list of some")
    for each in addresses:
        expect_a_host(each)


_SECONDS: Final = _kind(f"a number of seconds above 0, up to {_LONGEST}", lambda value: _is_time(value) and value > 0)
_SECONDS_OR_0: Final = _kind(f"a number of seconds from 0 to {_LONGEST}", _is_time)
_SECONDS_FROM_1: Final = _kind(
    f"a number of seconds from 1 to {_LONGEST}", lambda value: _is_time(value) and value >= 1
)
_SWITCH: Final = _kind("true or false", lambda value: isinstance(value, bool))
_TEXT: Final = _kind("a text", _is_text)
_TEXTS: Final = _kind("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value)))
_FLAGS: Final = _kind(
    "a sum of ssl.VerifyFlags", lambda value: type(value) is int and value >= 0 and not value & ~_VERIFY_FLAGS
)
_MOUNT: Final = _kind(
    "a path that begins with / and ends with none, without blanks, %, ? and #, or nothing",
    lambda value: _is_text(value) and _ROOT.fullmatch(value) is not None,
)
_LOGGING: Final = _kind(
    "a table for logging.config, with no other option behind its line",
    lambda value: isinstance(value, dict) and value.keys() <= _LOGGING_KEYS,
)

OPTIONS: Final[Mapping[str, _Kind]] = {
    "bind": _addresses,
    "backlog": _whole(1),
    "umask": _whole(0, 0o777),
    "user": _whole(0),
    "group": _whole(0),
    "certfile": _file,
    "keyfile": _file,
    "keyfile_password": _TEXT,
    "ca_certs": _file,
    "ciphers": _TEXT,
    "verify_mode": _whole(1, 2),  # with 0, as without it, nobody is asked
    "verify_flags": _FLAGS,
    "alpn_protocols": _TEXTS,
    "ssl_handshake_timeout": _SECONDS,
    "startup_timeout": _SECONDS_FROM_1,  # less is over before the service has started
    "keep_alive_timeout": _SECONDS,
    "graceful_timeout": _SECONDS_OR_0,
    "shutdown_timeout": _SECONDS,
    "keep_alive_max_requests": _whole(1),
    "h11_max_incomplete_size": _whole(1024),  # less would refuse the head of every request
    "websocket_max_message_size": _whole(1),  # of no use here, but in copies of the file that came with us once
    "server_names": _TEXTS,
    "root_path": _MOUNT,
    "include_date_header": _SWITCH,
    "include_server_header": _SWITCH,
    "workers": _one_of(0),
    "worker_class": _one_of("uvloop", "asyncio"),
    "debug": _SWITCH,
    "accesslog": _one_of(""),
    "errorlog": _one_of("-"),
    "logconfig_dict": _LOGGING,
}
"""Those of Hypercorn's options that do here what they say there.

Not among them are those that the supervisor decides (``insecure_bind``, ``quic_bind``, which no worker is handed,
``pid_path``, ``use_reloader``, ``daemon``, ``application_path``), those of what ``http1`` does not have (HTTP/2, HTTP/3
and its ``alt_svc_headers``, pings, raw headers, a queue of another length, WSGI), those of lines and counts
that ``telemetry`` writes in their place (``access_log_format``, ``logconfig``, ``statsd_…``), ``loglevel``, for the
level stands in ``logconfig_dict``, ``read_timeout``, which cuts off who waits for a hash that takes longer, and
``max_requests`` with its jitter: a worker that ends unasked is an error to the supervisor, and until its successor
serves nobody stands in.
"""

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "certfile": ("keyfile",),  # without both Hypercorn serves in the clear, whatever else is said of TLS
    "keyfile": ("certfile",),
    "keyfile_password": ("keyfile",),
    "ciphers": ("certfile",),
    "ssl_handshake_timeout": ("certfile",),
    "ca_certs": ("certfile", "verify_mode"),  # without the second nobody would be asked for a certificate
    "verify_mode": ("ca_certs",),  # nobody would be let in
    "verify_flags": ("ca_certs",),
    "user": ("group",),  # Hypercorn passes one alone over
    "group": ("user",),
}
"""Which others an option is no use without."""


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
        StartRefused: no TOML, an option that has no use here, or not without another one, or is of another kind, which
            Hypercorn would believe and then fail on each connection, or a certificate that is no use, or with which
            HTTP/2 would be spoken.
    """
    try:
        options = tomllib.loads(find().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise StartRefused(f"hypercorn.toml: cannot be read ({fault})") from None
    for name, value in options.items():
        if name not in OPTIONS:
            raise StartRefused(f"hypercorn.toml: {name!r} is no option that `watchword serve` has a use for")
        try:
            OPTIONS[name](value)
        except ValueError as fault:
            raise StartRefused(f"hypercorn.toml: {name} {fault}") from None
    for name in options:
        for other in _NEEDS.get(name, ()):
            if other not in options:
                raise StartRefused(f"hypercorn.toml: {name} is no use without {other}")
    config = Config.from_mapping(options)
    if config.ssl_enabled and "h2" in config.alpn_protocols:  # Hypercorn's default, and past all that http1 refuses
        raise StartRefused('hypercorn.toml: give alpn_protocols = ["http/1.1"]; HTTP/2 is a proxy\'s to speak')
    config.keyfile_password = config.keyfile_password or ""  # for None it is asked for at the terminal
    try:
        config.create_ssl_context()
    except (OSError, ValueError, TypeError) as fault:  # ssl.SSLError is an OSError
        raise StartRefused(f"hypercorn.toml: the certificate or its key cannot be used ({fault})") from None
    return config
