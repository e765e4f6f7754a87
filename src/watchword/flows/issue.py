"""The only place where a token is born."""

from dataclasses import dataclass, field

from watchword import tokens
from watchword.flows import Tools
from watchword.identifiers import new_id
from watchword.model import FIRST_PARTY_CLIENT, AccessToken, Session, User


@dataclass(frozen=True, slots=True)
class Issued:
    """What a successful login gives.

    Attributes:
        token: the access token, a JWT.
        expires_in: seconds until it expires.
    """

    token: str = field(repr=False)
    expires_in: int


def issue(tools: Tools, *, user: User, session: Session, now: int) -> Issued:
    """Mint an access token for a session that is stored already."""
    lifetime = min(tools.lifetimes.access_token, session.expires_at - now)
    claims = AccessToken(
        sub=user.id,
        username=user.username,
        scope=user.scope,
        sid=session.id,
        jti=new_id(),
        client_id=FIRST_PARTY_CLIENT,
        iat=now,
        exp=now + lifetime,
        auth_time=session.auth_time,
    )
    return Issued(token=tokens.mint(claims, key=tools.ring.signer, profile=tools.profile), expires_in=lifetime)
