"""Checks an access token with PyJWT and the login service's public keys: pip install 'pyjwt[crypto]' httpx

It cannot know that a session has ended: a token is good until it expires. verify_with_introspection.py knows.

    echo "$TOKEN" | python verify_with_pyjwt.py
"""

from typing import Any

import jwt
from login_service import AUDIENCE, ISSUER, InvalidToken, Unavailable, keys


def verify(token: str) -> dict[str, Any]:
    """The claims of a good token."""
    try:
        key = keys.find(jwt.get_unverified_header(token).get("kid"))
        opened = jwt.decode_complete(
            token,
            jwt.PyJWK(key),
            algorithms=[key["alg"]],  # the key says which, not the token
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["iss", "aud", "exp", "sub"]},
            leeway=5,  # seconds by which two machines' clocks may differ
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken from None
    if opened["header"].get("typ") != "at+jwt":  # something else that the same key has signed (RFC 9068 §4)
        raise InvalidToken
    claims: dict[str, Any] = opened["payload"]
    return claims


if __name__ == "__main__":
    try:
        print(verify(input())["username"])
    except (InvalidToken, Unavailable) as refusal:
        raise SystemExit(type(refusal).__name__) from None
