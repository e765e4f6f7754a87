"""Claims about guessable secrets: what is made at random is none, in whatever form it comes."""

from base64 import b64encode
from hashlib import sha256

import pytest

from watchword.shared_secrets import is_guessable


def test_what_is_made_at_random_is_not_guessable() -> None:
    """Bytes that are no text, and the forms in which ``openssl rand`` and ``secrets`` write them."""
    for seed in range(500):
        made = sha256(str(seed).encode()).digest()
        for secret in (made, made.hex().encode(), b64encode(made)):
            assert not is_guessable(secret), seed


@pytest.mark.parametrize("secret", [b"\xff" * 40, b"\0" * 64, "é".encode() * 20, b"\xffsecret" * 10])
def test_bytes_are_judged_as_texts_are(secret: bytes) -> None:
    """One of few values, or well-known words among them, is guessable whether or not it is UTF-8."""
    assert is_guessable(secret)
