"""Mint and verify access tokens: JWTs after RFC 9068, signed by a ring of keys. Pure: no clock, no I/O, no framework.

Laws of this file:
1. Length and form come before any decoding, the signature before any claim.
2. The header chooses among the caller's keys and nothing else: no key, no address, no algorithm comes from a token.
3. Every claim has one type and is compared by us; a library's leniency is not ours.
4. Whatever is wrong, the refusal is the same ``InvalidToken``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from watchword import strictjson
from watchword.base64url import b64decode, b64encode
from watchword.errors import InvalidToken, UnknownKey
from watchword.keys import SigningKey, VerificationKey
from watchword.model import AccessToken

TYPE: Final = "at+jwt"
MAX_LENGTH: Final = 4096
"""Characters of a token; ours have some 600. Checked first, as everything after costs time in proportion."""
MAX_SESSION_ID: Final = 200
"""Characters of a ``sid``. Ours have 22, but who shares our secret under HS256 may sign any. Its end must be remembered
and told: PostgreSQL's index takes some 2,700 bytes, and no guard elsewhere believes news with an id of 257 characters.
"""
MAX_LIFETIME: Final = 86_400
"""Seconds from ``iat`` to ``exp`` beyond which even a well-signed token is refused."""
CLOCK_SKEW: Final = 30
"""Seconds that the minter's clock may run ahead of ours. ``exp`` has no leeway."""

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)", re.ASCII)
_TYPES: Final = (TYPE, f"application/{TYPE}")  # no set, which cannot be asked for a list

_TEXT_CLAIMS: Final = ("sub", "username", "sid", "jti", "client_id")
_TIME_CLAIMS: Final = ("iat", "exp", "auth_time")
_CLAIMS: Final = tuple(each.name for each in fields(AccessToken))

KeyFinder = Callable[[str], VerificationKey | None]


@dataclass(frozen=True, slots=True)
class Profile:
    """Whom tokens are from and for.

    Attributes:
        issuer: the exact ``iss``.
        audience: the exact ``aud``; None where tokens name no audience, as under HS256, because the tutorial's
            ``jwt.decode(token, SECRET_KEY, algorithms=["HS256"])`` refuses a token that names one.
    """

    issuer: str
    audience: str | None


def mint(token: AccessToken, *, key: SigningKey, profile: Profile) -> str:
    """Sign a token's claims.

    Returns:
        The JWS in compact form (RFC 7515 §7.1).
    """
    claims: dict[str, Any] = {"iss": profile.issuer, "aud": profile.audience} | {
        name: getattr(token, name) for name in _CLAIMS
    }
    if profile.audience is None:
        del claims["aud"]
    header = {"alg": key.algorithm, "kid": key.kid, "typ": TYPE}
    message = f"{_encode(header)}.{_encode(claims)}"
    return f"{message}.{b64encode(key.sign(message.encode()))}"


def verify(text: str, *, find_key: KeyFinder, profile: Profile, now: int) -> AccessToken:
    """Check everything about an access token that needs no memory (RFC 9068 §4).

    Args:
        text: what stood after ``Bearer``.
        find_key: the ring's ``find``.
        profile: the issuer and audience to insist on.
        now: the time, in seconds since the epoch.

    Raises:
        InvalidToken: any check failed.
    """
    header, payload = open_jws(text, find_key=find_key)
    if header.get("typ") not in _TYPES:
        raise InvalidToken("typ")  # a refresh or any other kind of token is no access token (RFC 8725 §3.11)
    return _read_claims(_parse(payload, "claims"), profile=profile, now=now)


def open_jws(text: str, *, find_key: KeyFinder) -> tuple[dict[str, Any], bytes]:
    """Check form and signature of a compact JWS (RFC 7515 §5.2).

    Returns:
        The header and the payload's bytes.

    Raises:
        InvalidToken: malformed, of an unknown key, of another algorithm than the key's, or with a wrong signature.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidToken("length")
    segments = _COMPACT.fullmatch(text)
    if segments is None:
        raise InvalidToken("form")
    try:
        header_bytes, payload, signature = (b64decode(segment) for segment in segments.groups())
    except ValueError:
        raise InvalidToken("base64url") from None
    header = _parse(header_bytes, "header")
    if "crit" in header or "b64" in header:
        raise InvalidToken("crit")  # we know no extension (RFC 7515 §4.1.11, RFC 7797 §6)
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidToken("kid")
    key = find_key(kid)
    if key is None:
        raise UnknownKey("kid")
    if header.get("alg") != key.algorithm:
        raise InvalidToken("alg")
    key.verify(text[: segments.end(2)].encode("ascii"), signature)
    return header, payload


def _read_claims(claims: dict[str, Any], *, profile: Profile, now: int) -> AccessToken:
    if claims.get("iss") != profile.issuer:
        raise InvalidToken("iss")
    if claims.get("aud") != profile.audience or ("aud" in claims and profile.audience is None):
        raise InvalidToken("aud")
    texts = {name: claims.get(name) for name in _TEXT_CLAIMS}
    for name, value in texts.items():
        if type(value) is not str or not value:
            raise InvalidToken(name)
    if len(claims["sid"]) > MAX_SESSION_ID:
        raise InvalidToken("sid")
    scope = claims.get("scope")
    if type(scope) is not str:
        raise InvalidToken("scope")
    times = {name: claims.get(name) for name in _TIME_CLAIMS}
    for name, value in (*times.items(), ("nbf", claims.get("nbf", 0))):
        if type(value) is not int or value < 0:  # not bool, not float, not "1795…"
            raise InvalidToken(name)
    token = AccessToken(scope=scope, **texts, **times)  # type: ignore[arg-type]  # the loops above made sure
    if token.exp <= now or token.exp - token.iat > MAX_LIFETIME:
        raise InvalidToken("exp")
    if max(token.iat, token.auth_time, claims.get("nbf", 0)) > now + CLOCK_SKEW:
        raise InvalidToken("iat")
    return token


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        members = strictjson.loads(data)
    except ValueError:
        raise InvalidToken(what) from None
    if not isinstance(members, dict):
        raise InvalidToken(what)
    return members


def _encode(members: dict[str, Any]) -> str:
    import msgspec  # only who mints needs it; a guard in another application loads little

    return b64encode(msgspec.json.encode(members))
