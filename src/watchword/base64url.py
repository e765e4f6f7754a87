"""base64url without padding (RFC 7515 §2), in the one spelling that each byte string has."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def b64encode(data: bytes) -> str:
    """Spell bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64decode(text: str) -> bytes:
    """Read bytes back.

    Raises:
        ValueError: the text is not what ``b64encode`` writes. A lax reader would let one token have many spellings,
            and a signature survive a changed last character.
    """
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64encode(data) != text:
        raise ValueError("not base64url")
    return data
