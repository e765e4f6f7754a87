"""Password hashes that other systems have stored: read, verified once more, and then replaced by one of ours.

    scrypt:32768:8:1$<salt>$<hex>           Werkzeug, and so Flask
    pbkdf2:sha256:1000000$<salt>$<hex>      Werkzeug
    pbkdf2_sha256$1000000$<salt>$<base64>   Django
    bcrypt_sha256$$2b$12$…                  Django; what bcrypt gets is the SHA-256 of the password in hex
    bcrypt$$2b$12$…                         Django
    $2a$12$…  $2b$12$…  $2y$12$…            bcrypt, as most systems write it

A password fits if it does as it was typed, because the others hashed it like that, or in NFC. Of bcrypt's alone only
the first 72 bytes count, as they did where it was stored.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

from watchword.errors import Overloaded, UnreadableHash

Compute = Callable[[bytes], bytes]
"""A password to its digest."""

# What a stored hash may ask of this machine; each is some ten times what its system writes by itself.
_MAX_SCRYPT_WORK: Final = 2**21
"""N·r·p."""
_MAX_SCRYPT_BYTES: Final = 260 * 2**20
_MAX_PBKDF2_ROUNDS: Final = 2**22
_BCRYPT_ROUNDS: Final = range(4, 16)
"""Doublings."""

_BCRYPT_BYTES: Final = 72
_SCRYPT_SPARE: Final = 2**20
_MAX_LENGTH: Final = 512

_COUNT: Final = r"([1-9][0-9]{0,9})"
_SALT: Final = r"([!#-%&-~]{1,128})"
_BCRYPT: Final = r"(\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53})"


@dataclass(frozen=True, slots=True)
class LegacyHash:
    """One stored hash of another system, taken apart.

    Attributes:
        compute: hashes a password as that system did, which takes as long as it took there.
        digest: what the password must hash to.
    """

    compute: Compute = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a stored hash.

        Raises:
            UnreadableHash: of no form that we read, beyond what we are ready to compute, or one of bcrypt's where the
                extra ``legacy`` is not installed.
        """
        if len(text) <= _MAX_LENGTH:
            for form, read in _FORMS:
                if match := form.fullmatch(text):
                    compute, digest = read(*match.groups())
                    return cls(compute, digest)
        raise UnreadableHash("a password hash of no form that is read here")

    def fits(self, spelled: Sequence[bytes]) -> bool:
        """Hold a password against the hash.

        Args:
            spelled: the bytes that it may have been hashed from; each costs a hash until one fits.

        Raises:
            UnreadableHash: what looked like a hash is none.
            Overloaded: there is no memory for it now.
        """
        return any(hmac.compare_digest(self.compute(data), self.digest) for data in spelled)


_Parts = tuple[Compute, bytes]


def _werkzeug_scrypt(n_text: str, r_text: str, p_text: str, salt: str, digest: str) -> _Parts:
    n, r, p = int(n_text), int(r_text), int(p_text)
    memory = 128 * r * (n + p + 2)
    if n * r * p > _MAX_SCRYPT_WORK or memory > _MAX_SCRYPT_BYTES:
        raise UnreadableHash("a scrypt hash beyond the bounds")
    if n == 1 or n.bit_count() != 1 or n.bit_length() > 16 * r:  # RFC 7914 §2
        raise UnreadableHash("a scrypt hash whose N is none")

    def compute(password: bytes) -> bytes:
        try:
            return hashlib.scrypt(password, salt=salt.encode("ascii"), n=n, r=r, p=p, maxmem=memory + _SCRYPT_SPARE)
        except (MemoryError, ValueError) as fault:  # all that is left to go wrong within our bounds is memory
            raise Overloaded("no memory for a hash") from fault

    return compute, bytes.fromhex(digest)


def _werkzeug_pbkdf2(function: str, rounds: str, salt: str, digest: str) -> _Parts:
    return _pbkdf2(function, rounds, salt, bytes.fromhex(digest))


def _django_pbkdf2(function: str, rounds: str, salt: str, digest: str) -> _Parts:
    try:
        return _pbkdf2(function, rounds, salt, b64decode(digest, validate=True))
    except ValueError:
        raise UnreadableHash("the digest is not base64") from None


def _pbkdf2(function: str, rounds: str, salt: str, digest: bytes) -> _Parts:
    if int(rounds) > _MAX_PBKDF2_ROUNDS:
        raise UnreadableHash("a PBKDF2 hash beyond the bounds")
    if len(digest) != hashlib.new(function, usedforsecurity=False).digest_size:
        raise UnreadableHash("a PBKDF2 digest that was cut")
    return partial(hashlib.pbkdf2_hmac, function, salt=salt.encode("ascii"), iterations=int(rounds)), digest


def _bcrypt(stored: str, rounds: str) -> _Parts:
    try:
        import bcrypt
    except ImportError:
        raise UnreadableHash("a bcrypt hash, which takes watchword[legacy] to read") from None
    if int(rounds) not in _BCRYPT_ROUNDS:
        raise UnreadableHash("a bcrypt hash beyond the bounds")
    hash_ = stored.encode("ascii")

    def compute(password: bytes) -> bytes:
        try:
            return bcrypt.hashpw(password[:_BCRYPT_BYTES], hash_)
        except ValueError:  # its base64 has spare bits, which must be zero
            raise UnreadableHash("not a bcrypt hash") from None

    return compute, hash_


def _django_bcrypt_sha256(stored: str, rounds: str) -> _Parts:
    compute, digest = _bcrypt(stored, rounds)
    return (lambda password: compute(hashlib.sha256(password).hexdigest().encode("ascii"))), digest


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[..., _Parts]]]] = tuple(
    (re.compile(form, re.ASCII), read)
    for form, read in (
        (rf"scrypt:{_COUNT}:{_COUNT}:{_COUNT}\${_SALT}\$([0-9a-f]{{128}})", _werkzeug_scrypt),
        (rf"pbkdf2:(sha1|sha256|sha512):{_COUNT}\${_SALT}\$((?:[0-9a-f]{{2}}){{20,64}})", _werkzeug_pbkdf2),
        (rf"pbkdf2_(sha1|sha256)\${_COUNT}\${_SALT}\$([A-Za-z0-9+/]{{27,43}}=)", _django_pbkdf2),
        (rf"bcrypt_sha256\${_BCRYPT}", _django_bcrypt_sha256),
        (rf"(?:bcrypt\$)?{_BCRYPT}", _bcrypt),
    )
)
