"""GET /.well-known/oauth-authorization-server: what is there, under the issuer's own address, and nothing else."""

from dataclasses import replace

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import opened
from watchword import endpoints
from watchword.endpoints import ROUTES
from watchword.flows import Tools
from watchword.guard import Guard
from watchword.keys import KeyRing, SigningKey
from watchword.settings import Settings
from watchword.tokens import Profile

PATH = "/.well-known/oauth-authorization-server"
KEPT = "public, max-age=600"
KEY = SigningKey.generate("EdDSA")
CLIENT_METHODS = ["client_secret_basic", "client_secret_post"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No database is reached."""
    return sqlite_url


def service(tools: Tools, *, ring: KeyRing, issuer: str = "https://login.example") -> Quart:
    """The routes with other keys, or another name."""
    app = Quart("elsewhere")
    Guard(app, keys=ring)
    endpoints.mount(app, replace(tools, ring=ring, profile=Profile(issuer=issuer, audience=None)))
    return app


async def test_the_issuer_is_the_settings_to_the_letter(settings: Settings, client: Client) -> None:
    """A client compares it with what it expects (RFC 8414 §3.3), so no Host header has a say in it (row 94)."""
    for host in ("127.0.0.1", "evil.example"):
        members = await opened(await client.get(PATH, headers={"Host": host}), cache_control=KEPT)
        assert members["issuer"] == settings.issuer == "http://127.0.0.1:8000"
        assert members["jwks_uri"] == "http://127.0.0.1:8000/.well-known/jwks.json"
        assert members["service_documentation"] == "http://127.0.0.1:8000/docs"
        assert "evil" not in str(members)


async def test_no_grant_is_advertised(client: Client) -> None:
    """A login is no OAuth grant: no grant, and ``password`` least of all, no endpoint of one (row 94)."""
    members = await opened(await client.get(PATH), cache_control=KEPT)
    assert members["grant_types_supported"] == members["response_types_supported"] == []
    assert (
        not {"token_endpoint", "authorization_endpoint", "registration_endpoint", "scopes_supported"} & members.keys()
    )


async def test_what_is_not_there_is_not_named(tools: Tools) -> None:
    """Each address is named where the application answers it, and only there."""
    app = service(tools, ring=KeyRing([KEY]))
    mounted = {route.path for route in ROUTES}
    for name in ("introspection", "revocation"):
        path = {"introspection": "/oauth/introspect", "revocation": "/oauth/revoke"}[name]
        members = await opened(await app.test_client().get(PATH), cache_control=KEPT)
        assert (f"{name}_endpoint" in members) == (path in mounted)
        if path not in mounted:
            app.add_url_rule(path, path, lambda: "", methods=["POST"])
        members = await opened(await app.test_client().get(PATH), cache_control=KEPT)
        assert members[f"{name}_endpoint"] == f"https://login.example{path}"
        assert members[f"{name}_endpoint_auth_methods_supported"] == CLIENT_METHODS


@pytest.mark.parametrize(
    ("issuer", "jwks_uri"),
    [
        ("https://login.example", "https://login.example/.well-known/jwks.json"),
        ("https://login.example/", "https://login.example/.well-known/jwks.json"),
        ("https://example.com:8443/auth", "https://example.com:8443/auth/.well-known/jwks.json"),
    ],
)
async def test_addresses_are_below_the_issuer(tools: Tools, issuer: str, jwks_uri: str) -> None:
    """An issuer with a path has its keys below that path, and itself stays as it was written."""
    app = service(tools, ring=KeyRing([KEY]), issuer=issuer)
    members = await opened(await app.test_client().get(PATH), cache_control=KEPT)
    assert (members["issuer"], members["jwks_uri"]) == (issuer, jwks_uri)


async def test_without_public_keys_there_is_no_address_of_them(tools: Tools) -> None:
    """Under HS256 nothing is published that could verify, let alone the secret (row 94)."""
    secret = SigningKey.from_secret(b"s" * 32)
    app = service(tools, ring=KeyRing([secret]))
    client = app.test_client()
    assert "jwks_uri" not in await opened(await client.get(PATH), cache_control=KEPT)
    keys = await (await client.get("/.well-known/jwks.json")).get_json()
    assert keys == {"keys": []}
    after_a_change = service(tools, ring=KeyRing([KEY, secret]))  # old tokens are still about
    assert "jwks_uri" in await opened(await after_a_change.test_client().get(PATH), cache_control=KEPT)
