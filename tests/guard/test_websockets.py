"""A guarded WebSocket, on a real server: whoever may not pass gets an HTTP answer, and no WebSocket was ever open."""

import json

import pytest
from quart import Blueprint, Quart
from quart import websocket as current_websocket

from tests.guard.issuer import Issuer
from tests.guard.serving import serving, websocket
from watchword import current_token, token_required

BARE = 'Bearer realm="watchword"'


@pytest.fixture
def visits() -> list[str]:
    """Who got inside a view."""
    return []


@pytest.fixture
def app(app: Quart, visits: list[str]) -> Quart:
    """An application with guarded WebSockets, one of them on a blueprint and one whose token is optional."""
    blueprint = Blueprint("rooms", __name__, url_prefix="/rooms")

    async def echo() -> None:
        visits.append(current_token.username if current_token else "somebody")
        await current_websocket.send(visits[-1])
        while True:
            text = str(await current_websocket.receive())
            await current_websocket.send(f"{current_token.username if current_token else 'somebody'}: {text}")

    app.websocket("/ws", endpoint="ws")(token_required(echo))
    app.websocket("/scoped", endpoint="scoped")(token_required(scope="talk listen")(echo))
    app.websocket("/optional", endpoint="optional")(token_required(optional=True)(echo))
    blueprint.websocket("/ws", endpoint="ws")(token_required(echo))
    app.register_blueprint(blueprint)
    return app


async def test_a_bearer_is_accepted_and_known(app: Quart, issuer: Issuer) -> None:
    """With a valid token the WebSocket opens, and current_token is there for as long as it is open."""
    async with serving(app) as port:
        for path, scope in (("/ws", ""), ("/rooms/ws", ""), ("/scoped", "listen talk"), ("/optional", "")):
            async with websocket(port, path, issuer.bearer("Zoë", scope=scope)) as client:
                assert client.status == 101, path
                assert await client.receive() == "Zoë"
                for text in ("one", "two"):
                    await client.send(text)
                    assert await client.receive() == f"Zoë: {text}"


async def test_without_a_token_it_never_opens(app: Quart, issuer: Issuer, visits: list[str]) -> None:
    """No token: an HTTP 401 with the bare challenge and a JSON body; the view has not run."""
    async with serving(app) as port:
        for path in ("/ws", "/rooms/ws", "/scoped"):
            async with websocket(port, path) as client:
                assert client.status == 401, path
                assert client.headers["www-authenticate"] == BARE
                assert client.headers["content-type"] == "application/json"
                assert client.headers["cache-control"] == "no-store"
                assert json.loads(client.body) == {"error": "A bearer token is required", "code": "missing_token"}
    assert visits == []


async def test_with_a_bad_token_it_never_opens(app: Quart, issuer: Issuer, visits: list[str]) -> None:
    """A bad token, several headers, or a token somewhere else: an HTTP 401, also where the token is optional."""
    token = issuer.token()
    bad = [
        [("Authorization", "Bearer x")],
        [("Authorization", f"Bearer {Issuer().token()}")],
        [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")],
        [("Authorization", "Bearer \xff")],
    ]
    async with serving(app) as port:
        for path in ("/ws", "/optional", "/scoped"):
            for headers in bad:
                async with websocket(port, path, headers) as client:
                    assert client.status == 401
                    assert client.headers["www-authenticate"] == f'{BARE}, error="invalid_token"'
        elsewhere = [("Cookie", f"token={token}"), ("Sec-WebSocket-Protocol", f"bearer, {token}")]
        async with websocket(port, f"/ws?access_token={token}", elsewhere) as client:
            assert (client.status, client.headers["www-authenticate"]) == (401, BARE)
    assert visits == []


async def test_without_the_scope_it_never_opens(app: Quart, issuer: Issuer, visits: list[str]) -> None:
    """A token that lacks a scope: an HTTP 403 that names the scopes."""
    async with serving(app) as port, websocket(port, "/scoped", issuer.bearer(scope="talk")) as client:
        assert client.status == 403
        challenge = f'{BARE}, error="insufficient_scope", scope="listen talk"'
        assert client.headers["www-authenticate"] == challenge
        assert json.loads(client.body)["code"] == "insufficient_scope"
    assert visits == []


async def test_an_optional_token_may_be_missing(app: Quart) -> None:
    """Where the token is optional the WebSocket opens for anybody, and current_token is false."""
    async with serving(app) as port, websocket(port, "/optional") as client:
        assert client.status == 101
        assert await client.receive() == "somebody"
