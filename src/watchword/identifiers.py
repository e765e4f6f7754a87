"""Random values: identifiers, salts, secrets of clients, and where versions begin."""

import secrets


def new_id() -> str:
    """128 random bits as 22 characters of base64url; never the same twice."""
    return secrets.token_urlsafe(16)


def new_salt() -> bytes:
    """128 random bits."""
    return secrets.token_bytes(16)


def new_secret() -> str:
    """256 random bits as 43 characters of base64url: beyond any guessing."""
    return secrets.token_urlsafe(32)


def new_version() -> int:
    """A positive number of 48 random bits, to count up from."""
    return 1 + secrets.randbits(48)
