"""Random values: the identifiers of users, sessions and tokens, and salts."""

import secrets


def new_id() -> str:
    """128 random bits as 22 characters of base64url; never the same twice."""
    return secrets.token_urlsafe(16)


def new_salt() -> bytes:
    """128 random bits."""
    return secrets.token_bytes(16)
