"""A whole blueprint, or a whole application, that asks for a token, and the views that are left out."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from quart import Blueprint, Quart
from quart import websocket as current_websocket
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests
from quart.views import MethodView, View

from tests.builders import FakeClock
from tests.guard.issuer import Issuer
from tests.guard.serving import serving, websocket
from watchword import Guard, current_token, token_required


@pytest.fixture
def guard(issuer: Issuer) -> Guard:
    """A guard without an application yet."""
    return Guard(keys=issuer.keys, issuer=issuer.url)


@pytest.fixture
def app(guard: Guard) -> Quart:
    """An application that asks for nothing by itself."""
    app = Quart(__name__)
    guard.init_app(app)
    return app


async def name() -> str:
    """Who is asking; a view."""
    return current_token.username


async def outcomes(client: Client, path: str, *bearers: dict[str, str]) -> list[int]:
    """The statuses that a path answers without a token, and to each bearer."""
    return [(await client.get(path, headers=headers)).status_code for headers in ({}, *bearers)]


async def test_all_routes_of_a_blueprint_are_guarded(app: Quart, guard: Guard, client: Client, issuer: Issuer) -> None:
    """Nested blueprints too; current_token is there without a decorator, and the rest of the application is open."""
    rooms, lamps = Blueprint("rooms", __name__, url_prefix="/rooms"), Blueprint("lamps", __name__, url_prefix="/lamps")
    guard.require(rooms, scope="house")
    rooms.get("/")(name)
    lamps.get("/")(name)
    rooms.register_blueprint(lamps)
    app.register_blueprint(rooms)

    @app.get("/open")
    async def view() -> str:
        return ""

    bearers = issuer.bearer("Zoë"), issuer.bearer("Zoë", scope="a house b"), {"Authorization": "Bearer nonsense"}
    for path in ("/rooms/", "/rooms/lamps/"):
        assert await outcomes(client, path, *bearers) == [401, 403, 200, 401], path
        assert await (await client.get(path, headers=bearers[1])).get_data(as_text=True) == "Zoë"
    assert await outcomes(client, "/open", *bearers) == [200] * 4
    challenge = (await client.get("/rooms/", headers=bearers[0])).headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="watchword", error="insufficient_scope", scope="house"'


async def test_a_whole_application_is_guarded(app: Quart, guard: Guard, client: Client, issuer: Issuer) -> None:
    """Routes that come later, class-based views and blueprints with all their routes."""
    guard.require(app)
    rooms = Blueprint("rooms", __name__, url_prefix="/rooms")

    class Room(MethodView):
        async def get(self) -> str:
            return current_token.username

    rooms.get("/")(name)
    app.register_blueprint(rooms)
    app.add_url_rule("/room", view_func=Room.as_view("room"))
    app.get("/")(name)
    for path in ("/", "/room", "/rooms/"):
        assert await outcomes(client, path, issuer.bearer()) == [401, 200], path
    assert (await client.get("/static/style.css")).status_code == 401


async def test_a_view_may_be_left_out(app: Quart, guard: Guard, client: Client, issuer: Issuer) -> None:
    """Wherever the mark stands, also on a class-based view; what @token_required asks of the view itself stays."""
    guard.require(app, scope="house")

    @app.get("/below")
    @guard.exempt
    async def below() -> str:
        return ""

    @guard.exempt
    @app.get("/above")
    async def above() -> str:
        return ""

    class Room(MethodView):
        decorators: ClassVar[list[Callable[..., Any]]] = [guard.exempt]

        async def get(self) -> str:
            return ""

    app.add_url_rule("/class", view_func=Room.as_view("room"))

    @app.get("/own")
    @guard.exempt
    @token_required
    async def own() -> str:
        return ""

    @app.get("/optional")
    @token_required(optional=True)
    @guard.exempt
    async def optional() -> str:
        return "" if current_token else "nobody"

    app.get("/guarded")(name)
    for path in ("/below", "/above", "/class"):
        assert await outcomes(client, path, {"Authorization": "Bearer nonsense"}) == [200, 200], path
    assert await outcomes(client, "/own", issuer.bearer()) == [401, 200]
    assert await outcomes(client, "/optional", issuer.bearer(), {"Authorization": "Bearer nonsense"}) == [200, 200, 401]
    assert await outcomes(client, "/guarded", issuer.bearer(), issuer.bearer(scope="house")) == [401, 403, 200]


async def test_a_class_of_views_may_be_left_out(app: Quart, guard: Guard, client: Client) -> None:
    """The class with the mark, and none that inherits from it and may show other things."""
    guard.require(app)

    @guard.exempt
    class Room(MethodView):
        async def get(self) -> str:
            return ""

    @guard.exempt
    class Lamp(View):
        async def dispatch_request(self, **_: object) -> str:
            return ""

    class Safe(Room):
        pass

    for path, view in (("/room", Room), ("/lamp", Lamp), ("/safe", Safe)):
        app.add_url_rule(path, view_func=view.as_view(path))
    statuses = [(await client.get(path)).status_code for path in ("/room", "/lamp", "/safe")]
    assert statuses == [200, 200, 401]


async def test_a_method_of_a_class_of_views_may_be_left_out(app: Quart, guard: Guard, client: Client) -> None:
    """Requests that run it need no token, HEAD by GET's method too; those that run another one do.

    So do those of a class that inherits it, and may show other things by it.
    """
    guard.require(app)

    class Room(MethodView):
        @guard.exempt
        async def get(self) -> str:
            return ""

        async def post(self) -> str:
            return ""

    class Lamp(View):
        @guard.exempt
        async def dispatch_request(self, **_: object) -> str:
            return ""

    class Safe(Room):
        async def get(self) -> str:
            return ""

    class Attic(Room):
        pass

    class Lantern(Lamp):
        pass

    class Cellar(View):
        @guard.exempt
        async def get(self) -> str:  # which no request runs
            return ""

        async def dispatch_request(self, **_: object) -> str:
            return ""

    for view in (Room, Lamp, Safe, Attic, Lantern, Cellar):
        app.add_url_rule(f"/{view.__name__.lower()}", view_func=view.as_view(view.__name__))
    asked = [(await method("/room")).status_code for method in (client.get, client.head, client.post)]
    assert asked == [200, 200, 401]
    assert (await client.get("/lamp")).status_code == 200
    for path in ("/safe", "/attic", "/lantern", "/cellar"):
        assert [(await method(path)).status_code for method in (client.get, client.head)] == [401, 401], path


async def test_a_bound_method_takes_no_mark(app: Quart, guard: Guard, client: Client) -> None:
    """It would be its class's, and leave out every other object's. Where it stands in the class, that is meant."""
    guard.require(app)

    class Room:
        async def closed(self) -> str:
            return ""

        @guard.exempt
        async def open(self) -> str:
            return ""

    with pytest.raises(TypeError, match=r"takes no mark: let @guard\.exempt stand above the method in its class"):
        guard.exempt(Room().closed)
    app.add_url_rule("/closed", "closed", Room().closed)
    app.add_url_rule("/open", "open", Room().open)
    assert [(await client.get(path)).status_code for path in ("/closed", "/open")] == [401, 200]


async def test_a_view_may_ask_for_more(app: Quart, guard: Guard, client: Client, issuer: Issuer) -> None:
    """A scope of the blueprint and one of the view: both are needed, and neither makes the other optional."""
    rooms = Blueprint("rooms", __name__)
    guard.require(rooms, scope="house")

    @rooms.get("/more")
    @token_required(scope="light")
    async def more() -> str:
        return ""

    @rooms.get("/less")
    @token_required(optional=True)
    async def less() -> str:
        return ""

    app.register_blueprint(rooms)
    bearers = [issuer.bearer(scope=scope) for scope in ("", "house", "light", "light house")]
    assert await outcomes(client, "/more", *bearers) == [401, 403, 403, 403, 200]
    assert await outcomes(client, "/less", *bearers) == [401, 403, 200, 403, 200]


async def test_a_blueprint_may_ask_for_a_fresh_login(issuer: Issuer) -> None:
    """By the guard's own clock (RFC 9470)."""
    clock = FakeClock(1_800_000_000)
    guard = Guard(clock=clock, keys=issuer.keys, issuer=issuer.url)
    app = Quart(__name__)
    guard.init_app(app)
    guard.require(app, fresh=300)
    app.get("/")(name)
    for age, status in ((300, 200), (301, 401)):
        async with guard.acting_as("alice", auth_time=clock.now - age):
            assert (await app.test_client().get("/")).status_code == status


