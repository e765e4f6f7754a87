"""The audit trail: the words for what happened, and the chain that shows when somebody has changed what was written.

Each process is a writer of its own, with a random id, and numbers its events from 1. Every event carries a digest over
itself and the digest before it, keyed by SECRET_KEY. Who can only write the database can therefore change, remove,
insert or reorder nothing unseen. Pure: no clock, no I/O. Format and limits are in ``docs/audit.md``.
"""

import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from watchword.errors import ChainBroken
from watchword.root_secret import Use, derived

_encode: Final = msgspec.json.Encoder().encode


class Event(StrEnum):
    """What can happen, in the words of OWASP's Logging Vocabulary where it has one."""

    LOGIN_SUCCESS = "authn_login_success"
    LOGIN_SUCCESS_AFTER_FAIL = "authn_login_successafterfail"
    LOGIN_FAIL = "authn_login_fail"
    LOGIN_FAIL_MAX = "authn_login_fail_max"
    LOGIN_LOCK = "authn_login_lock"
    TOKEN_CREATED = "authn_token_created"
    TOKEN_REVOKED = "authn_token_revoked"
    TOKEN_REUSE = "authn_token_reuse"
    PASSWORD_CHANGE = "authn_password_change"
    PASSWORD_CHANGE_FAIL = "authn_password_change_fail"
    SESSION_LOGOUT = "session_logout"
    RATE_LIMIT_EXCEEDED = "excess_rate_limit_exceeded"
    AUTHZ_FAIL = "authz_fail"
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    CLIENT_CREATED = "client_created"
    CLIENT_REVOKED = "client_revoked"
    SIGNING_KEY_ROTATED = "signing_key_rotated"
    SIGNING_KEY_RETIRED = "signing_key_retired"
    STARTUP = "sys_startup"
    SHUTDOWN = "sys_shutdown"
    COMMAND_ENDED = "sys_command_ended"
    AUDIT_LOST = "sys_audit_lost"


ALARMING: Final = frozenset({Event.TOKEN_REUSE, Event.LOGIN_FAIL_MAX, Event.LOGIN_LOCK, Event.AUDIT_LOST})
"""What the log tells as a warning."""


LAST: Final = frozenset({Event.SHUTDOWN, Event.COMMAND_ENDED})
"""What a process tells behind all else, so that its last events cannot be removed unnoticed."""


class Outcome(StrEnum):
    """How it ended.

    Attributes:
        SUCCESS: it was done.
        FAILURE: it was judged, and not done.
        REFUSED: it was not judged to the end: too much to do, no database, not readable, not allowed.
        ABORTED: whoever asked has left before the end.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"
    ABORTED = "aborted"


class Entry(NamedTuple):
    """One event as it is kept. What is not known, or does not apply, is an empty text.

    Attributes:
        writer: the process that wrote it.
        seq: its place among the writer's events, from 1.
        at: milliseconds since the epoch, UTC.
        event: one of ``Event``.
        outcome: one of ``Outcome``.
        detail: a stable word or a scope; never anything that a stranger typed.
        actor: who did it: ``user``, ``client:<id>``, ``cli``, ``service``.
        user_id: whose account it is about.
        session_id: and which login.
        network: where the request came from, as ``networks.network_of`` writes it.
        request_id: the request, also in the request log.
        digest: over all of this and the digest before.
    """

    writer: str
    seq: int
    at: int
    event: str
    outcome: str
    detail: str
    actor: str
    user_id: str
    session_id: str
    network: str
    request_id: str
    digest: bytes


class Anchor(NamedTuple):
    """What is left of a writer's events that were removed because they were old: where the rest hangs.

    Attributes:
        writer: whose.
        seq: the last event that was removed.
        at: when that had happened, in milliseconds since the epoch.
        digest: its digest.
        mac: over writer, place and digest, so that nobody else can make one.
    """

    writer: str
    seq: int
    at: int
    digest: bytes
    mac: bytes


class Seals:
    """What digests are made and checked with.

    Args:
        secret: the root secret, under which events are sealed.
        fallbacks: its predecessors; what was sealed under them can still be checked.
    """

    def __init__(self, secret: bytes, fallbacks: Sequence[bytes] = ()) -> None:
        self.keys = tuple(_Key(each) for each in (secret, *fallbacks))

    def digest(self, fields: tuple[object, ...], *, previous: bytes) -> bytes:
        """Seal an event: all fields of an ``Entry`` but its digest, behind the event before."""
        return self.keys[0].digest(fields, previous=previous)

    def have_made(self, entry: Entry, *, previous: object) -> bool:
        """Whether an event was sealed under one of the secrets, behind the digest before it."""
        return isinstance(previous, bytes) and any(
            key.fits(entry.digest, entry[:-1], previous=previous) for key in self.keys
        )

    def follow(self, writer: str, *, anchor: Anchor | None = None) -> "Chain":
        """A writer's chain, to be followed from its beginning, or from where old events were removed."""
        return Chain(self.keys, writer, anchor)


