"""Acting as a user in the tests of an application: no keys, no network, and nothing that a server believes."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from quart import Quart
from quart import websocket as current_websocket
from quart.testing.connections import WebsocketResponseError

from tests.builders import FakeClock
from tests.guard.issuer import Issuer
from tests.guard.serving import serving, websocket
from watchword import AccessToken, Guard, current_token, token_required


@pytest.fixture
def guard(issuer: Issuer) -> Guard:
    """A guard that believes the issuer."""
    return Guard(keys=issuer.keys, issuer=issuer.url)


@pytest.fixture
def app(guard: Guard) -> Quart:
    """An application with views of every kind."""
    return application(guard)


def application(guard: Guard) -> Quart:
    app = Quart(__name__)
    guard.init_app(app)

    @app.get("/")
    @token_required
    async def name() -> str:
        return current_token.username

    @app.get("/scoped")
    @token_required(scope="reports:read")
    async def scoped() -> str:
        return current_token.sub

    @app.get("/fresh")
    @token_required(fresh=300)
    async def fresh() -> str:
        return ""

    @app.get("/optional")
    @token_required(optional=True)
    async def optional() -> str:
        return current_token.username if current_token else "nobody"

    @app.websocket("/ws")
    @token_required(scope="talk")
    async def talk() -> None:
        await current_websocket.send(current_token.username)

    return app


async def get(app: Quart, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of an answer to the test client."""
    response = await app.test_client().get(path, headers=headers)
    text = await response.get_data(as_text=True)
    return response.status_code, text if response.status_code == 200 else ""


async def test_a_request_without_a_token_is_the_users(app: Quart, guard: Guard) -> None:
    """Within the block, with the scope that was named; before and after it nobody's."""
    assert await get(app) == (401, "")
    async with guard.acting_as("alice") as token:
        assert isinstance(token, AccessToken)
        assert await get(app) == (200, "alice")
        assert await get(app, "/optional") == (200, "alice")
        assert await get(app, "/scoped") == (403, "")
    async with guard.acting_as("alice", scope="reports:read a", sub="the id"):
        assert await get(app, "/scoped") == (200, "the id")
    assert await get(app) == (401, "")
    assert await get(app, "/optional") == (200, "nobody")


async def test_a_login_may_be_long_ago(issuer: Issuer) -> None:
    """It happened now unless another time is named, by the guard's clock."""
    clock = FakeClock()
    guard = Guard(keys=issuer.keys, issuer=issuer.url, clock=clock)
    app = application(guard)
    async with guard.acting_as("alice"):
        assert await get(app, "/fresh") == (200, "")
    async with guard.acting_as("alice", auth_time=clock.now - 301):
        assert await get(app, "/fresh") == (401, "")


async def test_who_sends_a_header_is_judged_by_it(app: Quart, guard: Guard, issuer: Issuer) -> None:
    """A genuine token is its bearer's, a bad one and another scheme are refused, whoever acts."""
    async with guard.acting_as("alice"):
        assert await get(app, headers=issuer.bearer("bob")) == (200, "bob")
        assert await get(app, headers={"Authorization": "Bearer nonsense"}) == (401, "")
        assert await get(app, headers={"Authorization": "Basic YWxpY2U6"}) == (401, "")
        assert await get(app, headers={"Authorization": ""}) == (401, "")


async def test_blocks_may_be_nested_and_beside_one_another(app: Quart, guard: Guard) -> None:
    """The inner one counts; of two tasks each has its own."""

    async def ask(username: str) -> tuple[int, str]:
        async with guard.acting_as(username):
            await asyncio.sleep(0)
            return await get(app)

    async with guard.acting_as("alice"):
        assert list(await asyncio.gather(ask("bob"), ask("carol"))) == [(200, "bob"), (200, "carol")]
        assert await get(app) == (200, "alice")


async def test_a_guard_acts_on_its_own_applications(app: Quart, guard: Guard, issuer: Issuer) -> None:
    """Another guard's application does not know the actor."""
    other = application(Guard(keys=issuer.keys, issuer=issuer.url))
    async with guard.acting_as("alice"):
        assert await get(app) == (200, "alice")
        assert await get(other) == (401, "")


async def test_a_websocket_is_the_users_too(app: Quart, guard: Guard) -> None:
    """One of the test client."""
    async with guard.acting_as("alice", scope="talk"), app.test_client().websocket("/ws") as socket:
        assert await socket.receive() == "alice"
    with pytest.raises(WebsocketResponseError) as refusal:
        async with app.test_client().websocket("/ws") as socket:
            await socket.receive()
    assert refusal.value.response.status_code == 401


async def test_an_exception_ends_it(app: Quart, guard: Guard) -> None:
    """A test that fails inside does not act on in the next one."""
    with pytest.raises(ZeroDivisionError):
        async with guard.acting_as("alice"):
            raise ZeroDivisionError
    assert await get(app) == (401, "")


async def test_no_server_believes_it(app: Quart, guard: Guard) -> None:
    """Even an application that is served from within the block refuses who has no token, HTTP and WebSocket."""
    async with guard.acting_as("alice", scope="talk"), serving(app) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await client.get("/", headers={"_quart._preserve_context": "1"})
            assert answer.status_code == 401
        async with websocket(port, "/ws") as socket:
            assert socket.status == 401
        assert await get(app) == (200, "alice")


class TestAsAFixture:
    """The block may be a fixture, entered before the test and left after it."""

    @pytest.fixture
    async def alice(self, guard: Guard) -> AsyncIterator[AccessToken]:
        """Alice acts."""
        async with guard.acting_as("alice") as token:
            yield token

    async def test_it_holds_in_the_test(self, app: Quart, alice: AccessToken) -> None:
        """The test acts as the fixture says."""
        assert await get(app) == (200, alice.username)
