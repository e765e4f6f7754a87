"""A guarded WebSocket, on a real server, after it was let in: it lives no longer than its token and its session."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart import Blueprint, Quart
from quart import websocket as current_websocket
from wsproto.events import TextMessage

from tests.builders import SECRET, FakeClock, Stopwatch
from tests.guard.elsewhere import SERVICE_TOKEN, login_service
from tests.guard.issuer import Issuer
from tests.guard.serving import SECONDS, WebSocket, serving, websocket
from watchword import Guard, current_token, token_required
from watchword.clock import system_clock
from watchword.denials import Denials
from watchword.keys import KeyRing, SigningKey
from watchword.model import Revocation


def application(guard: Guard, over: asyncio.Event, **config: str) -> Quart:
    """An application with WebSockets that are guarded in every way; when a view has cleaned up, it is over."""
    app = Quart(__name__)
    app.config.update(config)
    guard.init_app(app)
    room = Blueprint("room", __name__, url_prefix="/room")
    guard.require(room)

    async def echo() -> None:
        await current_websocket.send(current_token.sid if current_token else "nobody's")
        try:
            while True:
                await current_websocket.send(await current_websocket.receive())
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # cleaning up may wait
            over.set()
            raise

    async def flood() -> None:
        await current_websocket.send(current_token.sid)
        try:
            while True:
                await current_websocket.send("x" * 65_536)
        finally:
            over.set()

    @token_required
    async def caller() -> str:
        return current_token.sid

    @app.websocket("/helped")
    async def helped() -> None:
        await asyncio.gather(caller(), asyncio.sleep(0))  # each in a task of its own
        await echo()

    @room.websocket("/ws")
    async def bare() -> None:
        await echo()

    room.websocket("/twice", endpoint="twice")(token_required(scope="talk")(echo))
    app.register_blueprint(room)
    app.websocket("/ws", endpoint="ws")(token_required(echo))
    app.websocket("/optional", endpoint="optional")(token_required(optional=True)(echo))
    app.websocket("/flood", endpoint="flood")(token_required(flood))
    return app


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is taken a hundred times a second."""
    monkeypatch.setattr("watchword.guard.watch.INTERVAL", 0.01)


@pytest.fixture
def over() -> asyncio.Event:
    """Set when a view was cancelled and has cleaned up."""
    return asyncio.Event()


@pytest.fixture
def guard(issuer: Issuer, denials: Denials) -> Guard:
    """A guard that is told which sessions have ended."""
    return Guard(keys=issuer.keys, issuer=issuer.url, denials=denials)


@pytest.fixture
async def port(guard: Guard, over: asyncio.Event) -> AsyncIterator[int]:
    """Where the application is served."""
    async with serving(application(guard, over)) as port:
        yield port


def end(denials: Denials, session_id: str) -> None:
    """End a session."""
    denials.learn([Revocation(seq=1, session_id=session_id, revoked_at=0, expires_at=900)], now=0)


async def cleaned_up(over: asyncio.Event) -> None:
    """Wait until a view is over."""
    async with asyncio.timeout(SECONDS):
        await over.wait()
    over.clear()


async def code_of(client: WebSocket) -> int:
    """With which the server closes."""
    with pytest.raises(ConnectionError):
        await client.receive()
    return client.code


async def goes_on(client: WebSocket) -> bool:
    """Whether it is still answered, after more than one look."""
    await asyncio.sleep(0.05)
    await client.send("still there?")
    return await client.receive() == "still there?"


@pytest.mark.parametrize("path", ["/ws", "/room/ws", "/room/twice", "/optional", "/helped"])
async def test_it_is_closed_when_its_session_ends(
    port: int, issuer: Issuer, denials: Denials, over: asyncio.Event, path: str
) -> None:
    """With 1008, however it is guarded, a helper in a task that ends first included; its view is cancelled and cleans
    up. Another session goes on (row 63).
    """
    async with (
        websocket(port, path, issuer.bearer(scope="talk")) as ended,
        websocket(port, path, issuer.bearer(scope="talk")) as other,
    ):
        session_id = await ended.receive()
        await other.receive()
        assert await goes_on(ended)
        end(denials, session_id)
        assert await code_of(ended) == 1008
        await cleaned_up(over)
        assert await goes_on(other)
        assert not over.is_set()


