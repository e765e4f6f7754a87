"""Secrets of clients, ``wws_<client id>.<256 random bits>``: made, taken apart and compared. Pure: no clock, no I/O.

Of a secret only the SHA-256 digest is stored. That is enough because we made it at random: slow hashes protect what
people choose from a small store of guesses, and nobody gets through 2^256 of them, however quick each is.
"""

import hmac
import re
from hashlib import sha256
from typing import Final

from watchword.identifiers import new_secret
from watchword.model import Client

LENGTH: Final = 70
"""Characters of every secret."""

_FORM: Final = re.compile(r"wws_([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}", re.ASCII)


def make(client_id: str) -> str:
    """A new secret for a client; it names whose it is, so that the secret alone can serve as a bearer token."""
    return f"wws_{client_id}.{new_secret()}"


def digest(secret: str) -> bytes:
    """What is stored of a secret. It is of the whole text, so each secret has one spelling."""
    return sha256(secret.encode()).digest()


def client_id_of(secret: str) -> str | None:
    """Whose secret it claims to be; None where it has not the form of one."""
    parts = _FORM.fullmatch(secret) if len(secret) == LENGTH else None
    return None if parts is None else parts[1]


def opens(secret: str, client: Client) -> bool:
    """Whether it is the client's; how long the answer takes tells nothing of where the two differ."""
    return hmac.compare_digest(digest(secret), client.secret_digest)
