"""GET /.well-known/jwks.json: what others need to check our tokens, and nothing that could sign one."""

from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import opened
from watchword.flows import Tools
from watchword.keys import KeyRing, thumbprint


async def test_the_published_keys_are_the_rings(tools: Tools, client: Client) -> None:
    """The set holds the public members of the key that signs, under its thumbprint (row 94)."""
    members = await opened(await client.get("/.well-known/jwks.json"), cache_control="public, max-age=600")
    (jwk,) = members["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (tools.ring.signer.kid, "ES256", "sig")
    assert thumbprint(jwk) == jwk["kid"]


async def test_a_guard_elsewhere_can_read_them(tools: Tools, client: Client) -> None:
    """The document is what KeyRing.from_jwks takes."""
    document = await (await client.get("/.well-known/jwks.json")).get_data(as_text=True)
    assert KeyRing.from_jwks(document).find(tools.ring.signer.kid) == tools.ring.signer.verification