async def test_paths_that_lead_nowhere_are_answered_as_ever(app: Quart, guard: Guard, client: Client) -> None:
    """404 and 405 need no token, and neither does the preflight of a guarded route."""
    guard.require(app)
    app.get("/")(name)
    assert (await client.get("/nowhere")).status_code == 404
    assert (await client.post("/")).status_code == 405
    assert (await client.options("/")).status_code == 200

    @app.route("/by-hand", methods=["OPTIONS"], provide_automatic_options=False)
    async def by_hand() -> str:
        return ""

    assert (await client.options("/by-hand")).status_code == 401


async def test_websockets_are_guarded_too(app: Quart, guard: Guard, issuer: Issuer) -> None:
    """Refused before they open, but for the one that is left out."""
    rooms = Blueprint("rooms", __name__, url_prefix="/rooms")
    guard.require(rooms, scope="talk")

    async def echo() -> None:
        await current_websocket.send(current_token.username)
        await current_websocket.receive()

    @rooms.websocket("/open")
    @guard.exempt
    async def anybody() -> None:
        await current_websocket.send("somebody")
        await current_websocket.receive()

    rooms.websocket("/ws")(echo)
    app.register_blueprint(rooms)
    async with serving(app) as port:
        for headers, status in (({}, 401), (issuer.bearer(), 403), (issuer.bearer(scope="talk"), 101)):
            async with websocket(port, "/rooms/ws", headers) as client:
                assert client.status == status
                if status == 101:
                    assert await client.receive() == "alice"
        async with websocket(port, "/rooms/open") as client:
            assert await client.receive() == "somebody"
        async with websocket(port, "/rooms/nowhere") as client:
            assert client.status == 404


def test_a_blueprint_that_is_registered_cannot_be_guarded_any_more(app: Quart, guard: Guard) -> None:
    """It would stay open; so it is an error."""
    rooms = Blueprint("rooms", __name__)
    app.register_blueprint(rooms)
    with pytest.raises(AssertionError, match="can no longer be called on the blueprint"):
        guard.require(rooms)


async def test_an_application_without_the_guard_stays_closed(guard: Guard, issuer: Issuer) -> None:
    """A guarded blueprint in an application that nobody guards answers nobody."""
    rooms, app = Blueprint("rooms", __name__), Quart(__name__)
    guard.require(rooms)
    rooms.get("/")(name)
    app.register_blueprint(rooms)
    assert await outcomes(app.test_client(), "/", issuer.bearer()) == [500, 500]
