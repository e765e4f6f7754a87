"""GET /openapi.json: the description is OpenAPI, whole, and true of the route table; its examples fit it."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import COMMON, check, headers_of, opened
from tests.endpoints.description import Described
from tests.endpoints.services import a_service, basic, send
from watchword import __version__, endpoints
from watchword.endpoints import DOORS, ROUTES, Caller
from watchword.endpoints.openapi import document
from watchword.endpoints.openapi.operations import CHAPTERS, OPERATIONS
from watchword.flows import Tools
from watchword.guard import Guard
from watchword.passwords import PasswordRules
from watchword.tokens import Profile

TABLE = (*DOORS, *ROUTES)
ISSUER = "https://login.example.com"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No database is reached."""
    return sqlite_url


@pytest.fixture(scope="session")
def described() -> Described:
    """The description of a service."""
    return Described(document(issuer=ISSUER, password_min_length=15))


def test_it_is_openapi(described: Described) -> None:
    """The document is valid OpenAPI 3.1, schemas and examples included."""
    OpenAPIV31SpecValidator(described.members).validate()
    assert described.members["openapi"] == "3.1.0"
    assert described.members["info"]["version"] == __version__


def test_every_route_is_described_and_nothing_else(described: Described) -> None:
    """The description has the rows of the route table, doors included, and no others."""
    routes = {f"{route.method} {route.path}" for route in TABLE}
    assert OPERATIONS.keys() == described.routes() == routes


def test_who_may_call_is_as_in_the_route_table(described: Described) -> None:
    """A route asks for the proof that its row says, and for none where anybody may call."""
    for route in TABLE:
        security = described.operation(f"{route.method} {route.path}")["security"]
        assert bool(security) == (route.caller is not Caller.ANYONE), route.path
        if security:
            assert security == [{route.caller.name.lower(): []}]
    schemes = described.members["components"]["securitySchemes"]
    used = {name for route in described.routes() for each in described.operation(route)["security"] for name in each}
    assert used == schemes.keys()


def test_every_example_fits_its_schema(described: Described) -> None:
    """What is shown could have been sent: each body, answer and parameter of the description."""
    for route in described.routes():
        operation = described.operation(route)
        for parameter in operation["parameters"]:
            described.check(parameter["schema"], parameter["example"])
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            described.check(content["schema"], content["example"])
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                assert content["examples"]
                for example in content["examples"].values():
                    described.check(content["schema"], example["value"])


