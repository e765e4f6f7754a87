"""POST /oauth/introspect: a token in, what it says out (RFC 7662)."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType
from quart import Response

from watchword.endpoints.answers import ScopeText, Time, answer
from watchword.endpoints.oauth import read_token_form
from watchword.flows import Tools
from watchword.flows.introspect import Refreshable
from watchword.flows.introspect import introspect as judge
from watchword.model import FIRST_PARTY_CLIENT, AccessToken


class Inactive(msgspec.Struct):
    """A token that is good for nothing here; why is not told (RFC 7662 §2.2)."""

    active: Annotated[bool, msgspec.Meta(extra_json_schema={"const": False})]


class Active(msgspec.Struct, kw_only=True):
    """A token that is good.

    Of a refresh token neither ``token_type`` nor ``scope``, ``aud`` and ``jti`` are told: it opens nothing but
    ``/refresh``, and must not be taken for a bearer token by those who look no further than ``active``.
    """

    active: Annotated[bool, msgspec.Meta(extra_json_schema={"const": True})]
    scope: ScopeText | UnsetType = UNSET
    client_id: str
    username: str
    token_type: str | UnsetType = UNSET
    exp: Time
    iat: Time
    sub: str
    aud: str | UnsetType = UNSET
    iss: str
    jti: str | UnsetType = UNSET
    sid: str
    auth_time: Time


async def introspect(tools: Tools) -> Response:
    """Tell a client whether a token is good."""
    client, token = await read_token_form()
    match await judge(tools, client=client, token=token):
        case AccessToken() as claims:
            return answer(_of_access_token(claims, issuer=tools.profile.issuer, audience=tools.profile.audience))
        case Refreshable() as found:
            return answer(_of_refresh_token(found, issuer=tools.profile.issuer))
        case None:
            return answer(Inactive(active=False))


def _of_access_token(claims: AccessToken, *, issuer: str, audience: str | None) -> Active:
    return Active(
        active=True,
        scope=claims.scope,
        client_id=claims.client_id,
        username=claims.username,
        token_type="Bearer",
        exp=claims.exp,
        iat=claims.iat,
        sub=claims.sub,
        aud=UNSET if audience is None else audience,
        iss=issuer,
        jti=claims.jti,
        sid=claims.sid,
        auth_time=claims.auth_time,
    )


def _of_refresh_token(found: Refreshable, *, issuer: str) -> Active:
    session = found.session
    return Active(
        active=True,
        client_id=FIRST_PARTY_CLIENT,
        username=found.user.username,
        exp=session.ends_at,
        iat=session.refreshed_at,
        sub=found.user.id,
        iss=issuer,
        sid=session.id,
        auth_time=session.auth_time,
    )
