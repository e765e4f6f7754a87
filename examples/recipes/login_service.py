"""What each recipe knows of the login service: its address, its keys, and the two ways in which a check can fail.

Keys are fetched when a token names one that is not here, at most once in two seconds however many tokens do so, and
when they are ten minutes old, so that a retired one is given up. While the login service is away those known stay.
"""

import logging
import math
import os
import secrets
import threading
import time
from typing import Any

import httpx

ISSUER = os.environ.get("LOGIN_SERVICE", "http://127.0.0.1:8000")  # over https, but on this machine
AUDIENCE = "watchword"
ALGORITHMS = ("ES256", "RS256", "EdDSA")  # no HS256: what is public must never be taken for a shared secret
LIFETIME = 600
WAIT = 0.5  # seconds for which one thread waits for another's fetch
PAUSE = 2  # shorter than the three seconds, nearly, for which even a hurried key is published before it signs
transport = httpx.HTTPTransport(limits=httpx.Limits(keepalive_expiry=4))  # gives up a connection before it does
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=transport.close)  # workers that had one in common would read each other's answers
# It decides who gets in: it is asked itself, and no proxy that the environment names.
login_service = httpx.Client(transport=transport, timeout=2)


class InvalidToken(Exception):
    """Answer 401. Which check failed is nobody's business."""


class Unavailable(Exception):
    """Answer 503. Whether the token is good cannot be told now, so nobody may pass."""


class PublishedKeys:
    """The login service's public keys, as JSON Web Keys by their ids; for any number of threads."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, Any]] = {}
        self._fetched_at = self._tried_at = -math.inf
        self._lock = threading.Lock()

    def find(self, kid: object) -> dict[str, Any]:
        """The key that a token names; the name is all that is believed of an unverified token."""
        if not isinstance(kid, str):
            raise InvalidToken
        is_known = kid in self._keys
        is_due = not is_known or time.monotonic() > self._fetched_at + LIFETIME
        # Who has a key waits for nobody's fetch, and who made up an id does so for no longer than WAIT.
        if is_due and self._lock.acquire(timeout=0 if is_known else WAIT):
            try:
                self._fetch()
            finally:
                self._lock.release()
        elif not is_known:
            raise Unavailable
        if not self._keys:
            raise Unavailable
        try:
            return self._keys[kid]
        except KeyError:
            raise InvalidToken from None

    def _fetch(self) -> None:
        if time.monotonic() < self._tried_at + PAUSE:
            return
        try:
            # No cache on the way has a copy of an address that is new; it would keep a retired key in force.
            address = f"{ISSUER}/.well-known/jwks.json?fresh={secrets.token_urlsafe(16)}"
            answer = login_service.get(address)  # follows no redirect
            found = answer.raise_for_status().json()["keys"]
            self._keys = {key["kid"]: key for key in found if key["use"] == "sig" and key["alg"] in ALGORITHMS}
            self._fetched_at = time.monotonic()
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as fault:
            logging.getLogger(__name__).warning("the keys of %s cannot be had: %s", ISSUER, type(fault).__name__)
        finally:
            self._tried_at = time.monotonic()


keys = PublishedKeys()