async def test_it_is_closed_when_its_token_expires(over: asyncio.Event) -> None:
    """With 1008, at ``exp``; also where tokens are checked by a SECRET_KEY alone and nobody tells of logouts."""
    issuer = Issuer(url="http://127.0.0.1:8000", audience=None, key=SigningKey.from_secret(SECRET.encode()))
    token = issuer.token(lifetime=60)
    clock = FakeClock(system_clock())  # read after it: where a second has turned between, the token is the older one
    app = application(Guard(clock=clock), over, SECRET_KEY=SECRET)
    async with serving(app) as port, websocket(port, "/ws", {"Authorization": f"Bearer {token}"}) as client:
        await client.receive()
        clock.advance(58)
        assert await goes_on(client)
        clock.advance(2)
        assert await code_of(client) == 1008
        await cleaned_up(over)


async def test_it_is_closed_when_its_key_is_retired(over: asyncio.Event) -> None:
    """With 1008: of a token that was made with a stolen key the session never was, and so it cannot end (row 93).

    One whose key is still there goes on, and so do all while the keys are fetched anew and are the same.
    """
    stolen, good = Issuer(), Issuer()
    ring = KeyRing([stolen.key.verification, good.key.verification])
    async with (
        serving(application(Guard(keys=ring, issuer=good.url), over)) as port,
        websocket(port, "/ws", stolen.bearer()) as forged,
        websocket(port, "/ws", good.bearer()) as client,
    ):
        for socket in (forged, client):
            await socket.receive()
        ring.replace([stolen.key.verification, good.key.verification])
        assert await goes_on(forged)
        ring.replace([good.key.verification])
        assert await code_of(forged) == 1008
        await cleaned_up(over)
        assert await goes_on(client)
        assert not over.is_set()


async def test_it_is_closed_when_a_login_service_elsewhere_says_so(over: asyncio.Event) -> None:
    """A guard that knows its URL follows the feed, and what that tells is told to open WebSockets too."""
    async with login_service() as service:
        app = application(Guard(issuer=service.issuer.url, service_token=SERVICE_TOKEN), over)
        async with (
            serving(app) as port,
            websocket(port, "/ws", service.issuer.bearer()) as client,
        ):
            service.end(await client.receive())
            assert await code_of(client) == 1008


async def test_it_is_closed_when_nobody_knows(
    port: int, issuer: Issuer, stopwatch: Stopwatch, over: asyncio.Event
) -> None:
    """Without news for too long a request is answered 503; a WebSocket ends with 1013, and may come back."""
    async with websocket(port, "/ws", issuer.bearer()) as client:
        await client.receive()
        stopwatch.seconds += 4.9
        assert await goes_on(client)
        stopwatch.seconds += 0.2
        assert await code_of(client) == 1013
        await cleaned_up(over)


