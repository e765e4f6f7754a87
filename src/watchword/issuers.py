"""What an issuer's address looks like: one form for the service that signs under it and the guard that believes it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

# RFC 3986 §3.3; no query, no fragment, no backslash, and no dot segments, which many readers of a URL take away.
_SEGMENT: Final = r"/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@%-]*"
URL: Final = re.compile(
    rf"(?P<origin>(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?)"
    rf"(?P<path>(?:{_SEGMENT})*)",
    re.ASCII,
)
"""The form alone: a port may be too high, and what looks like an address may be none."""
_NUMBERS: Final = re.compile(r"[0-9.]+", re.ASCII)
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address, as they are written.

    Attributes:
        origin: scheme, host and port.
        scheme: ``http`` or ``https``.
        host: an IPv6 address in its brackets.
        path: what follows, empty or from a slash on.
    """

    origin: str
    scheme: str
    host: str
    path: str


def address(url: str) -> Address:
    """Take an address apart.

    Raises:
        ValueError: it is not the plain URL of a service (RFC 8414 §2). The message shows nothing of it.
    """
    parts = URL.fullmatch(url)
    if parts is None or int(parts["port"] or 0) > _MAX_PORT or not _is_host(parts["host"]):
        raise ValueError(
            "must be a URL like https://login.example.com, in ASCII, its scheme in small letters,"
            " without user, query, fragment or dot segments"
        )
    return Address(origin=parts["origin"], scheme=parts["scheme"], host=parts["host"], path=parts["path"])


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):
            IPv6Address(host.strip("[]"))
        elif _NUMBERS.fullmatch(host):
            IPv4Address(host)
    except ValueError:
        return False
    return True
