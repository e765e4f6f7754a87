"""The throttle over HTTP: one answer for all who are throttled, and nobody but the peer is charged."""

from dataclasses import replace
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, add_user
from tests.endpoints.contract import refused
from watchword.flows import Tools
from watchword.limits import FAMILIAR, NETWORK, STRANGERS
from watchword.networks import networks
from watchword.settings import Settings

PEER, PROXY, ELSEWHERE = "203.0.113.9", "10.0.0.1", "198.51.100.7"
SPOOFS = (
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "Remote-Addr",
    "X-Forwarded-Host",
    "X-Client-IP",
    "True-Client-IP",
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Behind one proxy."""
    return replace(settings, trusted_proxies=networks(PROXY))


async def log_in(
    client: Client, password: str = "a guess", username: str = "alice", *, peer: str = PEER, **headers: str
) -> Any:
    """Try to log in from an address."""
    return await client.post(
        "/login",
        json={"username": username, "password": password},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        scope_base={"client": (peer, 4711)},
    )


async def statuses(client: Client, times: int, **claims: Any) -> list[int]:
    """What so many guesses are answered."""
    return [(await log_in(client, **claims)).status_code for _ in range(times)]


async def test_right_and_wrong_are_answered_alike(tools: Tools, client: Client) -> None:
    """While throttled 429 and whole seconds to wait, in the same bytes for every password and for nobody (row 89)."""
    await add_user(tools)
    for username in ("alice", "nobody", "no name at all"):
        assert await statuses(client, STRANGERS.free, username=username) == [401] * STRANGERS.free
    answers = []
    for username in ("alice", "nobody", "no name at all"):
        for password in (PASSWORD, "a guess"):
            response = await log_in(client, password, username)
            told = {"retry_after": "30"}
            assert await refused(response, **told) == (429, "too_many_attempts")
            request_id = response.headers["X-Request-Id"]
            answers.append((await response.get_data(as_text=True)).replace(request_id, ""))
    assert len(set(answers)) == 1


async def test_what_a_client_claims_is_ignored(tools: Tools, client: Client) -> None:
    """From a peer that is no trusted proxy no header makes another network of it (row 87)."""
    await add_user(tools)
    seen = []
    for n in range(STRANGERS.free + 10):
        address = f"192.0.2.{n}"
        spoofed = {name: f"for={address}" if name == "Forwarded" else address for name in SPOOFS}
        seen.append((await log_in(client, username=f"user{n}", **spoofed)).status_code)
    for n in range(NETWORK.free - len(seen)):
        seen.append((await log_in(client, username=f"more{n}", X_Forwarded_For=f"{PROXY}, 10.9.8.{n}")).status_code)
    assert set(seen) == {401}
    assert (await log_in(client, PASSWORD, X_Forwarded_For=ELSEWHERE)).status_code == 429
    assert (await log_in(client, PASSWORD, peer=ELSEWHERE)).status_code == 200


async def test_behind_a_trusted_proxy_its_client_is_charged(tools: Tools, client: Client) -> None:
    """The hop that the proxy itself has added counts, and nothing that the client wrote before it (row 87)."""
    await add_user(tools)
    for n in range(NETWORK.free):
        claim = f"192.0.2.{n % 250}, {PROXY}, {PEER}"
        await log_in(client, username=f"user{n}", peer=PROXY, X_Forwarded_For=claim)
    assert (await log_in(client, PASSWORD, peer=PROXY, X_Forwarded_For=f"{ELSEWHERE}, {PEER}")).status_code == 429
    assert (await log_in(client, PASSWORD, peer=PEER)).status_code == 429
    assert (await log_in(client, PASSWORD, peer=PROXY, X_Forwarded_For=ELSEWHERE)).status_code == 200
    response = await log_in(client, PASSWORD, peer=PROXY, X_Real_IP=PEER, Forwarded=f"for={PEER}")
    assert response.status_code == 200  # the proxy itself: these headers nobody reads


async def test_a_walk_through_one_ipv6_network_is_one(tools: Tools, client: Client) -> None:
    """Of an IPv6 address the first 64 bits are charged, whoever chooses the rest (row 87)."""
    await add_user(tools)
    for n in range(NETWORK.free):
        await log_in(client, username=f"user{n}", peer=f"2001:db8:1:2:{n:x}::{n:x}")
    assert (await log_in(client, PASSWORD, peer="2001:db8:1:2:ffff::1")).status_code == 429
    assert (await log_in(client, PASSWORD, peer="2001:db8:1:3::1")).status_code == 200


async def test_a_password_change_shares_the_count(tools: Tools, client: Client) -> None:
    """Guesses at the present password, with a token that was stolen, are charged as logins are (row 88)."""
    await add_user(tools)
    given = await (await log_in(client, PASSWORD, peer=PEER)).get_json()
    for n in range(FAMILIAR.free):
        if n % 2:
            assert await statuses(client, 1) == [401]
            continue
        response = await client.post(
            "/password/change",
            json={"current_password": "a guess", "new_password": "another long password"},
            headers={"Authorization": f"Bearer {given['token']}"},
            scope_base={"client": (PEER, 4711)},
        )
        assert response.status_code == 401
    response = await client.post(
        "/password/change",
        json={"current_password": PASSWORD, "new_password": "another long password"},
        headers={"Authorization": f"Bearer {given['token']}"},
        scope_base={"client": (PEER, 4711)},
    )
    assert await refused(response, retry_after="30") == (429, "too_many_attempts")
    assert (await log_in(client, PASSWORD)).status_code == 429
    assert (await log_in(client, PASSWORD, peer=ELSEWHERE)).status_code == 200
