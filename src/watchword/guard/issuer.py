"""What a login service elsewhere may say, and what of it is believed: addresses, metadata, the feed of ended sessions.

Pure. Laws of this file:

1. An issuer is spoken to over https, or over http on this very machine: who can change its keys on the way owns us.
2. All that it names is at its own origin, character for character, so that no two readers of a URL disagree.
3. What is wrong is ``Trouble``, whose message is for the log and holds nothing that came from outside.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from watchword import strictjson
from watchword.issuers import URL, address
from watchword.loopback import is_loopback
from watchword.model import Revocation

MIN_LIFETIME: Final = 60
MAX_LIFETIME: Final = 600
"""Bounds, in seconds, of what ``max-age`` can make of the time for which keys are not asked for again."""

NO_KEYS: Final = "it publishes no keys; if it signs with HS256, the guard needs keys=KeyRing.from_secret(…)"

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})(?![0-9])", re.ASCII | re.IGNORECASE)
_LONGEST_ID: Final = 256
_TOO_LARGE: Final = 10**18


class Trouble(Exception):
    """The login service is away, or says what must not be believed; the message says which."""


class ServiceTokenRefused(Trouble):
    """The login service does not tell us of ended sessions."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A login service's address.

    Attributes:
        url: the exact ``iss`` of its tokens.
        origin: scheme, host and port.
        path: what follows, without a slash at its end.
    """

    url: str
    origin: str
    path: str

    @classmethod
    def at(cls, url: str) -> Self:
        """Read an issuer's address.

        Raises:
            ValueError: it is not the plain https URL of a service (RFC 8414 §2), nor an http URL of this machine.
        """
        try:
            parts = address(url)
        except ValueError as fault:
            raise ValueError(f"the issuer {fault}") from None
        if parts.scheme == "http" and not is_loopback(parts.host):
            raise ValueError("the issuer must be an https URL; http is for this machine alone, such as 127.0.0.1")
        return cls(url=url, origin=parts.origin, path=parts.path.rstrip("/"))

    @property
    def metadata_url(self) -> str:
        """Where its metadata is: the well-known part stands between host and path (RFC 8414 §3.1)."""
        return f"{self.origin}{_WELL_KNOWN}{self.path}"

    @property
    def revocations_url(self) -> str:
        """Where it tells which sessions have ended."""
        return f"{self.origin}{self.path}/revocations"

    def read_jwks_uri(self, document: bytes) -> str:
        """Where its metadata says that the keys are.

        Raises:
            Trouble: it is not this issuer's metadata (RFC 8414 §3.3), or the keys are somewhere else.
        """
        metadata = _object(document, "the metadata")
        if metadata.get("issuer") != self.url:
            raise Trouble("it answers for another issuer")
        if "jwks_uri" not in metadata:
            raise Trouble(NO_KEYS)
        uri = metadata["jwks_uri"]
        if not isinstance(uri, str) or not uri.startswith(f"{self.origin}/") or not URL.fullmatch(uri):
            raise Trouble("its metadata name no jwks_uri at its own origin")
        return uri


@dataclass(frozen=True, slots=True)
class News:
    """One answer of the feed.

    Attributes:
        seq: everything up to this number has been told.
        more: whether there is more to ask for, after ``seq``.
        now: what the login service's clock showed, seconds since the epoch.
        keys: the fingerprint of the keys that are published now.
        revocations: sessions that have ended.
    """

    seq: int
    more: bool
    now: int
    keys: str
    revocations: tuple[Revocation, ...]


def read_news(document: bytes) -> News:
    """Read an answer of the feed.

    Raises:
        Trouble: a member is missing or of another type.
    """
    news = _object(document, "the feed")
    listed, more, keys = news.get("revocations"), news.get("more"), news.get("keys")
    if not isinstance(listed, list) or not isinstance(more, bool):
        raise Trouble("the feed is none")
    ended = tuple(map(_read_revocation, listed))
    return News(seq=_whole(news, "seq"), more=more, now=_whole(news, "now"), keys=_text(keys), revocations=ended)


def lifetime_of(cache_control: str) -> int:
    """Seconds for which keys need not be asked for again, from their ``Cache-Control``."""
    named = _MAX_AGE.search(cache_control)
    return min(max(int(named[1]), MIN_LIFETIME), MAX_LIFETIME) if named else MAX_LIFETIME


def _read_revocation(entry: Any) -> Revocation:
    if not isinstance(entry, dict):
        raise Trouble("the feed has an entry that is none")
    return Revocation(
        seq=_whole(entry, "seq"),
        session_id=_text(entry.get("sid")),
        revoked_at=_whole(entry, "revoked_at"),
        expires_at=_whole(entry, "expires_at"),
    )


def _object(document: bytes, what: str) -> dict[str, Any]:
    try:
        members = strictjson.loads(document)
    except ValueError as fault:
        raise Trouble(f"{what}: {fault}") from None
    if not isinstance(members, dict):
        raise Trouble(f"{what}: no object")
    return members


def _whole(members: dict[str, Any], name: str) -> int:
    value = members.get(name)
    # Not bool, not float; and none that the service would refuse when it is asked for what comes behind it.
    if type(value) is not int or not 0 <= value < _TOO_LARGE:
        raise Trouble(f"the feed has a {name} that is none")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        raise Trouble("the feed has an id that is none")
    return value