async def test_it_is_closed_when_a_look_fails(
    port: int,
    issuer: Issuer,
    over: asyncio.Event,
    denials: Denials,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With 1011, whatever the fault is, and the log tells it: else it would outlive its token, unseen."""

    def fail(_: str) -> None:
        raise ZeroDivisionError

    async with websocket(port, "/ws", issuer.bearer()) as client:
        await client.receive()
        monkeypatch.setattr(denials, "check", fail)
        assert await code_of(client) == 1011
        await cleaned_up(over)
    (told,) = [record for record in caplog.records if record.name == "watchword.guard"]
    assert told.exc_info is not None
    assert told.exc_info[0] is ZeroDivisionError


async def test_one_without_a_token_goes_on(port: int, stopwatch: Stopwatch) -> None:
    """Where the token is optional and none was sent, there is nothing that could end."""
    async with websocket(port, "/optional") as client:
        assert await client.receive() == "nobody's"
        stopwatch.seconds += 3600
        assert await goes_on(client)


@pytest.mark.parametrize("kind", ["misses its cancellation", "has another task that listens"])
async def test_nobody_is_obeyed_after_the_end_though_the_view_goes_on(
    guard: Guard, issuer: Issuer, denials: Denials, kind: str
) -> None:
    """A view would do what the client says for as long as that sends, or one thing more."""
    app, obeyed, was_told = Quart(__name__), list[str](), asyncio.Event()
    guard.init_app(app)

    async def obey() -> None:
        while True:
            obeyed.append(str(await current_websocket.receive()))

    async def go_on() -> None:
        try:
            await obey()
        except asyncio.CancelledError:  # as Python 3.11's ``wait_for`` does where a message comes at the same time
            was_told.set()
        await obey()

    async def listen_beside() -> None:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(obey())
            try:
                await asyncio.Event().wait()
            finally:
                was_told.set()
                await asyncio.sleep(0.5)
                listening.cancel()

    @app.websocket("/ws")
    @token_required
    async def ws() -> None:
        await current_websocket.send(current_token.sid)
        await (go_on() if kind == "misses its cancellation" else listen_beside())

    async with serving(app) as port, websocket(port, "/ws", issuer.bearer()) as client:
        session_id = await client.receive()
        order = client.protocol.send(TextMessage("do it"))
        client.writer.write(order)
        end(denials, session_id)
        assert await code_of(client) == 1008
        await cleaned_up(was_told)
        before = len(obeyed)
        for _ in range(20):
            client.writer.write(order)
            await asyncio.sleep(0.01)
        assert len(obeyed) == before


async def test_a_client_that_does_not_read_holds_up_nothing(
    port: int, issuer: Issuer, denials: Denials, over: asyncio.Event
) -> None:
    """The close cannot reach it; its view ends all the same."""
    async with websocket(port, "/flood", issuer.bearer()) as client:
        end(denials, await client.receive())
        await cleaned_up(over)


async def test_the_test_client_sees_it_and_an_actor_does_not(
    guard: Guard, issuer: Issuer, denials: Denials, stopwatch: Stopwatch, over: asyncio.Event
) -> None:
    """``acting_as`` needs no news and no session that could end; a real token is treated as by a server."""
    client = application(guard, over).test_client()
    async with guard.acting_as("alice"), client.websocket("/ws") as socket:
        session_id = str(await socket.receive())
        end(denials, session_id)
        await asyncio.sleep(0.05)
        await socket.send("still there?")
        assert await socket.receive() == "still there?"
    async with client.websocket("/ws", headers=issuer.bearer()) as socket:
        end(denials, str(await socket.receive()))
        with pytest.raises(Exception, match="1008"):
            await socket.receive()


def watchers() -> int:
    """How many WebSockets are looked after."""
    return sum("_watch" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_nobody_looks_after_one_that_is_closed(port: int, issuer: Issuer, over: asyncio.Event) -> None:
    """Nor twice after one that is open."""
    async with websocket(port, "/room/twice", issuer.bearer(scope="talk")) as client:
        await client.receive()
        assert watchers() == 1
    await cleaned_up(over)
    async with asyncio.timeout(SECONDS):
        while watchers():
            await asyncio.sleep(0.01)


async def test_nobody_looks_after_a_request(guard: Guard, issuer: Issuer, over: asyncio.Event) -> None:
    """It is judged once, also while it is answered in a long stream."""
    app = application(guard, over)

    @app.get("/")
    @token_required
    async def count() -> str:
        return str(watchers())

    response = await app.test_client().get("/", headers=issuer.bearer())
    assert await response.get_data(as_text=True) == "0"
