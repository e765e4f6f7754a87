"""A guard that follows which sessions have ended: refuses theirs, and lets nobody pass without news."""

import json

import pytest
from quart import Quart
from quart import websocket as current_websocket
from werkzeug.exceptions import ServiceUnavailable

from tests.builders import Stopwatch
from tests.guard.issuer import Issuer
from tests.guard.serving import serving, websocket
from watchword import Guard, current_token, token_required
from watchword.denials import Denials
from watchword.model import Revocation


@pytest.fixture
def app(issuer: Issuer, denials: Denials) -> Quart:
    """An application with a view and a WebSocket, whose guard has denials."""
    app = Quart(__name__)
    Guard(app, keys=issuer.keys, issuer=issuer.url, denials=denials)

    @app.get("/")
    @token_required
    async def view() -> str:
        return current_token.sid

    @app.websocket("/ws")
    @token_required
    async def echo() -> None:
        await current_websocket.send(current_token.sid)
        await current_websocket.receive()

    return app


async def test_a_token_that_passed_before_is_refused_once_its_session_has_ended(
    app: Quart, issuer: Issuer, denials: Denials
) -> None:
    """Row 65: that it was verified and remembered does not help; another session of the same user goes on."""
    client = app.test_client()
    ended, other = issuer.bearer(), issuer.bearer()
    session_id = await (await client.get("/", headers=ended)).get_data(as_text=True)
    denials.learn([Revocation(seq=1, session_id=session_id, revoked_at=0, expires_at=900)], now=0)
    response = await client.get("/", headers=ended)
    assert response.status_code == 401
    assert (await response.get_json())["code"] == "invalid_token"
    assert (await client.get("/", headers=other)).status_code == 200


async def test_without_news_the_answer_is_503(app: Quart, issuer: Issuer, stopwatch: Stopwatch) -> None:
    """With Retry-After, in our words; a bad token is refused as before, for it needs no news."""
    client = app.test_client()
    stopwatch.seconds += 5.1
    response = await client.get("/", headers=issuer.bearer())
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    assert (await response.get_json())["code"] == "unavailable"
    assert (await client.get("/", headers={"Authorization": "Bearer x"})).status_code == 401
    assert (await client.get("/")).status_code == 401


async def test_an_application_may_reshape_it(app: Quart, issuer: Issuer, stopwatch: Stopwatch) -> None:
    """As any 503."""
    stopwatch.seconds += 5.1

    @app.errorhandler(503)
    async def unavailable(error: ServiceUnavailable) -> tuple[str, int]:
        return "come back later", 503

    response = await app.test_client().get("/", headers=issuer.bearer())
    assert (response.status_code, await response.get_data(as_text=True)) == (503, "come back later")


async def test_a_websocket_is_refused_before_it_opens(
    app: Quart, issuer: Issuer, denials: Denials, stopwatch: Stopwatch
) -> None:
    """With 401 for a session that has ended, with 503 while that is not known."""
    headers = issuer.bearer()
    async with serving(app) as port:
        async with websocket(port, "/ws", headers) as client:
            session_id = await client.receive()
        denials.learn([Revocation(seq=1, session_id=session_id, revoked_at=0, expires_at=900)], now=0)
        async with websocket(port, "/ws", headers) as client:
            assert client.status == 401
        stopwatch.seconds += 5.1
        async with websocket(port, "/ws", issuer.bearer()) as client:
            assert (client.status, client.headers["retry-after"]) == (503, "1")
            assert json.loads(client.body)["code"] == "unavailable"
