"""The stored keys, opened: a ring as they and the time make it. In memory, without I/O and without a clock.

It learns what is stored from whoever follows the table. Laws of this file:

1. A key is opened once. What is sealed anew under a secret that this process lacks does not take it away.
2. A private part is on the ring only while its key signs.
3. The ring is replaced when it would be another, and only then: who remembers what it verified then forgets that.
4. A row whose numbers are none, as SQLite may have it, counts as it was before, or not at all. It keeps no other from
   being taken over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

from watchword import key_states
from watchword.key_states import KeyState
from watchword.keys import (
    ASYMMETRIC_ALGORITHMS,
    KeyRefused,
    KeyRing,
    SigningKey,
    VerificationKey,
    seal,
    unseal,
)
from watchword.model import SealedKey


class KeyHolder:
    """Holds the keys of one process.

    Args:
        algorithm: what is to sign; under HS256 the root secret itself is the key.
        secret: the root secret, under which keys are sealed.
        fallbacks: others that open stored keys and, under HS256, verify.

    Attributes:
        algorithm: what is to sign.
        ring: the keys that sign and verify now.
    """

    def __init__(self, *, algorithm: str, secret: bytes, fallbacks: Sequence[bytes] = ()) -> None:
        self.algorithm = algorithm
        self.ring = KeyRing()
        self._signs_since: int | None = None
        self._secrets = (secret, *fallbacks)
        self._stored: tuple[SealedKey, ...] = ()
        self._opened: dict[str, SigningKey] = {}
        self._on_ring: list[SigningKey | VerificationKey] = []

    @property
    def count(self) -> int:
        """How many stored keys are open."""
        return len(self._opened)

    @property
    def rotates(self) -> bool:
        """Whether its keys follow one another; the one of HS256 is configured."""
        return self.algorithm in ASYMMETRIC_ALGORITHMS

    def age(self, *, now: int) -> float:
        """Seconds for which the stored key that signs has done so; not a number while none does."""
        return nan if self._signs_since is None else float(now - self._signs_since)

    def make(self, *, now: int) -> SealedKey:
        """A new key, sealed. Takes its time for RSA."""
        return seal(SigningKey.generate(self.algorithm), secret=self._secrets[0], generation=1, now=now)

    def learn(self, stored: Sequence[SealedKey], *, now: int) -> None:
        """Take over what is stored, as far as it can be opened.

        Args:
            stored: every key, each algorithm's from oldest to newest.
            now: the time.

        Raises:
            KeyRefused: one that counts cannot be opened or is not sound; all others have been taken over.
        """
        faults = [
            KeyRefused(f"the stored signing key {key.kid} has a time or a generation that is none")
            for key in stored
            if not key.is_sound
        ]
        former = {key.kid: key for key in self._stored}
        stored = [key if key.is_sound else former.get(key.kid, key) for key in stored]
        opened: dict[str, SigningKey] = {}
        for key in stored:
            if key.is_dead(now=now):
                continue  # nobody needs it, and its secret may be gone for good
            try:
                opened[key.kid] = self._opened.get(key.kid) or unseal(key, secrets_to_try=self._secrets)
            except KeyRefused as fault:
                faults.append(fault)
        self._arrange(stored, opened, now=now)
        self._stored, self._opened = tuple(stored), opened
        if faults:
            raise faults[0]

    def turn(self, *, now: int) -> None:
        """Let time pass: a key begins to sign, another stops to verify."""
        self._arrange(self._stored, self._opened, now=now)

    def _arrange(self, stored: Sequence[SealedKey], opened: Mapping[str, SigningKey], *, now: int) -> None:
        usable = [key for key in stored if key.kid in opened]
        states = key_states.states(usable, algorithm=self.algorithm, now=now)
        ring: list[SigningKey | VerificationKey] = []
        self._signs_since = None
        for key in usable:
            match states[key.kid]:
                case KeyState.SIGNING:
                    ring.append(opened[key.kid])
                    self._signs_since = key.signs_from
                case KeyState.PUBLISHED | KeyState.VERIFYING:
                    ring.append(opened[key.kid].verification)
                case KeyState.DEAD:
                    pass
        if not self.rotates:
            secret, *fallbacks = self._secrets
            ring += [*map(VerificationKey.from_secret, fallbacks), SigningKey.from_secret(secret)]
        if ring != self._on_ring:
            self.ring.replace(ring)
            self._on_ring = ring

    def resealed(self, stored: Sequence[SealedKey]) -> list[SealedKey]:
        """What is stored, with all that only a fallback opens sealed under the root secret instead."""
        return [self._reseal(key) for key in stored]

    def _reseal(self, key: SealedKey) -> SealedKey:
        opened = self._opened.get(key.kid)
        if opened is None:
            return key
        try:
            unseal(key, secrets_to_try=self._secrets[:1])
        except KeyRefused:
            anew = seal(opened, secret=self._secrets[0], generation=key.generation, now=key.created_at)
            return replace(key, sealed=anew.sealed)
        return key
