"""What Watchword is about: users, sessions, tokens, revocations. Frozen values, no I/O, no clock of their own.

Times are whole seconds since the epoch, in UTC, as in a JWT's NumericDate (RFC 7519 §2).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto
from typing import Final, Self

from watchword.errors import InvalidRequest

Clock = Callable[[], int]
"""Tells the time. Handed in, so that a test can be at any hour."""

Scopes = frozenset[str]

MAX_SCOPE: Final = 1500
"""Characters of a scope string. With the longest user name a token is then still one that ``tokens`` verifies."""

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)

FIRST_PARTY_CLIENT = "watchword"
"""The ``client_id`` of tokens that a user got from ``/login`` itself (RFC 9068 §2.2)."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    Attributes:
        id: never reused, also when a deleted name is taken anew.
        username: as the user wrote it, for display.
        canonical_name: as it is compared (RFC 8265); unique.
        password_hash: a PHC string, or None for a user who cannot log in by password.
        password_version: counts the passwords that the user has had; a rehash of the same one does not count.
        scope: what the user's tokens cover, separated by spaces (RFC 6749 §3.3).
        disabled_at: since when the user is locked out, or None.
        created_at: when the account was made.
    """

    id: str
    username: str
    canonical_name: str
    password_hash: str | None = field(repr=False)
    password_version: int
    scope: str
    disabled_at: int | None
    created_at: int

    @property
    def is_disabled(self) -> bool:
        """Whether the user is locked out."""
        return self.disabled_at is not None


class Presented(Enum):
    """What a refresh token with a good MAC is, by its counter and the session's (RFC 9700 §4.14.2).

    Attributes:
        CURRENT: the newest one, which may be exchanged.
        PREDECESSOR: the one just before, within the grace: its answer may have been lost, and is given again.
        REUSED: exchanged longer ago. Two hold tokens of one session, and one of them is a thief.
        AHEAD: never given out by this database, which then was restored from a backup.
    """

    CURRENT = auto()
    PREDECESSOR = auto()
    REUSED = auto()
    AHEAD = auto()


@dataclass(frozen=True, slots=True)
class Session:
    """One login: what a logout ends, and what every token of that login names as ``sid``.

    Attributes:
        id: 128 random bits, never reused.
        user_id: whose it is.
        auth_time: when the password was proven.
        expires_at: after which nothing prolongs it.
        salt: 128 random bits that, together with SECRET_KEY, key the MAC of its refresh tokens.
        counter: how often it was refreshed; the counter of its newest refresh token.
        refreshed_at: when it was last refreshed, or began.
        ends_at: when it ends if it is not refreshed before; never after ``expires_at``.
        token_expires_at: when the last of its access tokens expires.
        password_version: of the user's passwords the one that was proven.
        network: where the login came from, as ``networks.network_of`` writes it.
        user_agent: what the client called itself then.
    """

    id: str
    user_id: str
    auth_time: int
    expires_at: int
    salt: bytes = field(repr=False)
    counter: int
    refreshed_at: int
    ends_at: int
    token_expires_at: int
    password_version: int
    network: str
    user_agent: str

    def is_over(self, *, now: int) -> bool:
        """Whether it has ended by itself, idle for too long or as old as a session may get."""
        return now >= self.ends_at

    def serves(self, user: User) -> bool:
        """Whether its user, as they are now, may go on with it: not locked out, and the password is the one proven."""
        return not user.is_disabled and user.password_version == self.password_version

    def presented(self, counter: int, *, now: int, grace: int) -> Presented:
        """Judge a refresh token of this session.

        Args:
            counter: the token's.
            now: the time.
            grace: seconds for which the predecessor of the newest token is still answered; 0 for never.
        """
        if counter == self.counter:
            return Presented.CURRENT
        if counter > self.counter:
            return Presented.AHEAD
        # Another node's clock may be a little behind the one that refreshed; no age is below 0.
        if counter == self.counter - 1 and max(0, now - self.refreshed_at) < grace:
            return Presented.PREDECESSOR
        return Presented.REUSED

    def refreshed(self, *, now: int, idle: int) -> Self:
        """The session after one more refresh: its idle time begins anew, ``expires_at`` stays.

        Args:
            now: the time; a clock that was put back does not make the last refresh younger.
            idle: seconds after which the session ends unless it is refreshed again.
        """
        at = max(now, self.refreshed_at)
        return replace(self, counter=self.counter + 1, refreshed_at=at, ends_at=min(self.expires_at, at + idle))

    def with_token(self, *, now: int, lifetime: int) -> Self:
        """The session after it was given an access token, which never outlives it.

        Args:
            now: the time.
            lifetime: seconds that the token may live.
        """
        expiry = min(now + lifetime, self.ends_at)
        return replace(self, token_expires_at=max(self.token_expires_at, expiry))


@dataclass(frozen=True, slots=True)
class Revocation:
    """The end of a session before its time, for all processes to learn.

    Attributes:
        seq: increases in the order in which revocations were committed.
        session_id: what ended.
        revoked_at: when.
        expires_at: when the last of its access tokens expires, at the latest.
    """

    seq: int
    session_id: str
    revoked_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of an access token (RFC 9068 §2.2), but for ``iss`` and ``aud``, which are the verifier's to know.

    Attributes:
        sub: the user's id.
        username: the user's name for display; the claim that the tutorial's token has.
        scope: what the token covers, separated by spaces.
        sid: the session that it belongs to.
        jti: this token's own id.
        client_id: the client that asked for it.
        iat: when it was minted.
        exp: the first second in which it is no longer valid.
        auth_time: when the user last proved the password.
    """

    sub: str
    username: str
    scope: str
    sid: str
    jti: str
    client_id: str
    iat: int
    exp: int
    auth_time: int

    @property
    def scopes(self) -> Scopes:
        """The scope as a set."""
        return scopes_of(self.scope)


