"""What tests of the endpoints may ask for beyond the common."""

from collections.abc import Awaitable, Callable

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD

LogIn = Callable[..., Awaitable[str]]


@pytest.fixture
def log_in(client: Client) -> LogIn:
    """Log somebody in and give the token."""

    async def log_in(username: str = "alice", password: str = PASSWORD) -> str:
        response = await client.post("/login", json={"username": username, "password": password})
        assert response.status_code == 200
        token: str = (await response.get_json())["token"]
        return token

    return log_in