class Chain:
    """A writer's events, checked one after the other in their order.

    Attributes:
        writer: whose.
        seq: the last one that was good; 0 for none yet.
        digest: its digest.
    """

    def __init__(self, keys: Sequence["_Key"], writer: str, anchor: Anchor | None) -> None:
        self.writer = writer
        self.seq, self.digest = 0, b""
        self._keys = keys
        self._number = 0
        self.go_on_from(anchor)

    def go_on_from(self, anchor: Anchor | None) -> None:
        """Pass over what was removed because it was old, as far as it has not been checked."""
        # SQLite stores any kind of value in any column, and of the wrong one no MAC can be made.
        if anchor is None or not isinstance(anchor.seq, int) or not isinstance(anchor.digest, bytes):
            return
        fitting = [key for key in self._keys if _is_equal(anchor.mac, key.mac(self.writer, anchor.seq, anchor.digest))]
        if fitting and anchor.seq > self.seq:  # one that none of us made holds nothing: what follows is found loose
            self.seq, self.digest, self._keys = anchor.seq, anchor.digest, fitting

    def check(self, number: int, entry: Entry) -> None:
        """Take the next event.

        Args:
            number: its own in the table, which is in no digest. The database gives them out rising from 1, so that what
                somebody has moved shows: exports are in their order.
            entry: the event.

        Raises:
            ChainBroken: it is not the next one that was written, or is not as it was written.
        """
        if entry.seq != self.seq + 1:
            raise ChainBroken(self.writer, self.seq + 1, "is missing")
        fields = entry[:-1]
        self._keys = [key for key in self._keys if key.fits(entry.digest, fields, previous=self.digest)]
        if not self._keys:
            raise ChainBroken(
                self.writer, entry.seq, "is not as it was written, or was written under a SECRET_KEY that is not given"
            )
        if number <= self._number:
            raise ChainBroken(self.writer, entry.seq, "was moved in the order of the table")
        self.seq, self.digest, self._number = entry.seq, entry.digest, number

    def anchor(self, *, at: int) -> Anchor:
        """What to keep when all events up to here are removed; the last of them happened at a time in milliseconds."""
        return Anchor(self.writer, self.seq, at, self.digest, self._keys[0].mac(self.writer, self.seq, self.digest))


class _Key:
    def __init__(self, secret: bytes) -> None:
        self._events = derived(secret, Use.AUDIT_EVENTS)
        self._anchors = derived(secret, Use.AUDIT_ANCHORS)

    def digest(self, fields: tuple[object, ...], *, previous: bytes) -> bytes:
        return hmac.digest(self._events, previous + _encode(fields), "sha256")

    def fits(self, digest: object, fields: tuple[object, ...], *, previous: bytes) -> bool:
        # SQLite would store bytes where there was text, and JSON would write them as text.
        is_ours = all(isinstance(field, str | int) for field in fields)
        return is_ours and _is_equal(digest, self.digest(fields, previous=previous))

    def mac(self, writer: str, seq: int, digest: bytes) -> bytes:
        return hmac.digest(self._anchors, f"{writer}.{seq}.".encode() + digest, "sha256")


def _is_equal(told: object, computed: bytes) -> bool:
    return isinstance(told, bytes) and hmac.compare_digest(told, computed)
