"""What should happen: one story per file, read from top to bottom. No web framework, no SQL; no story calls another.

What a story needs is handed to it: the instruments as ``Tools`` or one by one, the facts by name. What stories share is
none itself: ``admission``, ``proof`` with its ``attempts`` and ``outcomes``, ``issue`` and ``trail``.
"""

from dataclasses import dataclass

from watchword.denials import Denials
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRing
from watchword.metrics import Metrics
from watchword.model import Clock
from watchword.networks import TrustedProxies
from watchword.passwords import Hasher, PasswordRules
from watchword.readiness import Readiness
from watchword.recorder import Recorder
from watchword.refresh_tokens import RefreshKeys
from watchword.store import Store
from watchword.throttle import Throttle
from watchword.tokens import Profile


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """For how long things last, in seconds.

    Attributes:
        access_token: from minting to expiry.
        idle: from a refresh, or the login, to the end of a session that is not refreshed again.
        session: from login to the session's end, however often it is refreshed.
        grace: for how long after a refresh the token that was exchanged gets the same answer again; 0 for never.
    """

    access_token: int
    idle: int
    session: int
    grace: int


@dataclass(frozen=True, slots=True)
class Tools:
    """The instruments of a running service, each built once.

    Attributes:
        store: the database.
        hasher: computes password hashes, off the event loop.
        throttle: tells under which keys guesses are counted, and who waits for whom.
        proxies: whose word for where a request comes from is taken.
        keys: the stored keys, opened.
        ring: those that sign and verify now.
        refresh_keys: make and check refresh tokens.
        denials: the sessions that ended before their time.
        profile: whom tokens are from and for.
        lifetimes: for how long things last.
        password_rules: what a new password must be.
        clock: tells the time.
        metrics: counts and times.
        recorder: takes what happens for the audit trail.
        readiness: looks whether all this would do for a login.
    """

    store: Store
    hasher: Hasher
    throttle: Throttle
    proxies: TrustedProxies
    keys: KeyHolder
    ring: KeyRing
    refresh_keys: RefreshKeys
    denials: Denials
    profile: Profile
    lifetimes: Lifetimes
    password_rules: PasswordRules
    clock: Clock
    metrics: Metrics
    recorder: Recorder
    readiness: Readiness
