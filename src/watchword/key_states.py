"""What each stored signing key is for at a moment, and how making, rotating and retiring change the keys.

    published ──► signing ──► verifying ──► dead
        └─── retire ─── gone ───┘

Pure: the stored keys, the algorithm that is to sign and the time go in. Laws of this file:

1. A key is published before it signs, so that whoever verifies has it already; only a first one has nobody to wait for.
2. Of an algorithm's keys one signs: the newest whose time has come. Where clocks differ two may, and both verify.
3. A key verifies until the last token that it may have signed is dead, however long tokens lived then.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from watchword.errors import RotationRefused, UnknownSigningKey
from watchword.model import SealedKey
from watchword.tokens import CLOCK_SKEW, MAX_LIFETIME

PUBLISH_AHEAD: Final = 900
"""Seconds from publishing a key to signing with it: more than anybody keeps the key set (``max-age=600``)."""
HEAD_START: Final = 4
"""The same in an emergency: time for our own processes, which read the keys several times a second, and for whoever
asks for newer ones at most every two seconds, as the recipes do: times are whole seconds, so it may be one less."""
ROTATE_AFTER: Final = 30 * 86_400
"""Seconds for which a key signs before it is followed by another."""
OUTLIVES: Final = MAX_LIFETIME + CLOCK_SKEW + 300
"""Seconds for which a key verifies after it was to stop signing.

Whatever the lifetime of tokens is today, it may have been the longest; the rest is for clocks and stragglers.
"""


class KeyState(Enum):
    """What a key is for.

    Attributes:
        PUBLISHED: known to all who verify, and not yet signing.
        SIGNING: signs new tokens.
        VERIFYING: signs no more; tokens that it has signed are still good.
        DEAD: signs and verifies nothing; also what has numbers that are none.
    """

    PUBLISHED = "published"
    SIGNING = "signing"
    VERIFYING = "verifying"
    DEAD = "dead"


def states(keys: Sequence[SealedKey], *, algorithm: str, now: int) -> dict[str, KeyState]:
    """The state of every key, by its ``kid``.

    Args:
        keys: all that are stored, each algorithm's from oldest to newest.
        algorithm: what is to sign.
        now: the time.
    """
    found = {key.kid: _by_its_times(key, now=now) for key in keys}
    signing = _signing(keys, algorithm=algorithm, now=now)
    if signing is not None:
        found[signing.kid] = KeyState.SIGNING
    return found


def is_due(keys: Sequence[SealedKey], *, algorithm: str, now: int) -> bool:
    """Whether the next key should be made now.

    Because none signs; or the one that signs has been told to end, as by a service with another algorithm; or because
    it will be old when its successor has been published for long enough.
    """
    signing = _signing(keys, algorithm=algorithm, now=now)
    if signing is None:
        return True
    if _published_after(signing, keys, now=now):
        return False
    return signing.verifies_until is not None or now >= signing.signs_from + ROTATE_AFTER - PUBLISH_AHEAD


def started(keys: Sequence[SealedKey], *, algorithm: str, first: SealedKey | None = None, now: int) -> list[SealedKey]:
    """The keys after a service has started.

    Keys of other algorithms, which that service will not sign with, are given an end. A service that still does makes
    another one (``is_due``).

    Args:
        keys: all that are stored.
        algorithm: what is to sign.
        first: taken in if no key signs yet.
        now: the time.
    """
    ending = [
        replace(key, verifies_until=max(now, key.signs_from) + OUTLIVES)
        if key.algorithm != algorithm and key.verifies_until is None and key.is_sound
        else key
        for key in keys
    ]
    if first is None or _signing(keys, algorithm=algorithm, now=now) is not None:
        return ending
    return rotated(ending, new=first, now=now)


def rotated(keys: Sequence[SealedKey], *, new: SealedKey, now: int, at_once: bool = False) -> list[SealedKey]:
    """The keys after the next one was made, or after the one that waits was brought forward.

    Args:
        keys: all that are stored.
        new: the key to add; it gets its generation and its time here.
        now: the time.
        at_once: whether it signs as soon as our own processes know it, and not as soon as everybody does.

    Raises:
        RotationRefused: a successor is published already, and is not to sign at once.
    """
    signing = _signing(keys, algorithm=new.algorithm, now=now)
    waiting = _published_after(signing, keys, now=now) if signing is not None else []
    if waiting and not at_once:
        raise RotationRefused(f"the key {waiting[-1].kid} is published already and will sign; --now brings it forward")
    signs_from = now if signing is None else now + (HEAD_START if at_once else PUBLISH_AHEAD)
    if waiting:
        successor = replace(waiting[-1], signs_from=min(waiting[-1].signs_from, signs_from))
        others = [key for key in keys if key.kid != successor.kid]
    else:
        generations = [key.generation for key in keys if key.algorithm == new.algorithm and key.is_sound]
        successor = replace(new, generation=max(generations, default=0) + 1, signs_from=signs_from, verifies_until=None)
        others = list(keys)
    ended = [replace(key, verifies_until=successor.signs_from + OUTLIVES) if key is signing else key for key in others]
    return [*ended, successor]


def retired(keys: Sequence[SealedKey], *, kid: str, algorithm: str, now: int) -> list[SealedKey]:
    """The keys without one that is to be refused from now on.

    Args:
        keys: all that are stored.
        kid: which.
        algorithm: what is to sign, as far as whoever retires it knows.
        now: the time.

    Raises:
        UnknownSigningKey: there is no such key.
        RotationRefused: it signs, here or for a service with another algorithm.
    """
    key = next((key for key in keys if key.kid == kid), None)
    if key is None:
        raise UnknownSigningKey(kid)
    siblings = [each for each in keys if each.algorithm == key.algorithm]
    # A shell without the service's ALGORITHM must not take the service its only key. What tells that an algorithm is
    # left is that all its keys have been given an end.
    is_in_use = key.algorithm == algorithm or any(each.verifies_until is None for each in siblings)
    if is_in_use and _signing(siblings, algorithm=key.algorithm, now=now) is key:
        command = f"WATCHWORD_ALGORITHM={key.algorithm} watchword keys rotate --now"
        raise RotationRefused(f"the key {kid} signs; let another sign first, with `{command}`")
    left = [each for each in keys if each is not key]
    signing = _signing(left, algorithm=key.algorithm, now=now)
    if signing is None or not is_in_use or _by_its_times(key, now=now) is not KeyState.PUBLISHED:
        return left
    if _published_after(signing, left, now=now):
        return left
    # What was to follow the signing key is gone, so it goes on without an end.
    return [replace(each, verifies_until=None) if each is signing else each for each in left]


def _by_its_times(key: SealedKey, *, now: int) -> KeyState:
    if key.is_dead(now=now):
        return KeyState.DEAD
    return KeyState.PUBLISHED if key.signs_from > now else KeyState.VERIFYING


def _signing(keys: Sequence[SealedKey], *, algorithm: str, now: int) -> SealedKey | None:
    living = [key for key in keys if key.algorithm == algorithm and not key.is_dead(now=now)]
    begun = [key for key in living if key.signs_from <= now]
    if begun:
        return max(begun, key=lambda key: key.generation)
    # By a clock that is behind the one that made the first key none has begun. It signs all the same.
    return min(living, key=lambda key: key.generation, default=None)


def _published_after(signing: SealedKey, keys: Sequence[SealedKey], *, now: int) -> list[SealedKey]:
    return [
        key
        for key in keys
        if key.algorithm == signing.algorithm
        and _by_its_times(key, now=now) is KeyState.PUBLISHED
        and key.generation > signing.generation
    ]