def test_every_operation_is_told_in_words(described: Described) -> None:
    """Each has a name of its own, a chapter, a summary and a description."""
    operations = [described.operation(route) for route in described.routes()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["description"].endswith((".", "?"))
        (chapter,) = operation["tags"]
        assert chapter in CHAPTERS
    assert {tag["name"] for tag in described.members["tags"]} == {operation["tags"][0] for operation in operations}


def test_what_is_asked_for_is_strict(described: Described) -> None:
    """Schemas have the bounds that are enforced; an answer has no member that is not named, a request may."""
    schemas = described.members["components"]["schemas"]
    assert schemas["Credentials"]["required"] == ["username", "password"]
    assert schemas["Credentials"]["properties"]["username"]["minLength"] == 1
    assert schemas["Credentials"]["properties"]["password"]["maxLength"] == 1024
    assert schemas["Passwords"]["properties"]["new_password"]["minLength"] == 15
    sent = {"Credentials", "RefreshRequest", "Passwords", "TokenForm"}
    closed = {name for name, schema in schemas.items() if schema.get("additionalProperties") is False}
    assert closed == schemas.keys() - sent - {"Anything"}


@pytest.mark.parametrize(
    ("body", "is_taken"),
    [
        ({"username": "a", "password": "x"}, True),
        ({"username": "a", "password": "x" * 1024}, True),
        ({"username": "a", "password": "x", "more": [{"of": ["this", 1, None, 0.5]}]}, True),
        ({"username": "a"}, False),
        ({"username": "", "password": "x"}, False),
        ({"username": "a", "password": 1}, False),
        ({"username": "a", "password": "x\x00"}, False),
        ({"username": "a", "password": "x" * 1025}, False),
        ({"username": "a", "password": "x", "more": [{"of": "\x00"}]}, False),
        ({"username": "a", "password": "x", "\x00": 1}, False),
    ],
)
async def test_a_body_is_read_where_the_schema_says_so(
    described: Described, client: Client, body: dict[str, Any], is_taken: bool
) -> None:
    """What the schema of a login takes is read, and what it does not take is 400."""
    fault = next(described.faults({"$ref": "#/components/schemas/Credentials"}, body), None)
    assert (fault is None) is is_taken
    assert (await client.post("/login", json=body)).status_code == (401 if is_taken else 400)


@pytest.mark.parametrize(
    ("form", "is_taken"),
    [
        ({"token": "x"}, True),
        ({"token": "\x00"}, True),
        ({"token": "x", "more": "\x00"}, True),
        ({"token": ""}, False),
        ({"more": "x"}, False),
        ({"token": "x", "more": ["a", "b"]}, False),
    ],
)
async def test_a_form_is_read_where_the_schema_says_so(
    described: Described, tools: Tools, client: Client, form: dict[str, Any], is_taken: bool
) -> None:
    """What the schema of a form takes is read, and what it does not take, a list for one, is 400."""
    fault = next(described.faults({"$ref": "#/components/schemas/TokenForm"}, form), None)
    assert (fault is None) is is_taken
    headers = basic("reports", await a_service(tools, "tokens:introspect"))
    response = await send(client, "/oauth/introspect", headers, urlencode(form, doseq=True))
    assert response.status_code == (200 if is_taken else 400)


async def test_the_service_answers_it(client: Client) -> None:
    """It is answered like everything else, and names the service's own address and shortest password."""
    members = await opened(await client.get("/openapi.json"))
    assert members == json.loads(document(issuer="http://127.0.0.1:8000", password_min_length=15))
    assert members["servers"] == [{"url": "http://127.0.0.1:8000"}]


async def test_it_speaks_of_the_settings(tools: Tools) -> None:
    """An issuer with a path, and another shortest password, are in it."""
    profile = Profile(issuer="https://example.com/auth/", audience=None)
    app = Quart("elsewhere")
    Guard(app, keys=tools.ring)
    endpoints.mount(app, replace(tools, profile=profile, password_rules=PasswordRules(min_length=8)))
    members = await opened(await app.test_client().get("/openapi.json"))
    assert members["servers"] == [{"url": "https://example.com/auth"}]
    assert members["components"]["schemas"]["Passwords"]["properties"]["new_password"]["minLength"] == 8


async def test_the_page_is_answered_with_a_policy_of_its_own(client: Client) -> None:
    """HTML, with the common headers but for a policy that lets in one style sheet and nothing from elsewhere."""
    response = await client.get("/docs")
    headers = dict(headers_of(response))
    policy = headers["content-security-policy"]
    assert "default-src 'none'; style-src 'sha256-" in policy
    assert not {"unsafe-inline", "http:", "https:", "*", "'self'"} & set(policy.replace(";", " ").split())
    expected = {**COMMON, "content-type": "text/html; charset=utf-8", "content-security-policy": policy}
    check(headers, expected, await response.get_data())  # type: ignore[arg-type]


async def test_both_can_be_switched_off(tools: Tools) -> None:
    """With the setting off neither is there, nor named in the metadata; the rest is as it was."""
    app = Quart("silent")
    Guard(app, keys=tools.ring)
    endpoints.mount(app, tools, api_docs=False)
    client = app.test_client()
    for path in ("/openapi.json", "/docs"):
        assert (await client.get(path)).status_code == 404
        assert (await client.post(path)).status_code == 404
    metadata = await (await client.get("/.well-known/oauth-authorization-server")).get_json()
    assert "service_documentation" not in metadata
    assert (await client.get("/healthz")).status_code == 200
