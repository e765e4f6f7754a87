"""What a password is before it is hashed: bytes that are the same however a keyboard composed them.

NFC and nothing else (NIST SP 800-63B-4 §3.1.1.2; ASVS 6.2.8 asks for no change at all): no case folding,
no trimming, no NFKC, so that every other difference counts.
"""

import unicodedata
from typing import Final

from watchword.errors import InvalidRequest

MAX_CODE_POINTS: Final = 1024
MAX_BYTES: Final = 4096


def password_bytes(password: str) -> bytes:
    """The bytes that are hashed.

    Length comes first, as normalising costs time in proportion (CVE-2023-46695).

    Raises:
        InvalidRequest: empty, too long, or with a NUL or a lone surrogate in it; whosever password it is.
    """
    if not password:
        raise InvalidRequest("password: must not be empty")
    if len(password) > MAX_CODE_POINTS:
        raise InvalidRequest(f"password: must not be longer than {MAX_CODE_POINTS} characters")
    if "\x00" in password:
        raise InvalidRequest("password: must not contain NUL")
    try:
        data = unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest("password: must be Unicode text") from None
    if len(data) > MAX_BYTES:
        raise InvalidRequest(f"password: must not be longer than {MAX_BYTES} bytes")
    return data


def spellings(password: str) -> list[bytes]:
    """The bytes that another system may have hashed: in NFC, as here, and as typed where that differs.

    Raises:
        InvalidRequest: no password (``password_bytes``).
    """
    composed = password_bytes(password)
    typed = password.encode("utf-8")
    return [composed] if typed == composed else [composed, typed]
