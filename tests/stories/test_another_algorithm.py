"""Another ALGORITHM is set: who has to refresh, and that nobody has to log in again."""

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import PASSWORD, FakeClock, add_user
from watchword.app import create_app
from watchword.flows import Tools
from watchword.settings import Settings


async def after(settings: Settings, clock: FakeClock, given: dict[str, Any]) -> tuple[int, int]:
    """What a service with these settings says to an access token of before, and to the refresh token beside it."""
    app = create_app(settings, clock=clock)
    async with app.test_app():
        client = app.test_client()
        me = await client.get("/me", headers={"Authorization": f"Bearer {given['token']}"})
        refresh = await client.post("/refresh", json={"refresh_token": given["refresh_token"]})
        return me.status_code, refresh.status_code


@pytest.mark.parametrize(
    ("before", "algorithm", "audience", "expected"),
    [
        ("ES256", "EdDSA", "watchword", 200),
        ("ES256", "HS256", "watchword", 200),
        ("ES256", "HS256", None, 401),
        ("HS256", "ES256", "watchword", 401),
    ],
)
async def test_tokens_of_before(
    settings: Settings, clock: FakeClock, tools: Tools, before: str, algorithm: str, audience: str | None, expected: int
) -> None:
    """Access tokens go on for the same audience, which under HS256 is none by default, and end when HS256 is left;
    refresh tokens go on in every case.
    """
    await add_user(tools)
    app = create_app(replace(settings, algorithm=before, audience="watchword"), clock=clock)
    async with app.test_app():
        answer = await app.test_client().post("/login", json={"username": "alice", "password": PASSWORD})
        given = await answer.get_json()
    changed = replace(settings, algorithm=algorithm, audience=audience)
    assert await after(changed, clock, given) == (expected, 200)
