"""Password hashes as they are stored: PHC strings of Argon2 (RFC 9106), read and written here alone.

They look like ``$argon2id$v=19$m=19456,t=2,p=1$<salt>$<digest>``, salt and digest in base64 without padding.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final, Literal, Self, cast

from watchword.errors import UnreadableHash

Variant = Literal["argon2id", "argon2i", "argon2d"]

SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 32

_PHC: Final = re.compile(
    r"\$(argon2id|argon2i|argon2d)\$v=19"
    r"\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,2})"
    r"\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,128})",
    re.ASCII,
)
_MAX_LENGTH: Final = 256

# What a stored hash may ask of this machine: a row that says m=4294967295 must not take it down.
_MAX_MEMORY_KIB: Final = 1_048_576
_MAX_PASSES: Final = 64
_MAX_WORK: Final = 4 * 1_048_576
"""What libsodium calls sensitive. Anybody who knows the user's name can have it computed, and others then wait."""
_MAX_LANES: Final = 16


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a hash costs. A value, so that "is this hash of today?" is one comparison.

    Attributes:
        memory_kib: Argon2's m.
        passes: Argon2's t.
        lanes: Argon2's p.
        variant: which of the three Argon2 functions.
    """

    memory_kib: int
    passes: int
    lanes: int = 1
    variant: Variant = "argon2id"

    @property
    def work(self) -> int:
        """KiB filled in all; time is in proportion to it."""
        return self.memory_kib * self.passes


@dataclass(frozen=True, slots=True)
class EncodedHash:
    """One stored password hash, taken apart.

    Attributes:
        parameters: what it costs to compute.
        salt: makes equal passwords differ.
        digest: what the password must hash to.
    """

    parameters: Parameters
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @property
    def has_our_lengths(self) -> bool:
        """Whether salt and digest are as long as those we make; the faster back end may be one that reads no others."""
        return (len(self.salt), len(self.digest)) == (SALT_BYTES, DIGEST_BYTES)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a PHC string.

        Raises:
            UnreadableHash: not an Argon2 hash of version 1.3, or beyond what we are ready to compute.
        """
        match = _PHC.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise UnreadableHash("not an Argon2 hash")
        variant, memory_kib, passes, lanes, salt, digest = match.groups()
        parameters = Parameters(int(memory_kib), int(passes), int(lanes), cast("Variant", variant))
        if not _is_within_bounds(parameters):
            raise UnreadableHash("an Argon2 hash beyond the bounds")
        try:
            return cls(parameters, _unpad(salt), _unpad(digest))
        except ValueError:
            raise UnreadableHash("salt or digest is not base64") from None

    def __str__(self) -> str:
        """Write the PHC string."""
        cost = f"m={self.parameters.memory_kib},t={self.parameters.passes},p={self.parameters.lanes}"
        return f"${self.parameters.variant}$v=19${cost}${_pad(self.salt)}${_pad(self.digest)}"


def _is_within_bounds(parameters: Parameters) -> bool:
    return (
        8 * parameters.lanes <= parameters.memory_kib <= _MAX_MEMORY_KIB
        and parameters.passes <= _MAX_PASSES
        and parameters.work <= _MAX_WORK
        and parameters.lanes <= _MAX_LANES
    )


def _unpad(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def _pad(data: bytes) -> str:
    return b64encode(data).rstrip(b"=").decode("ascii")
