"""Why an operation was refused: the tree of reasons, in no transport's words.

    WatchwordError
    ├── InvalidRequest          what was sent cannot be read; says where
    │   └── UnsupportedMediaType    it is not labelled as JSON
    ├── InvalidCredentials      name or password wrong, for whatever reason
    ├── TokenRefused            this bearer may not pass
    │   ├── MissingToken            there is no token
    │   ├── InvalidToken            the token is not one of ours, or is over
    │   │   └── UnknownKey              it names a key that we do not have (yet)
    │   ├── InsufficientScope       a good token that does not cover this
    │   └── FreshLoginRequired      a good token whose login is too long ago
    ├── InvalidRefreshToken     never given, exchanged before, or its session is over
    ├── ClientRefused           this client may not ask
    │   ├── InvalidClient           who it says it is, it has not proven
    │   └── UnauthorizedClient      a client that we know, and that lacks a scope
    ├── InvalidUsername         no name in the sense of RFC 8265
    ├── WeakPassword            a rule for new passwords is broken; says which
    ├── UserExists              the name is taken
    ├── UnknownUser             nobody has the name
    ├── ClientExists            another client has the name
    ├── UnknownClient           no client has the name
    ├── UnknownSession          there is no such session, or it is somebody else's
    ├── UnknownSigningKey       there is no such signing key
    ├── RotationRefused         the signing keys must not be changed like this; says why
    ├── UnreadableHash          a stored password hash that no back end can check
    ├── ChainBroken             the audit trail is not as it was written
    ├── TryLater                nothing is wrong with the request
    │   ├── TooManyAttempts         too many guesses at this account, or from this network, have failed
    │   ├── Overloaded              more work is queued than can be done in time
    │   └── Unavailable             the database is away, slow or locked, or its news are too old
    │       ├── Locked                  somebody else writes, and has done for too long
    │       └── Unconfirmed             it went away while it committed
    └── StartRefused            the service must not start like this
        ├── SettingRefused          a setting is missing or wrong; names it
        └── SchemaRefused           the database is behind, ahead or foreign, lacks what we need, or forgets

How a reason looks to a client is decided in one place, ``watchword.problems``.
"""

from collections.abc import Mapping


class WatchwordError(Exception):
    """The root: catch it to catch every refusal of ours."""


class InvalidRequest(WatchwordError):
    """The request cannot be read; the message names the field or the fault, never the value."""


class UnsupportedMediaType(InvalidRequest):
    """The body is not labelled as plain JSON."""


class InvalidCredentials(WatchwordError):
    """Unknown, wrong, disabled, without a password, unreadable: outside they are one.

    Attributes:
        user_id: whose account it is about, where there is one; for the audit trail, never for the client.
    """

    def __init__(self, why: str = "", *, user_id: str = "") -> None:
        super().__init__(why)
        self.user_id = user_id


class TokenRefused(WatchwordError):
    """The bearer may not pass."""


class MissingToken(TokenRefused):
    """No token was presented."""


class InvalidToken(TokenRefused):
    """The token is malformed, forged, expired or meant for somebody else.

    The message is for tests and debuggers; a client never learns which check failed.
    """


class UnknownKey(InvalidToken):
    """The token names a key that is not on the ring. Where keys are fetched, newer ones may be."""


class InsufficientScope(TokenRefused):
    """The token is good and lacks a scope.

    Attributes:
        required: the scopes asked for, separated by spaces (RFC 6749 §3.3).
        user_id: whose token it is.
        session_id: and of which login.
        client_id: whose, where it is a service's.
    """

    def __init__(self, required: str, *, user_id: str = "", session_id: str = "", client_id: str = "") -> None:
        super().__init__(f"needs scope {required}")
        self.required = required
        self.user_id = user_id
        self.session_id = session_id
        self.client_id = client_id


