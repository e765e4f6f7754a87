"""GET /.well-known/oauth-authorization-server: where our parts are, for programs (RFC 8414).

It advertises what is there and nothing else: a login is no OAuth grant, so there is neither an authorization nor a
token endpoint, and what this application does not answer is not named.
"""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from quart import Response, current_app

from watchword.endpoints.answers import answer
from watchword.endpoints.jwks import KEPT
from watchword.endpoints.jwks import PATH as KEYS
from watchword.flows import Tools

_INTROSPECTION: Final = "/oauth/introspect"
_REVOCATION: Final = "/oauth/revoke"
_PAGE: Final = "/docs"


class Metadata(msgspec.Struct, kw_only=True):
    """The members of RFC 8414 §2 and RFC 7662 that are true of us."""

    issuer: str
    jwks_uri: str | UnsetType = UNSET
    response_types_supported: list[str]
    grant_types_supported: list[str]
    introspection_endpoint: str | UnsetType = UNSET
    introspection_endpoint_auth_methods_supported: list[str] | UnsetType = UNSET
    revocation_endpoint: str | UnsetType = UNSET
    revocation_endpoint_auth_methods_supported: list[str] | UnsetType = UNSET
    service_documentation: str | UnsetType = UNSET


async def metadata(tools: Tools) -> Response:
    """Tell what there is and where, under the issuer's address and never under the one that was asked for."""
    there = {rule.rule for rule in current_app.url_map.iter_rules()}
    if not tools.ring.jwks()["keys"]:
        there.discard(KEYS)  # under HS256 there is nothing to publish
    told = _metadata(tools.profile.issuer, there=there)
    return answer(told, headers={"Cache-Control": KEPT})


def _metadata(issuer: str, *, there: set[str]) -> Metadata:
    def address(path: str) -> str | UnsetType:
        return f"{issuer.rstrip('/')}{path}" if path in there else UNSET

    def methods(path: str) -> list[str] | UnsetType:
        return ["client_secret_basic", "client_secret_post"] if path in there else UNSET

    return Metadata(
        issuer=issuer,
        jwks_uri=address(KEYS),
        # Empty and not left out: without the second, a reader must take us for a server of two grants (RFC 8414 §2).
        response_types_supported=[],
        grant_types_supported=[],
        introspection_endpoint=address(_INTROSPECTION),
        introspection_endpoint_auth_methods_supported=methods(_INTROSPECTION),
        revocation_endpoint=address(_REVOCATION),
        revocation_endpoint_auth_methods_supported=methods(_REVOCATION),
        service_documentation=address(_PAGE),
    )
