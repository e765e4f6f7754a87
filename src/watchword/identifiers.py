"""Identifiers: of users, sessions and tokens."""

import secrets


def new_id() -> str:
    """128 random bits as 22 characters of base64url; never the same twice."""
    return secrets.token_urlsafe(16)
