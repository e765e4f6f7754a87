"""Passwords: hash one that is set, verify one that is claimed, always for the same work and never on the event loop.

``verify`` costs one hash at the current parameters, whatever is stored: a user who does not exist, one without
a password and one whose hash nobody can read take as long as anybody else (ASVS 6.3.8), and a hash with older,
cheaper parameters, or of another system, is topped up. What it cost is measured, for of two hashes that fill as many
KiB the one in less memory is the quicker. One that costs more takes longer, until its owner logs in.
"""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from watchword.errors import InvalidCredentials, UnreadableHash
from watchword.passwords import backends
from watchword.passwords.backends import BackEnd, Timing
from watchword.passwords.encoded import DIGEST_BYTES, SALT_BYTES, EncodedHash, Parameters
from watchword.passwords.legacy import LegacyHash
from watchword.passwords.pool import HashPool, Observer, Place, nobody_looks
from watchword.passwords.rules import PasswordRules
from watchword.passwords.text import password_bytes, spellings

__all__ = [
    "EncodedHash",
    "Hasher",
    "Parameters",
    "PasswordRules",
    "Verified",
    "password_bytes",
    "read_stored",
]

_LEAST_TOP_UP_KIB: Final = 8
_TOP_UPS: Final = 3
"""At most: the first is smaller than a hash of ours, and so a little quicker than its part; then comes the rest."""
_REMEMBERED: Final = 31
"""Claims that tell how long one takes now: what else the machine does makes all of them slower."""
_FIRST_GUESS: Final = 1.0
"""Seconds that a hash is thought to take until the back ends have been timed: rather few are let in than too many."""


def read_stored(text: str) -> EncodedHash | LegacyHash:
    """Read a stored hash, ours or another system's.

    Raises:
        UnreadableHash: of no form that we read, or beyond what we are ready to compute.
    """
    if not isinstance(text, str):  # SQLite keeps bytes in any column, and nobody of us has written any
        raise UnreadableHash("it is no text")
    return EncodedHash.parse(text) if text.startswith("$argon2") else LegacyHash.parse(text)


@dataclass(frozen=True, slots=True)
class Verified:
    """The password is right.

    Attributes:
        new_hash: what to store instead, where the stored hash is not of the current parameters; else None.
    """

    new_hash: str | None


class Hasher:
    """Hashes and verifies on a pool of its own.

    Args:
        parameters: the current cost of a hash.
        threads: how many hashes are computed at once.
        max_wait: seconds that one may wait for its turn.
        observe: is told how long each hash waited and took.
    """

    def __init__(
        self, parameters: Parameters, *, threads: int, max_wait: float, observe: Observer = nobody_looks
    ) -> None:
        self.parameters = parameters
        self.threads = threads
        self.pool = HashPool(threads=threads, max_wait=max_wait, expected=_FIRST_GUESS, observe=observe)
        self.stopwatch: Callable[[], float] = time.thread_time  # how long others keep the core is no work of ours
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        backends.load()
        # In a thread of the pool: a thread keeps the memory of its hashes, and one that does nothing else would too.
        # And in the background: the rest of a start takes about as long.
        self._timings = self.pool.prepare(lambda: backends.time_backends(parameters))

    @cached_property
    def fastest(self) -> Timing:
        """The fastest back end, and its time for a hash. Whoever asks waits until they have been timed."""
        fastest, *_ = self._timings()
        self.pool.expect(fastest.seconds)
        return fastest

    @cached_property
    def backend(self) -> BackEnd:
        """What computes the hashes."""
        return self.fastest.backend

    async def hash(self, password: str, *, claimant: str = "", network: str = "") -> str:
        """The PHC string to store for a new password.

        Args:
            password: the new password.
            claimant: whose it is to be.
            network: from where it comes, for its turn in the pool.

        Raises:
            InvalidRequest: no password (``password_bytes``).
            Overloaded: too many are waiting.
        """
        data = password_bytes(password)
        return await self.pool.run(lambda: self._hash(data), claimant=claimant, network=network)

    async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
        """Prove a claimed password, for the work of one hash at the current parameters.

        Args:
            password: what somebody claims.
            stored: the user's hash, ours or another system's, or None where there is no user, no password, or no
                leave to log in.
            place: taken from the pool before the user was looked for, so that whoever is sent away costs no look-up.

        Raises:
            InvalidRequest: no password (``password_bytes``); raised before any work and whatever is stored.
            InvalidCredentials: not the password.
            UnreadableHash: the stored string is unreadable; the work was done all the same.
        """
        data, *others = spellings(password)
        return await place.run(lambda: self._verify(data, others, stored))

    def close(self) -> None:
        """End the pool's threads."""
        self.pool.close()

    def _hash(self, data: bytes) -> str:
        salt = secrets.token_bytes(SALT_BYTES)
        return str(EncodedHash(self.parameters, salt, self._derive(data, salt, self.parameters, DIGEST_BYTES)))

    def _verify(self, data: bytes, other_spellings: Sequence[bytes], stored: str | None) -> Verified:
        started = self.stopwatch()
        if stored is None:
            self._hash(data)
            self._recent.append(self.stopwatch() - started)
            raise InvalidCredentials("nothing to compare with")
        try:
            known = read_stored(stored)
            is_current = isinstance(known, EncodedHash) and known.parameters == self.parameters
            if not (isinstance(known, EncodedHash) and known.parameters.work <= self.parameters.work):
                self.pool.tell()  # it may take seconds, and what others wait for is there
            is_right = self._fits([data, *other_spellings], known)
        except UnreadableHash:
            self._hash(data)
            raise
        if is_current:
            self._recent.append(self.stopwatch() - started)
        else:
            self._top_up(data, known, started)
        if not is_right:
            raise InvalidCredentials("wrong password")
        is_ours = is_current and isinstance(known, EncodedHash) and known.has_our_lengths
        return Verified(new_hash=None if is_ours else self._hash(data))

    def _fits(self, spelled: Sequence[bytes], known: EncodedHash | LegacyHash) -> bool:
        if isinstance(known, LegacyHash):
            return known.fits(spelled)
        digest = self._derive(spelled[0], known.salt, known.parameters, len(known.digest))
        return hmac.compare_digest(digest, known.digest)

    def _top_up(self, data: bytes, known: EncodedHash | LegacyHash, started: float) -> None:
        """Spend what a cheaper hash left over, or its speed would tell that the user exists.

        Args:
            data: the password.
            known: the hash that was computed.
            started: what the stopwatch showed before.
        """
        whole = self._usual_seconds()
        if isinstance(known, EncodedHash) and known.parameters.lanes > 1:
            # Lanes are threads, whose work is on stopwatches of their own.
            started = self.stopwatch() - whole * known.parameters.work / self.parameters.work
        for _ in range(_TOP_UPS):
            left = 1 - (self.stopwatch() - started) / whole
            memory_kib = int(left * self.parameters.memory_kib)
            if memory_kib < _LEAST_TOP_UP_KIB:
                return
            filler = Parameters(memory_kib=memory_kib, passes=self.parameters.passes)
            self._derive(data, bytes(SALT_BYTES), filler, DIGEST_BYTES)

    def _usual_seconds(self) -> float:
        """How long a claim takes now that costs a hash at the current parameters: the median of the last ones."""
        recent = sorted(self._recent)
        median = recent[len(recent) // 2] if recent else 0.0
        return median or self.fastest.seconds  # a coarse stopwatch may have seen nothing pass

    def _derive(self, data: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
        return backends.derive_with(self.backend, data, salt, parameters, length)
