"""Checks an access token by asking the login service: pip install httpx

A logout is known at once, no cryptography is needed, and each request costs another. The service has an account there:

    (umask 077 && watchword clients add gateway --scope tokens:introspect > new) && mv new client_secret

    echo "$TOKEN" | CLIENT_NAME=gateway CLIENT_SECRET_FILE=client_secret python verify_with_introspection.py
"""

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
from login_service import ISSUER, InvalidToken, Unavailable, login_service

SECRET = Path(os.environ["CLIENT_SECRET_FILE"]).read_text().strip()
if not SECRET:
    raise ValueError("the file that CLIENT_SECRET_FILE names is empty")
NAME = quote_plus(os.environ["CLIENT_NAME"])  # as in a form (RFC 6749 §2.3.1); in a secret nothing needs it
MAX_LENGTH = 4096


def verify(token: str) -> dict[str, Any]:
    """What the login service tells of a good token."""
    if not (token.isascii() and 0 < len(token) <= MAX_LENGTH):
        raise InvalidToken
    try:
        answer = login_service.post(f"{ISSUER}/oauth/introspect", data={"token": token}, auth=(NAME, SECRET))
        if answer.status_code in {400, 413}:  # it is the token that cannot be read, now or later
            raise InvalidToken
        if answer.status_code in {401, 403}:  # nothing ends this but a change of what this service was started with
            logging.getLogger(__name__).error("%s refuses this account: status %d", ISSUER, answer.status_code)
        told: dict[str, Any] = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as fault:
        raise Unavailable from fault
    if told.get("active") is not True or told.get("token_type") != "Bearer":  # a refresh token may be active, too
        raise InvalidToken
    return told


if __name__ == "__main__":
    try:
        print(verify(input())["username"])
    except (InvalidToken, Unavailable) as refusal:
        raise SystemExit(type(refusal).__name__) from None
