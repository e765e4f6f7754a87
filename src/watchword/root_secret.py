"""Keys derived from the root secret, SECRET_KEY: one for each use, so that what one makes is nothing to another.

That rests on no two uses having the same label, so all of them stand here.
"""

from enum import Enum, unique

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@unique
class Use(Enum):
    """What a key is for, and its label. With another one all that was made under the key would be lost.

    Attributes:
        SIGNING_KEYS: seals the private parts of stored keys.
        REFRESH_TOKENS: makes and checks them.
        AUDIT_EVENTS: chains the events of a writer.
        AUDIT_ANCHORS: holds a chain whose beginning was removed.
        THROTTLE: hides who is counted.
    """

    SIGNING_KEYS = b"watchword signing keys"
    REFRESH_TOKENS = b"watchword refresh tokens"
    AUDIT_EVENTS = b"watchword audit events"
    AUDIT_ANCHORS = b"watchword audit anchors"
    THROTTLE = b"watchword throttle"


def derived(secret: bytes, use: Use) -> bytes:
    """The 32 bytes of a use: HKDF-SHA-256 (RFC 5869) with its label as ``info``, and no salt."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=use.value).derive(secret)
