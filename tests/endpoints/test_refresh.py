"""POST /refresh: the token answer again, or one refusal for every reason."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, add_user
from tests.endpoints.contract import BARE, opened, refused
from watchword.flows import Tools


async def log_in(client: Client) -> dict[str, Any]:
    """The token answer of a login."""
    response = await client.post("/login", json={"username": "alice", "password": PASSWORD})
    members: dict[str, Any] = await opened(response, pragma="no-cache")
    return members


async def refresh(client: Client, token: object, **more: object) -> Any:
    """Ask for new tokens."""
    return await client.post("/refresh", json={"refresh_token": token, **more})


async def test_the_answer_is_that_of_a_login(tools: Tools, client: Client, clock: FakeClock) -> None:
    """The same members in the same order; both new tokens work."""
    await add_user(tools)
    first = await log_in(client)
    clock.advance(5)
    second = await opened(await refresh(client, first["refresh_token"]), pragma="no-cache")
    assert list(second) == list(first) == ["token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"]
    assert (second["token_type"], second["expires_in"], second["refresh_expires_in"]) == ("Bearer", 900, 604_800)
    assert second["token"] != first["token"]
    assert (await client.get("/me", headers={"Authorization": f"Bearer {second['token']}"})).status_code == 200
    third = await opened(await refresh(client, second["refresh_token"]), pragma="no-cache")
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3


async def test_every_refusal_is_the_same(tools: Tools, client: Client, clock: FakeClock) -> None:
    """Malformed, unknown, an access token, reused, expired: one status, one code, the bare challenge."""
    await add_user(tools)
    given = await log_in(client)
    used = given["refresh_token"]
    newer = (await opened(await refresh(client, used), pragma="no-cache"))["refresh_token"]
    unknown = f"wwr_{'A' * 22}.0.{'A' * 43}"
    for token in ("x", unknown, given["token"], "." * 15_000):
        assert await refused(await refresh(client, token), www_authenticate=BARE) == (401, "invalid_refresh_token")
    clock.advance(10)
    for token in (used, newer):
        assert await refused(await refresh(client, token), www_authenticate=BARE) == (401, "invalid_refresh_token")


async def test_a_refresh_token_is_no_access_token(tools: Tools, client: Client) -> None:
    """Row 57: neither passes for the other, and nothing is used up by trying."""
    await add_user(tools)
    given = await log_in(client)
    response = await client.get("/me", headers={"Authorization": f"Bearer {given['refresh_token']}"})
    assert await refused(response, www_authenticate=f'{BARE}, error="invalid_token"') == (401, "invalid_token")
    assert (await refresh(client, given["refresh_token"])).status_code == 200


async def test_more_than_was_given_is_not_given(tools: Tools, client: Client) -> None:
    """Row 78: a scope or an audience beside the token is passed over."""
    await add_user(tools, scope="reports:read")
    given = await log_in(client)
    response = await refresh(client, given["refresh_token"], scope="admin", audience="everybody")
    token = (await opened(response, pragma="no-cache"))["token"]
    me = await opened(await client.get("/me", headers={"Authorization": f"Bearer {token}"}))
    assert me["scope"] == "reports:read"


@pytest.mark.parametrize("token", [None, 1, "", ["x"], {}, "a\x00", True])
async def test_a_token_that_is_no_text_is_a_bad_request(client: Client, token: object) -> None:
    """As with every body."""
    assert await refused(await refresh(client, token)) == (400, "invalid_request")
