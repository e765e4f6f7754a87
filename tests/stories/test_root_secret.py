"""The root secret changes and nobody has to log in again: on one node at once, on several in two rounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, add_user
from watchword.app import create_app
from watchword.errors import SettingRefused
from watchword.flows import Tools
from watchword.instruments import preflight
from watchword.settings import Settings
from watchword.store.connection import Statement

OLD, NEW = b"the former root secret 0123456789 abc", b"the present root secret 0123456789 ab"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with the former secret."""
    return replace(settings, secret_key=OLD)


@asynccontextmanager
async def node(settings: Settings, clock: FakeClock, *secrets: bytes) -> AsyncIterator[Client]:
    """A node that runs with a root secret and its fallbacks."""
    secret, *fallbacks = secrets
    app = create_app(replace(settings, secret_key=secret, secret_key_fallbacks=tuple(fallbacks)), clock=clock)
    async with app.test_app():
        yield app.test_client()


async def logged_in(client: Client) -> dict[str, Any]:
    """The token answer of a login."""
    members: dict[str, Any] = await (
        await client.post("/login", json={"username": "alice", "password": PASSWORD})
    ).get_json()
    return members


async def passes(client: Client, given: dict[str, Any]) -> bool:
    """Whether an access token is good."""
    response = await client.get("/me", headers={"Authorization": f"Bearer {given['token']}"})
    return response.status_code == 200


async def refreshed(client: Client, given: dict[str, Any]) -> dict[str, Any] | None:
    """What a refresh token is exchanged for; None if it is refused."""
    response = await client.post("/refresh", json={"refresh_token": given["refresh_token"]})
    members: dict[str, Any] = await response.get_json()
    return members if response.status_code == 200 else None


async def test_one_node_changes_its_secret(settings: Settings, clock: FakeClock, tools: Tools) -> None:
    """What was given before is good after, as long as the former secret is a fallback; then it can be given up."""
    await add_user(tools)
    async with node(settings, clock, OLD) as client:
        used, unused = await logged_in(client), await logged_in(client)
    async with node(settings, clock, NEW, OLD) as client:
        assert await passes(client, used)
        used = await refreshed(client, used) or {}
        assert await passes(client, used)
    async with node(settings, clock, NEW) as client:
        assert await passes(client, unused)
        assert await passes(client, used)
        assert await refreshed(client, used)
        assert not await refreshed(client, unused)  # not refreshed while it could be


async def test_a_secret_without_its_predecessor_is_refused(settings: Settings, tools: Tools) -> None:
    """Row 92: the keys do not open, and the start says so instead of logging everybody out."""
    with pytest.raises(SettingRefused, match="sealed under another secret"):
        await preflight(replace(settings, secret_key=NEW))


async def test_two_nodes_change_their_secret_in_two_rounds(settings: Settings, clock: FakeClock, tools: Tools) -> None:
    """The new one as a fallback on each node, and only then as the secret: at every moment each takes all of the other.

    A node that falls back by a restart in between seals the keys under the former secret again, and does no harm.
    """
    await add_user(tools)
    rounds = [(OLD,), (OLD, NEW), (NEW, OLD), (OLD, NEW), (NEW, OLD), (NEW,)]
    kept: list[dict[str, Any]] = []
    for before, after in pairwise(rounds):
        async with node(settings, clock, *before) as one:
            kept.append(await logged_in(one))
            async with node(settings, clock, *after) as two:
                kept.append(await logged_in(two))
                for each in (one, two):
                    assert all([await passes(each, given) for given in kept])
                    kept = [await refreshed(each, given) or {} for given in kept]
                    assert all(kept)


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
async def test_after_a_leak_nothing_is_good_that_the_secret_has_made(
    settings: Settings, clock: FakeClock, tools: Tools, algorithm: str
) -> None:
    """Row 92: as ``docs/keys.md`` says. As a fallback the former secret would let who has a copy of the database make a
    refresh token, and exchange it for one of the new secret. Under HS256 keys of a former ALGORITHM are gone too, which
    a start could not open.
    """
    await add_user(tools)
    settings = replace(settings, algorithm=algorithm, audience=None)
    async with node(settings, clock, OLD) as client:
        given = await logged_in(client)
    await tools.store.write(lambda connection: connection.fetch(Statement("DELETE FROM signing_keys")))
    async with node(settings, clock, NEW) as client:
        assert not await passes(client, given)
        assert not await refreshed(client, given)
        assert await passes(client, await logged_in(client))
