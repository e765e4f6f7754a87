"""The route table, walked from outside: who may call what, by which method, and nothing beside it."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import BARE, BASIC, ask, headers_of, oauth_refused, opened, refused
from watchword.endpoints import DOORS, ROUTES, Caller, Route
from watchword.guard.marks import Requirement, requirement_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO")

ANYONE = {
    "POST /login",
    "POST /refresh",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /healthz",
    "GET /readyz",
    "GET /openapi.json",
    "GET /docs",
}
BEARER = {
    "GET /forward-auth",
    "POST /logout",
    "GET /me",
    "GET /sessions",
    "DELETE /sessions/<session_id>",
    "POST /password/change",
}
CLIENT = {"POST /oauth/introspect", "POST /oauth/revoke"}
SERVICE = {"GET /revocations", "GET /metrics"}

TABLE = (*DOORS, *ROUTES)
PATHS = tuple(dict.fromkeys(route.path for route in TABLE))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The routes are the same on any database."""
    return sqlite_url


def address(path: str) -> str:
    """A request's path that the rule matches."""
    return path.replace("<session_id>", "a-session")


def allowed(path: str) -> set[str]:
    """The methods of a path; HEAD is where GET is."""
    methods = {route.method for route in TABLE if route.path == path}
    return methods | ({"HEAD"} if "GET" in methods else set())


def test_every_route_has_a_caller() -> None:
    """The table says of each route who may call it, and it is what this file expects."""
    callers = {Caller.ANYONE: ANYONE, Caller.BEARER: BEARER, Caller.CLIENT: CLIENT, Caller.SERVICE: SERVICE}
    named = {caller: {f"{route.method} {route.path}" for route in TABLE if route.caller is caller} for caller in Caller}
    assert named == callers
    assert len(TABLE) == len({(route.method, route.path) for route in TABLE})


async def test_the_application_has_the_table_and_nothing_else(app: Quart) -> None:
    """No rule of the framework's own, such as static files or automatic OPTIONS, is beside the table, and no door."""
    rules = {(rule.rule, frozenset(rule.methods or ())) for rule in app.url_map.iter_rules()}
    assert rules == {(path, frozenset(allowed(path))) for path in {route.path for route in ROUTES}}


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.path)
async def test_the_guard_stands_where_the_table_says(app: Quart, client: Client, route: Route) -> None:
    """Who has no credentials or bad ones is refused where the table names a caller; anybody's route asks for none."""
    if route in ROUTES:
        expected = Requirement(scopes=frozenset(), optional=False) if route.caller is Caller.BEARER else None
        assert requirement_of(app.view_functions[route.path]) == expected
    challenges = {Caller.BEARER: BARE, Caller.SERVICE: BARE, Caller.CLIENT: BASIC}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic nonsense"}):
        response = await ask(client, route.method, address(route.path), {**form, **headers}, "token=x")
        if route.caller is Caller.ANYONE:
            assert response.status_code not in {401, 403}
        else:
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"].startswith(challenges[route.caller])


@pytest.mark.parametrize("path", PATHS)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, path: str) -> None:
    """Any method that a path does not have, made up or not, is 405 with Allow and our JSON (row 33)."""
    for method in METHODS:
        if method in allowed(path):
            continue
        response = await ask(client, method, address(path), {"X-Canary": "canary"}, "canary")
        allow = response.headers.get("Allow", "")
        if path.startswith("/oauth/"):
            assert await oauth_refused(response, allow=allow) == (405, "invalid_request"), method
        else:
            assert await refused(response, allow=allow) == (405, "method_not_allowed"), method
        assert set(allow.split(", ")) == allowed(path), method
        assert b"canary" not in await response.get_data(), method  # a TRACE would echo the request


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nope",
        "/static/x",
        "/login/",
        "/me/x",
        "/sessions/",
        "/sessions/a/b",
        "/password",
        "/Login",
        "/admin",
        "/docs/",
        "/metrics/",
        "/oauth",
        "/revocations/1",
        "/console",
        "/openapi",
        "/favicon.ico",
        "/.git/config",
        "/.well-known",
        "/.well-known/jwks.json/",
    ],
)
async def test_what_is_not_in_the_table_is_not_there(client: Client, path: str) -> None:
    """Any other path is 404 by any method, without a hint at what is near it (row 97)."""
    for method in ("GET", "POST", "DELETE", "OPTIONS", "FOO"):
        response = await ask(client, method, path)
        assert await refused(response) == (404, "not_found"), method


@pytest.mark.parametrize("path", sorted(path for path in PATHS if "GET" in allowed(path)))
async def test_head_is_get_without_the_body(client: Client, path: str) -> None:
    """HEAD answers with the status and the headers of GET, its own request id excepted (RFC 9110 §9.3.2)."""
    get, head = await client.get(path), await client.head(path)
    assert head.status_code == get.status_code
    assert {name for name, value in set(headers_of(get)) ^ set(headers_of(head))} == {"x-request-id"}


async def test_foreign_origins_are_told_nothing(client: Client) -> None:
    """No answer and no preflight names an origin, so no other site's page may read us (row 97)."""
    for origin in ("https://evil.example", "null", "http://127.0.0.1:8000.evil.example"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert await opened(await client.get("/healthz", headers=headers)) == {"status": "alive"}
        preflight = await client.options("/login", headers=headers)
        assert await refused(preflight, allow="POST") == (405, "method_not_allowed")
