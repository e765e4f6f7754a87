"""GET /.well-known/jwks.json: what others need to check our tokens, and nothing that could sign one."""

from dataclasses import replace

from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import headers_of, opened
from watchword import endpoints
from watchword.flows import Tools
from watchword.guard import Guard
from watchword.keys import KeyRing, SigningKey, thumbprint

PATH = "/.well-known/jwks.json"
KEPT = "public, max-age=600"


async def test_the_published_keys_are_the_rings(tools: Tools, client: Client) -> None:
    """The set holds the public members of the key that signs, under its thumbprint (row 94)."""
    members = await opened(await client.get(PATH), cache_control=KEPT, etag=f'"{tools.ring.fingerprint}"')
    (jwk,) = members["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (tools.ring.signer.kid, "ES256", "sig")
    assert thumbprint(jwk) == jwk["kid"]


async def test_a_guard_elsewhere_can_read_them(tools: Tools, client: Client) -> None:
    """The document is what KeyRing.from_jwks takes."""
    document = await (await client.get(PATH)).get_data(as_text=True)
    assert KeyRing.from_jwks(document).find(tools.ring.signer.kid) == tools.ring.signer.verification


async def test_who_has_them_is_not_sent_them_again(tools: Tools, client: Client) -> None:
    """If-None-Match with the set's tag, in any of its forms, is 304 with the headers of 200 and no body."""
    tag = f'"{tools.ring.fingerprint}"'
    for sent in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        response = await client.get(PATH, headers={"If-None-Match": sent})
        assert response.status_code == 304, sent
        assert await response.get_data() == b""
        headers = dict(headers_of(response))
        assert (headers["etag"], headers["cache-control"]) == (tag, KEPT)
        assert len(headers["x-request-id"]) == 22


async def test_a_long_list_of_tags_is_not_looked_through(tools: Tools, client: Client) -> None:
    """Row 28: who sends as many as fit into a head, the set's among them, is sent the set."""
    tag = f'"{tools.ring.fingerprint}"'
    for others, status in ((0, 304), (5_000, 200)):
        response = await client.get(PATH, headers={"If-None-Match": "a," * others + tag})
        assert response.status_code == status


async def test_other_keys_have_another_tag(tools: Tools) -> None:
    """After a rotation the tag that was kept brings the new set."""
    app = Quart("rotating")
    ring = KeyRing([SigningKey.generate("ES256")])
    Guard(app, keys=ring)
    endpoints.mount(app, replace(tools, ring=ring))
    client = app.test_client()
    kept = (await client.get(PATH)).headers["ETag"]
    for sent in ("nonsense", '"', f'"{ring.fingerprint[:-1]}"', f'"x{ring.fingerprint}"', ""):
        assert (await client.get(PATH, headers={"If-None-Match": sent})).status_code == 200, sent
    ring.replace([ring.signer, SigningKey.generate("ES256")])
    members = await opened(
        await client.get(PATH, headers={"If-None-Match": kept}),
        cache_control=KEPT,
        etag=f'"{ring.fingerprint}"',
    )
    assert len(members["keys"]) == 2
