"""What should happen: one story per file, read from top to bottom. No web framework, no SQL; no story calls another.

What a story needs is handed to it: the instruments as ``Tools`` or one by one, the facts by name.
"""

from dataclasses import dataclass

from watchword.keys import KeyRing
from watchword.metrics import Metrics
from watchword.model import Clock
from watchword.passwords import Hasher
from watchword.store import Store
from watchword.tokens import Profile


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """For how long things last, in seconds.

    Attributes:
        access_token: from minting to expiry.
        session: from login to the session's end.
    """

    access_token: int
    session: int


@dataclass(frozen=True, slots=True)
class Tools:
    """The instruments of a running service, each built once.

    Attributes:
        store: the database.
        hasher: computes password hashes, off the event loop.
        ring: the keys that sign and verify.
        profile: whom tokens are from and for.
        lifetimes: for how long things last.
        clock: tells the time.
        metrics: counts and times.
    """

    store: Store
    hasher: Hasher
    ring: KeyRing
    profile: Profile
    lifetimes: Lifetimes
    clock: Clock
    metrics: Metrics
