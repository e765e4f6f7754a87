"""Checks an access token with joserfc and the login service's public keys: pip install joserfc httpx

It cannot know that a session has ended: a token is good until it expires. verify_with_introspection.py knows.

    echo "$TOKEN" | python verify_with_joserfc.py
"""

from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from login_service import AUDIENCE, ISSUER, InvalidToken, Unavailable, keys

CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
    leeway=5,  # seconds by which two machines' clocks may differ
)


def verify(token: str) -> dict[str, Any]:
    """The claims of a good token."""
    try:
        key = keys.find(jws.extract_compact(token.encode()).headers().get("kid"))
        opened = jwt.decode(token, import_key(key), algorithms=[key["alg"]])  # the key says which, not the token
        CLAIMS.validate(opened.claims)
    except (JoseError, TypeError, ValueError, RecursionError):
        raise InvalidToken from None
    if opened.header.get("typ") != "at+jwt":  # something else that the same key has signed (RFC 9068 §4)
        raise InvalidToken
    return opened.claims


if __name__ == "__main__":
    try:
        print(verify(input())["username"])
    except (InvalidToken, Unavailable) as refusal:
        raise SystemExit(type(refusal).__name__) from None