class FreshLoginRequired(TokenRefused):
    """The token is good, and the password was proven too long ago (RFC 9470).

    Attributes:
        max_age: the seconds that may have passed since.
    """

    def __init__(self, max_age: int) -> None:
        super().__init__(f"needs a login within {max_age} s")
        self.max_age = max_age


class InvalidRefreshToken(WatchwordError):
    """Malformed, forged, exchanged before, expired or ended: outside they are one.

    The message is for tests and debuggers; a client never learns which it was.
    """


class ClientRefused(WatchwordError):
    """A client that asks in the manner of OAuth (RFC 6749 §2.3) may not."""


class InvalidClient(ClientRefused):
    """No credentials, an unknown client, a wrong secret: outside they are one."""


class UnauthorizedClient(ClientRefused):
    """The client is who it says, and lacks the scope for this.

    Attributes:
        required: the scope.
        client_id: whose it is not; for the audit trail.
    """

    def __init__(self, required: str, *, client_id: str = "") -> None:
        super().__init__(f"needs scope {required}")
        self.required = required
        self.client_id = client_id


class InvalidUsername(WatchwordError):
    """Not a user name: empty, too long, or with characters that RFC 8265 disallows."""


class WeakPassword(WatchwordError):
    """A new password breaks a rule.

    Args:
        broken: a sentence for each broken rule, by the rule's stable word.

    Attributes:
        reasons: the sentences.
        reason_codes: the words, in the same order.
    """

    def __init__(self, broken: Mapping[str, str]) -> None:
        super().__init__("; ".join(broken.values()))
        self.reasons = tuple(broken.values())
        self.reason_codes = tuple(broken)


class UserExists(WatchwordError):
    """The canonical name is taken."""


class UnknownUser(WatchwordError):
    """Nobody has this name."""


class ClientExists(WatchwordError):
    """Another client has the name."""


class UnknownClient(WatchwordError):
    """No client has this name."""


class UnknownSession(WatchwordError):
    """There is no such session, or it belongs to somebody else."""


class UnknownSigningKey(WatchwordError):
    """There is no signing key with this id."""


class RotationRefused(WatchwordError):
    """The signing keys must not be changed like this; the message tells the operator why, and what to do."""


class UnreadableHash(WatchwordError):
    """A stored password hash of no form that we read, or one beyond what we compute."""


class ChainBroken(WatchwordError):
    """An event of the audit trail was changed, removed, inserted or moved.

    Attributes:
        writer: in whose chain.
        seq: at which place.
        why: what is wrong there.
    """

    def __init__(self, writer: str, seq: int, why: str) -> None:
        super().__init__(f"event {seq} of writer {writer} {why}")
        self.writer = writer
        self.seq = seq
        self.why = why


class TryLater(WatchwordError):
    """Nothing is wrong with the request.

    Attributes:
        retry_after: whole seconds after which another try makes sense, at least 1.
    """

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = max(1, retry_after)


class TooManyAttempts(TryLater):
    """Passwords were guessed too often; whether this one is right was not looked at.

    The message says at what, for our own counting; outside they are one.

    Attributes:
        user_id: at whose account, where that is known; for the audit trail, never for the client.
    """

    user_id = ""


class Overloaded(TryLater):
    """The hash pool has more work than it can finish in time."""


class Unavailable(TryLater):
    """The database is away, slow or locked, or has told nothing for so long that a token cannot be judged."""


class Locked(Unavailable):
    """Another process writes to the SQLite file, and has done for longer than anybody waits."""


class Unconfirmed(Unavailable):
    """The database went away while it committed: all of what was to be written is there, or nothing."""


class StartRefused(WatchwordError):
    """The service must not start like this; the message is the one line to print."""


class SettingRefused(StartRefused):
    """A setting is missing or wrong; the message names it and never holds a secret."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"WATCHWORD_{name}: {reason}")
        self.name = name


class SchemaRefused(StartRefused):
    """The database is not one that this version was written for, or is not reached as it must be."""
