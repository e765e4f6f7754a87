"""What tests of the client may ask for: a login service, a clock, and httpx clients that are led there."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.client.service import PASSWORD, URL, USERNAME, LoginService, Stopwatch, Wire
from watchword.client import WatchwordAuth

AuthMaker = Callable[..., WatchwordAuth]


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The time, at which tests turn."""
    return Stopwatch()


@pytest.fixture
def service(stopwatch: Stopwatch) -> LoginService:
    """The login service, and all the guarded endpoints there are."""
    return LoginService(stopwatch)


@pytest.fixture
def make_auth(stopwatch: Stopwatch) -> AuthMaker:
    """Makes a ``WatchwordAuth`` that lives by the stopwatch."""

    def make(**arguments: Any) -> WatchwordAuth:
        return WatchwordAuth(URL, clock=stopwatch, sleep=stopwatch.sleep, **arguments)

    return make


@pytest.fixture
def auth(make_auth: AuthMaker) -> WatchwordAuth:
    """Alice, with her password."""
    return make_auth(username=USERNAME, password=PASSWORD)


@pytest.fixture
async def caller(service: LoginService) -> AsyncIterator[httpx.AsyncClient]:
    """An ``AsyncClient`` without authentication of its own, so that a test says with whose a request is made."""
    async with httpx.AsyncClient(transport=Wire(service)) as caller:
        yield caller
