"""What Quart itself fails on: answered in the contract's shape, logged, and no 500 where the client is at fault.

The paths and hosts that a real client could send are tried on a real server, in tests/attacks.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from quart import Quart, Request, Response, url_for
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import oauth_refused, opened, refused
from watchword import create_app
from watchword.settings import Settings
from watchword.telemetry import JsonFormatter


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No database is reached."""
    return sqlite_url


@pytest.mark.parametrize("path", ["", "me", "*", "http:/me", "healthz", "x:/healthz"])
async def test_a_target_without_a_slash_is_not_there(client: Client, path: str) -> None:
    """Only what begins with a slash is a path; the rest is 404 and reaches no view."""
    response = await client.get("/healthz", scope_base={"path": path, "raw_path": path.encode()})
    assert await refused(response) == (404, "not_found")


async def test_who_was_not_started_says_nothing_that_would_be_believed(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A parent that passes on no lifespan: no empty set of keys for ten minutes, no 401 for a good token; one line."""
    app = create_app(settings)

    @app.get("/page")
    async def page() -> str:
        return "mine"

    client = app.test_client()
    for path in ("/.well-known/jwks.json", "/sessions", "/me", "/login", "/readyz", "/page", "/nowhere", "//healthz"):
        response = await client.get(path, headers={"Authorization": "Bearer x"})
        assert await refused(response, retry_after="1") == (503, "unavailable")
    assert await oauth_refused(await client.post("/oauth/revoke"), retry_after="1") == (503, "temporarily_unavailable")
    with pytest.raises(WebsocketResponseError) as refusal:
        async with client.websocket("/") as websocket:
            await websocket.receive()
    assert refusal.value.response.status_code == 503
    assert await opened(await client.get("/healthz")) == {"status": "alive"}
    assert (await client.get("/auth/healthz", root_path="/auth")).status_code == 200
    assert len([line for line in caplog.messages if "was not started" in line]) == 1
    async with app.test_app():
        for path in ("/page", "/.well-known/jwks.json"):
            assert (await client.get(path)).status_code == 200


class TestBelowAPath:
    """Mounted at /auth all routes are below it and nowhere else, whatever answers them (ASGI's ``root_path``)."""

    @pytest.mark.parametrize("root", ["/auth", "/auth/", "/a b/ü", "/v1,2:x"])
    async def test_every_route_is_below_it(self, client: Client, root: str) -> None:
        """At a door and behind it the answer is that of an application with a host of its own."""
        for method, path in (
            ("GET", "/healthz"),
            ("GET", "/me"),
            ("GET", "/sessions"),
            ("GET", "/forward-auth"),
            ("GET", "/.well-known/jwks.json"),
            ("POST", "/refresh"),
            ("PUT", "/login"),
            ("POST", "/oauth/introspect"),
            ("GET", "/nowhere"),
            ("GET", "/oauth/nowhere"),
        ):
            alone = await client.open(path, method=method, json=None)
            below = await client.open(f"{root.rstrip('/')}{path}", method=method, json=None, root_path=root)
            assert (below.status_code, path) == (alone.status_code, path)
            bodies = [await each.get_json() for each in (alone, below)]
            for body in bodies:
                body.pop("request_id", None)
            assert bodies[0] == bodies[1]

    @pytest.mark.parametrize(
        "path",
        [
            "/me",
            "/healthz",
            "/auth",
            "/authme",
            "/authhealthz",
            "/auth//me",
            "/auth//healthz",
            "/auth/%6de",
            "/auth/sess%69ons",
            "/auth/sessions/%61",
            "/%61uth/me",
            "/%61uth/healthz",
            "//auth/me",
            "/auth%2Fme",
            "auth/me",
            "/auth/auth/me",
        ],
    )
    async def test_nothing_else_is_there(self, client: Client, path: str) -> None:
        """Row 35: beside it there is nothing, and below it our routes answer to one spelling."""
        base = {"path": unquote(path), "raw_path": path.encode()}
        for method in ("GET", "DELETE"):
            response = await client.open("/", method=method, json=None, root_path="/auth", scope_base=base)
            assert await refused(response) == (404, "not_found")

    async def test_a_view_of_your_own_knows_where_it_is(self, app: Quart, client: Client) -> None:
        """Quart is told of the path, for the addresses that it makes."""

        @app.get("/page")
        async def page() -> str:
            return url_for("page")

        response = await client.get("/auth/page", root_path="/auth")
        assert await response.get_data(as_text=True) == "/auth/page"
        assert (await client.get("/page", root_path="/auth")).status_code == 404
        for spelled in ("/%61uth/page", "/auth%2Fpage"):  # a rule of the proxy's for that path has not seen it there
            base = {"path": "/auth/page", "raw_path": spelled.encode()}
            assert (await client.get("/", root_path="/auth", scope_base=base)).status_code == 404

    @pytest.mark.parametrize("path", ["/me", "/authnews", "/auth/me", "/auth/sess%69ons"])
    async def test_a_websocket_beside_it_is_refused(self, client: Client, path: str) -> None:
        """There is none, spelled in any way."""
        base = {"path": unquote(path), "raw_path": path.encode()}
        with pytest.raises(WebsocketResponseError) as refusal:
            async with client.websocket("/", root_path="/auth", scope_base=base) as websocket:
                await websocket.receive()
        assert refusal.value.response.status_code == 404


@pytest.mark.parametrize("given", [{}, {"raw_path": None}], ids=["left out", "none"])
async def test_a_server_may_know_no_raw_path(app: Quart, client: Client, given: dict[str, Any]) -> None:
    """ASGI lets it be left out: each request was a traceback before any answer. It goes by the path then."""
    inside = app.asgi_app

    async def without(scope: Any, receive: Any, send: Any) -> None:
        del scope["raw_path"]
        scope.update(given)
        await inside(scope, receive, send)

    app.asgi_app = without  # type: ignore[method-assign]
    for path, status in (("/healthz", 200), ("/me", 401), ("/sessions", 401), ("//me", 404), ("/é", 404)):
        assert (await client.get(path)).status_code == status
        assert (await client.get(f"/a b/ü{path}", root_path="/a b/ü")).status_code == status
        assert (await client.get(path, root_path="/auth")).status_code == 404
    with pytest.raises(WebsocketResponseError) as refusal:
        async with client.websocket("/me") as websocket:
            await websocket.receive()
    assert refusal.value.response.status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/login", "/me", "/nowhere"])
async def test_a_method_in_small_letters_is_none(client: Client, path: str) -> None:
    """Row 35: whichever server is in front, as one may be that makes a POST of a ``post``."""
    response = await client.get(path, scope_base={"method": "get"})
    assert await refused(response, connection="close") == (400, "invalid_request")


@pytest.mark.parametrize(
    "base", [{"query_string": b"\xff"}, {"headers": [(b"host", b"a..b")]}, {"headers": [(b"host", b"x" * 64)]}]
)
async def test_what_cannot_be_read_is_the_clients_fault(
    client: Client, base: dict[str, Any], request_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """A query that is not UTF-8 (which HTTP/2 lets through) or a Host that is none: 400, one line, no error."""
    response = await client.get("/healthz", scope_base=base)
    assert await refused(response) == (400, "invalid_request")
    (line,) = request_lines()
    del line["time"], line["ms"]
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": response.headers["X-Request-Id"],
        "method": "GET",
        "status": 400,
        "code": "invalid_request",
    }


@pytest.mark.parametrize(
    ("path", "base", "status"),
    [
        ("/sessions", {}, 400),
        ("/me", {}, 404),
        ("/nope", {}, 404),
        ("/me", {"path": "me"}, 404),
        ("/", {"headers": [(b"host", b"a..b")]}, 400),
    ],
)
async def test_a_websocket_is_refused_in_the_same_shape(
    client: Client, path: str, base: dict[str, Any], status: int, request_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """The handshake's answer has the contract's headers and body, and its line is in the log."""
    with pytest.raises(WebsocketResponseError) as refusal:
        async with client.websocket(path, scope_base=base) as websocket:
            await websocket.receive()
    response = refusal.value.response
    assert isinstance(response, Response)
    members = json.loads(await response.get_data())
    assert (response.status_code, members["request_id"]) == (status, response.headers["X-Request-Id"])
    assert response.headers["Cache-Control"] == "no-store"
    (line,) = request_lines()
    assert (line["request_id"], line["method"], line["status"]) == (members["request_id"], "GET", status)


@pytest.mark.parametrize("extensions", [{}, None])
async def test_a_websocket_of_a_server_that_can_answer_none_is_closed(
    app: Quart, extensions: dict[str, Any] | None, request_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """Only who announces ASGI's ``websocket.http.response`` is sent such an event; others would fail on it."""
    scope: Any = {"type": "websocket", "http_version": "1.1", "path": "me", "raw_path": b"me", "extensions": extensions}
    sent: list[Any] = []

    async def send(event: object) -> None:
        sent.append(event)

    async def receive() -> Any:
        raise AssertionError

    await app(scope, receive, send)
    assert [event["type"] for event in sent] == ["websocket.close"]
    (line,) = request_lines()
    assert (line["method"], line["status"]) == ("GET", 404)


async def test_a_fault_beyond_the_error_handlers(app: Quart, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Where no request can be made at all the answer is a bare 500, and the log has the fault under its id."""

    class Broken(Request):
        def __init__(self, *_: Any, **__: Any) -> None:
            raise ZeroDivisionError("canary")

    app.request_class = Broken
    response = await client.get("/healthz")
    assert await refused(response) == (500, "internal_error")
    assert "canary" not in await response.get_data(as_text=True)
    (fault,) = [record for record in caplog.records if record.getMessage() == "unforeseen"]
    line = json.loads(JsonFormatter().format(fault))
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert "canary" in line["exception"]


async def test_a_view_behind_a_door_refuses_the_start(app: Quart) -> None:
    """Of an application of one's own: a login page at /login would never be seen, whatever its method."""

    @app.get("/login")
    async def page() -> str:
        return "a form"

    with pytest.raises(RuntimeError, match=r"no view is reached: /login$"):
        await app.startup()


async def test_an_answer_that_began_is_not_begun_again(app: Quart, client: Client) -> None:
    """A fault in the middle of an answer is left to the server, which closes the connection."""

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise ZeroDivisionError

        return parts()

    with pytest.raises(ZeroDivisionError):
        await client.get("/stream")
    assert await opened(await client.get("/healthz")) == {"status": "alive"}
