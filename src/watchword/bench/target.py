"""What is loaded: where a URL leads, whether that is this very machine, and what Watchword's requests look like."""

import asyncio
import ipaddress
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from watchword import strictjson
from watchword.bearer_tokens import is_bearer_token
from watchword.bench.http import Request, authority
from watchword.bench.users import User


@dataclass(frozen=True, slots=True)
class Target:
    """A service to be loaded.

    Attributes:
        name: the host as the URL has it.
        port: where the service listens.
        addresses: what the name stands for, asked once: what was judged is what is loaded.
    """

    name: str
    port: int
    addresses: tuple[str, ...]

    @property
    def url(self) -> str:
        """The service's URL, without a slash at the end."""
        return f"http://{authority(self.name, self.port)}"

    @property
    def is_here(self) -> bool:
        """Whether every address is a loopback address."""
        return all(ipaddress.ip_address(address).is_loopback for address in self.addresses)

    def login(self, user: User) -> Request:
        """The request by which a user logs in."""
        body = json.dumps({"username": user.username, "password": user.password}).encode()
        return Request("POST", "/login", (self._host, ("Content-Type", "application/json")), body)

    def me(self, token: str) -> Request:
        """A guarded request."""
        return Request("GET", "/me", (self._host, ("Authorization", f"Bearer {token}")))

    @property
    def _host(self) -> tuple[str, str]:
        return "Host", authority(self.name, self.port)


async def find(url: str) -> Target:
    """Look up where a URL leads.

    Raises:
        ValueError: it is not the plain URL of a host, or nobody knows the host.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("expected a URL like http://127.0.0.1:8000 (a service behind TLS is loaded behind it)")
    if "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("expected scheme, host and port only, as in http://127.0.0.1:8000")
    if not parts.hostname.isascii():
        raise ValueError("expected a host in ASCII; other letters have a spelling that begins with xn--")
    port = 80 if parts.port is None else parts.port
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ValueError(f"no host {parts.hostname} is known here") from None
    addresses = dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)
    return Target(parts.hostname, port, tuple(addresses))


def token_of(body: bytes) -> str:
    """The access token in the answer to a login.

    Raises:
        ValueError: there is none.
    """
    try:
        token = strictjson.loads(body)["token"]
    except (ValueError, TypeError, KeyError):
        token = None
    if not isinstance(token, str) or not is_bearer_token(token):
        raise ValueError("no token in it")
    return token