class ClientScope(StrEnum):
    """What a client may be allowed to do; nothing of it is a user's."""

    TOKENS_INTROSPECT = "tokens:introspect"
    TOKENS_REVOKE = "tokens:revoke"
    REVOCATIONS_READ = "revocations:read"
    METRICS_READ = "metrics:read"


@dataclass(frozen=True, slots=True)
class Client:
    """A service that may ask us in its own name: a service account.

    Attributes:
        id: 128 random bits, never reused.
        name: by which people know it, and the user-id of HTTP Basic; unique.
        scope: what it may do, separated by spaces; each a ``ClientScope``.
        secret_digest: SHA-256 of its secret.
        created_at: when it was made.
    """

    id: str
    name: str
    scope: str
    secret_digest: bytes = field(repr=False)
    created_at: int

    @property
    def scopes(self) -> Scopes:
        """The scope as a set."""
        return scopes_of(self.scope)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key as it is stored: public facts, and a private part that only SECRET_KEY opens.

    Attributes:
        kid: the RFC 7638 thumbprint.
        algorithm: the one algorithm that the key is for.
        generation: 1 for the algorithm's first key, and one more for each that follows.
        sealed: the private part, sealed by ``watchword.keys.seal``.
        created_at: when it was made, and published.
        signs_from: when it begins to sign.
        verifies_until: when the last token that it signed has died; None while it is not known when it stops to sign.
    """

    kid: str
    algorithm: str
    generation: int
    sealed: bytes = field(repr=False)
    created_at: int
    signs_from: int
    verifies_until: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether one can reckon with its numbers: SQLite stores any kind of value in any column."""
        numbers = (self.generation, self.signs_from)
        return all(isinstance(number, int) for number in numbers) and isinstance(self.verifies_until, int | None)

    def is_dead(self, *, now: int) -> bool:
        """Whether it verifies nothing any more: all that it may have signed is over, or its row is not sound."""
        return not self.is_sound or (self.verifies_until is not None and now >= self.verifies_until)


def scopes_of(scope: str) -> Scopes:
    """Split a scope string at its spaces (RFC 6749 §3.3); order and repetition mean nothing."""
    return frozenset(scope.split(" ")) - {""}


def scope_from(tokens: Iterable[str]) -> str:
    """Join scope tokens to a scope string, each once and in their order.

    Raises:
        InvalidRequest: one is not a scope-token (RFC 6749 §3.3), or all together are too long.
    """
    unique = tuple(dict.fromkeys(tokens))
    if not all(map(_SCOPE_TOKEN.fullmatch, unique)):
        raise InvalidRequest("scope: must be visible ASCII without spaces, quotes and backslashes, and not empty")
    scope = " ".join(unique)
    if len(scope) > MAX_SCOPE:
        raise InvalidRequest(f"scope: must have at most {MAX_SCOPE} characters in all")
    return scope
