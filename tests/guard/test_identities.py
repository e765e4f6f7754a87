"""Nobody is ever taken for somebody else: a hundred requests of two users at once, on one event loop."""

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest
from quart import Quart
from quart import websocket as current_websocket
from quart.testing import WebsocketResponseError
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.guard.issuer import Issuer
from tests.guard.serving import serving, websocket
from watchword import Guard, current_token, token_required

CROWD = 100
NAMES = [("alice", "bob")[number % 2] for number in range(CROWD)]


async def test_requests_at_once(app: Quart, client: Client, issuer: Issuer) -> None:
    """All hundred are inside the view before the first one leaves, and each knows its own bearer before and after."""
    inside = asyncio.Barrier(CROWD)

    @app.get("/")
    @token_required
    async def view() -> list[str]:
        before = current_token.username
        async with asyncio.timeout(30):
            await inside.wait()
        return [before, current_token.username, current_token.sub]

    responses = await asyncio.gather(*(client.get("/", headers=issuer.bearer(name)) for name in NAMES))
    answers = [await response.get_json() for response in responses]
    assert answers == [[name, name, f"id of {name}"] for name in NAMES]


async def test_a_server_that_runs_in_the_applications_context(app: Quart, client: Client, issuer: Issuer) -> None:
    """All requests share one ``g`` then, and still each knows its own bearer."""
    inside = asyncio.Barrier(2)

    @app.get("/")
    @token_required
    async def view() -> str:
        async with asyncio.timeout(30):
            await inside.wait()
        return current_token.username

    async with app.app_context():
        requests = (client.get("/", headers=issuer.bearer(name)) for name in ("alice", "bob"))
        answers = [await response.get_data(as_text=True) for response in await asyncio.gather(*requests)]
    assert answers == ["alice", "bob"]


@pytest.mark.parametrize("is_required", [False, True])
async def test_a_websocket_behind_a_request(issuer: Issuer, is_required: bool) -> None:
    """As of a server that a view has started: a WebSocket without a token is nobody's, and not the view's caller's."""
    app, guard = Quart(__name__), Guard(keys=issuer.keys, issuer=issuer.url)
    if is_required:
        guard.require(app)
    guard.init_app(app)
    seen: list[str | int] = []

    async def greet() -> None:
        await current_websocket.send(current_token.username)

    app.add_websocket("/", view_func=greet if is_required else token_required(greet))

    @app.get("/")
    @token_required
    async def view() -> str:
        for headers in ({}, issuer.bearer("bob")):
            try:
                async with app.test_client().websocket("/", headers=headers) as socket:
                    seen.append(str(await socket.receive()))
            except WebsocketResponseError as refusal:
                seen.append(refusal.response.status_code)
        return current_token.username

    response = await app.test_client().get("/", headers=issuer.bearer("alice"))
    assert (seen, await response.get_data()) == ([401, "bob"], b"alice")


async def test_a_request_behind_a_websocket(app: Quart, client: Client, issuer: Issuer) -> None:
    """The same the other way round, also where that WebSocket itself is behind a request."""

    @app.get("/name")
    @token_required
    async def name() -> str:
        return current_token.username

    @app.websocket("/")
    @token_required
    async def view() -> None:
        await current_websocket.send(current_token.username)
        for headers in ({}, issuer.bearer("carol")):
            response = await app.test_client().get("/name", headers=headers)
            answer = str(response.status_code) if response.status_code != 200 else await response.get_data(as_text=True)
            await current_websocket.send(f"{answer} {current_token.username}")

    @app.get("/")
    @token_required
    async def outside() -> list[str]:
        async with app.test_client().websocket("/", headers=issuer.bearer("bob")) as socket:
            return [str(await socket.receive()) for _ in range(3)]

    response = await client.get("/", headers=issuer.bearer("alice"))
    assert await response.get_json() == ["bob", "401 bob", "carol bob"]


async def test_requests_in_threads(app: Quart, client: Client, issuer: Issuer) -> None:
    """Views that run in threads know their bearers too, two of them side by side."""
    side_by_side = threading.Barrier(2)

    @app.get("/")
    @token_required
    def view() -> list[str]:
        before = current_token.username
        side_by_side.wait(timeout=30)
        return [before, current_token.username]

    responses = await asyncio.gather(*(client.get("/", headers=issuer.bearer(name)) for name in NAMES))
    assert [await response.get_json() for response in responses] == [[name, name] for name in NAMES]


async def test_tokens_and_none_at_once(app: Quart, client: Client, issuer: Issuer) -> None:
    """Where a token is optional, who sent none is nobody, whoever else is there."""
    inside = asyncio.Barrier(CROWD)

    @app.get("/")
    @token_required(optional=True)
    async def view() -> str:
        async with asyncio.timeout(30):
            await inside.wait()
        return current_token.username if current_token else "nobody"

    requests = [client.get("/", headers=issuer.bearer() if name == "alice" else {}) for name in NAMES]
    answers = [await response.get_data(as_text=True) for response in await asyncio.gather(*requests)]
    assert answers == ["alice" if name == "alice" else "nobody" for name in NAMES]


async def test_websockets_at_once(app: Quart, issuer: Issuer) -> None:
    """A hundred open WebSockets, asked in turns, each answer for their own bearer."""

    @app.websocket("/")
    @token_required
    async def view() -> None:
        while True:
            turn = str(await current_websocket.receive())
            await current_websocket.send(f"{current_token.username} {turn}")

    async with serving(app) as port, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(websocket(port, "/", issuer.bearer(name))) for name in NAMES]
        for turn in ("one", "two"):
            for socket in sockets:
                await socket.send(turn)
            assert [await socket.receive() for socket in sockets] == [f"{name} {turn}" for name in NAMES]
