"""The only place where tokens are born."""

from dataclasses import dataclass, field

from watchword import tokens
from watchword.flows import Tools
from watchword.identifiers import new_id
from watchword.model import FIRST_PARTY_CLIENT, AccessToken, Session, User


@dataclass(frozen=True, slots=True)
class Issued:
    """What a login or a refresh gives.

    Attributes:
        token: the access token, a JWT.
        expires_in: seconds until it expires.
        refresh_token: what the next one is got with.
        refresh_expires_in: seconds until the session ends unless it is refreshed.
    """

    token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


def issue(tools: Tools, *, user: User, session: Session, now: int) -> Issued:
    """Mint the tokens of a session that is stored already, as one ``with_token`` of this lifetime.

    Raises:
        Unavailable: no key signs, until the next is made.
    """
    tools.readiness.expect_a_key()
    lifetime = min(tools.lifetimes.access_token, session.ends_at - now)
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
    return Issued(
        token=tokens.mint(claims, key=tools.ring.signer, profile=tools.profile),
        expires_in=lifetime,
        refresh_token=tools.refresh_keys.mint(session),
        refresh_expires_in=session.ends_at - now,
    )
