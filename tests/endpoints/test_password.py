"""POST /password/change: the present password is proven, the other sessions end, and every attempt counts."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, add_user, an_asker
from tests.endpoints.contract import BARE, opened, refused
from watchword.flows import Tools, admin

ANOTHER = "another long password"


async def log_in(client: Client, password: str = PASSWORD) -> dict[str, Any]:
    """The token answer of a login."""
    response = await client.post("/login", json={"username": "alice", "password": password})
    members: dict[str, Any] = await response.get_json()
    return members


async def change(client: Client, given: dict[str, Any], current: object = PASSWORD, new: object = ANOTHER) -> Any:
    """Ask for another password."""
    headers = {"Authorization": f"Bearer {given['token']}"}
    return await client.post(
        "/password/change", json={"current_password": current, "new_password": new}, headers=headers
    )


async def status(client: Client, given: dict[str, Any]) -> tuple[int, int]:
    """What an access token and a refresh token get."""
    me = await client.get("/me", headers={"Authorization": f"Bearer {given['token']}"})
    refreshed = await client.post("/refresh", json={"refresh_token": given["refresh_token"]})
    return me.status_code, refreshed.status_code


async def test_the_new_password_is_the_one_and_the_other_sessions_end(tools: Tools, client: Client) -> None:
    """Row 63: the old one logs in no more, this session and its refresh token go on, the others are refused."""
    await add_user(tools)
    this, other = await log_in(client), await log_in(client)
    response = await change(client, this)
    assert (response.status_code, await response.get_data()) == (204, b"")
    assert await status(client, this) == (200, 200)
    assert await status(client, other) == (401, 401)
    assert (await log_in(client))["code"] == "invalid_credentials"
    assert "token" in await log_in(client, ANOTHER)


async def test_without_the_present_password_nothing_changes(tools: Tools, client: Client) -> None:
    """A stolen token alone changes no password and ends no session."""
    await add_user(tools)
    this, other = await log_in(client), await log_in(client)
    response = await change(client, this, current="not the password")
    assert await refused(response, www_authenticate=BARE) == (401, "invalid_credentials")
    assert await status(client, this) == await status(client, other) == (200, 200)
    assert "token" in await log_in(client)


async def test_a_weak_password_is_told_why(tools: Tools, client: Client) -> None:
    """422 with the reasons, before anything is proven: the present password may be wrong."""
    await add_user(tools)
    given = await log_in(client)
    response = await change(client, given, current="not the password", new="too short")
    assert response.status_code == 422
    members = await opened(response)
    assert list(members) == ["error", "code", "reasons", "reason_codes", "request_id"]
    assert members["code"] == "weak_password"
    assert members["reasons"] == ["The password must have at least 15 characters, this one has 9"]
    assert members["reason_codes"] == ["too_short"]
    assert "too short" not in str(members)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("password12345678", ["too_common"]),
        ("my watchword 1870", ["contains_service_name"]),
        ("Alice & 39 ducks!", ["contains_username"]),
        ("alicealicealice1", ["contains_username", "too_common"]),
    ],
)
async def test_a_guessable_password_is_told_why(tools: Tools, client: Client, new: str, words: list[str]) -> None:
    """Row 14: one status and code for all of them, and a stable word beside each sentence; nothing is repeated."""
    await add_user(tools)
    response = await change(client, await log_in(client), new=new)
    assert response.status_code == 422
    members = await opened(response)
    assert (members["code"], members["reason_codes"]) == ("weak_password", words)
    assert len(members["reasons"]) == len(words)
    assert new not in str(members)
    assert "token" in await log_in(client)


@pytest.mark.parametrize("value", ["", None, 1, ["x"], "a\x00b", "x" * 1025])
async def test_what_is_no_password_is_a_bad_request(tools: Tools, client: Client, value: object) -> None:
    """Either of them."""
    await add_user(tools)
    given = await log_in(client)
    assert await refused(await change(client, given, current=value)) == (400, "invalid_request")
    assert await refused(await change(client, given, new=value)) == (400, "invalid_request")


@pytest.mark.parametrize("reason", ["disabled", "deleted"])
async def test_who_is_locked_out_changes_nothing(tools: Tools, client: Client, reason: str) -> None:
    """Also in the moment in which the token still passes."""
    await add_user(tools)
    given = await log_in(client)
    if reason == "disabled":
        await admin.disable_user(tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools))
    else:
        await admin.delete_user(tools.store, username="alice", now=1, token_lifetime=900, asker=an_asker(tools))
    response = await change(client, given)
    assert response.status_code == 401
