"""GET /forward-auth: the guard's answer for proxies, without Quart and without the database."""

from dataclasses import replace

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import add_user
from tests.endpoints.conftest import LogIn
from tests.endpoints.contract import BARE, INVALID, ask, refused
from watchword import tokens
from watchword.flows import Tools


async def test_a_token_is_told_in_headers(tools: Tools, client: Client, log_in: LogIn) -> None:
    """Whose the token is comes in three headers, with no body, and with the headers that every answer has."""
    alice = await add_user(tools, "Alice", scope="reports:read reports:write")
    response = await client.get("/forward-auth", headers={"Authorization": f"Bearer {await log_in()}"})
    assert response.status_code == 200
    assert await response.get_data() == b""
    told = {name: response.headers[f"X-Auth-{name}"] for name in ("User", "Subject", "Scope")}
    assert told == {"User": "Alice", "Subject": alice.id, "Scope": "reports:read reports:write"}
    assert response.headers["Cache-Control"] == "no-store"
    assert len(response.headers["X-Request-Id"]) == 22


async def test_a_name_of_any_script_is_safe_in_a_header(tools: Tools, client: Client, log_in: LogIn) -> None:
    """What is not visible ASCII, and the percent sign, is percent-encoded."""
    await add_user(tools, "Zoë%")
    response = await client.get("/forward-auth", headers={"Authorization": f"Bearer {await log_in('zoë%')}"})
    assert response.headers["X-Auth-User"] == "Zo%C3%AB%25"


async def test_whatever_is_signed_is_safe_in_a_header(tools: Tools, client: Client, log_in: LogIn) -> None:
    """Who shares a secret with us may sign a subject or a scope that no header carries: it forges none, and no scope
    either, for a blank of another kind parts none."""
    await add_user(tools)
    known = tokens.verify(await log_in(), find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
    odd = replace(known, sub="a\r\nX-Auth-User: root", scope="a\r\nb\xa0c  d%")
    signed = tokens.mint(odd, key=tools.ring.signer, profile=tools.profile)
    response = await client.get("/forward-auth", headers={"Authorization": f"Bearer {signed}"})
    told = {name: response.headers.getlist(f"X-Auth-{name}") for name in ("User", "Subject", "Scope")}
    assert told == {"User": ["alice"], "Subject": ["a%0D%0AX-Auth-User:%20root"], "Scope": ["a%0D%0Ab%C2%A0c d%25"]}


async def test_without_a_valid_token_it_refuses_as_the_guard_does(client: Client) -> None:
    """No token and a bad one get the challenges of RFC 6750 and tell nothing."""
    for headers, challenge in (({}, BARE), ({"Authorization": "Bearer x"}, INVALID)):
        response = await client.get("/forward-auth", headers=headers)
        status, _ = await refused(response, www_authenticate=challenge)
        assert status == 401
        assert "X-Auth-User" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_not_allowed(client: Client, method: str) -> None:
    """405 with Allow, as everywhere."""
    response = await ask(client, method, "/forward-auth")
    assert await refused(response, allow="GET, HEAD") == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["//forward-auth", "/forward-auth/", "/forward%2Dauth", "/FORWARD-AUTH"])
async def test_no_other_spelling_is_there(client: Client, path: str) -> None:
    """A path has one spelling."""
    raw = {"raw_path": path.encode()}
    assert await refused(await client.get("/forward-auth", scope_base={"path": path, **raw})) == (404, "not_found")


async def test_a_body_with_two_ends_is_refused_and_the_connection_closed(client: Client) -> None:
    """Content-Length beside Transfer-Encoding (row 30): a proxy may have seen another end of the request."""
    response = await client.get("/healthz", headers={"Content-Length": "2", "Transfer-Encoding": "chunked"})
    assert await refused(response, connection="close") == (400, "invalid_request")
