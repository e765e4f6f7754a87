"""The extension: what it takes from an application, what it refuses at the start, and that it never mixes two."""

import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart, websocket
from quart.testing.app import LifespanError
from quart.testing.connections import WebsocketResponseError

from tests.builders import PASSWORD, SECRET, FakeClock, add_user, cheap_settings
from tests.guard.issuer import Issuer, status
from watchword import Guard, create_app, current_token, token_required
from watchword.app import start_tools
from watchword.clock import system_clock
from watchword.instruments import build_tools
from watchword.keys import KeyRefused, KeyRing, SigningKey, VerificationKey


def guarded_app(guard: Guard, **config: object) -> Quart:
    """An application with one guarded view."""
    app = Quart(__name__)
    app.config.update(config)
    guard.init_app(app)

    @app.get("/")
    @token_required
    async def view() -> str:
        return current_token.username

    return app


def tutorial_issuer(secret: str, *, url: str = "http://127.0.0.1:8000") -> Issuer:
    """A service that signs with a shared secret, as in the tutorial."""
    return Issuer(url=url, audience=None, key=SigningKey.from_secret(secret.encode()))


async def test_one_guard_never_mixes_two_applications() -> None:
    """One Guard object on applications of different SECRET_KEY and audience: each believes only its own."""
    guard = Guard()
    letters = [f"{letter} {SECRET}" for letter in "abc"]
    apps = [
        guarded_app(guard, SECRET_KEY=letters[0]),
        guarded_app(guard, SECRET_KEY=letters[1]),
        guarded_app(guard, SECRET_KEY=letters[2], WATCHWORD_AUDIENCE="reports"),
        guarded_app(guard, SECRET_KEY=letters[0], WATCHWORD_AUDIENCE="reports"),
    ]
    issuers = [
        tutorial_issuer(letters[0]),
        tutorial_issuer(letters[1]),
        Issuer(url="http://127.0.0.1:8000", audience="reports", key=SigningKey.from_secret(letters[2].encode())),
        Issuer(url="http://127.0.0.1:8000", audience="reports", key=SigningKey.from_secret(letters[0].encode())),
    ]
    for row, app in enumerate(apps):
        expected = [200 if row == column else 401 for column in range(len(issuers))]
        assert [await status(app, issuer) for issuer in issuers] == expected


async def test_a_shared_secret_guards_as_in_the_tutorial() -> None:
    """Guard(app) alone believes HS256 tokens signed with app.config["SECRET_KEY"], be it text or bytes."""
    for secret in (SECRET, SECRET.encode()):
        app = Quart(__name__)
        app.config["SECRET_KEY"] = secret
        Guard(app)

        @app.get("/")
        @token_required
        async def view() -> str:
            return current_token.username

        assert await status(app, tutorial_issuer(SECRET)) == 200
        assert await status(app, tutorial_issuer(SECRET[::-1])) == 401
        assert await status(app, Issuer(url="http://127.0.0.1:8000")) == 401


async def test_what_is_given_counts_before_the_configuration(issuer: Issuer) -> None:
    """Keys, issuer and audience that the caller names win over those in app.config."""
    guard = Guard(keys=issuer.keys, issuer=issuer.url, audience="watchword")
    config = {"SECRET_KEY": SECRET, "WATCHWORD_ISSUER": "https://other.example", "WATCHWORD_AUDIENCE": "other"}
    app = guarded_app(guard, **config)
    assert await status(app, issuer) == 200
    assert await status(app, tutorial_issuer(SECRET, url="https://other.example")) == 401


@pytest.mark.parametrize("name", ["ISSUER", "AUDIENCE", "SERVICE_TOKEN"])
async def test_none_in_the_configuration_is_none_whatever_the_process_has(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An application that believes the tutorial's tokens lives beside another that is told of a login service."""
    monkeypatch.setenv(f"WATCHWORD_{name}", "https://other.example")
    config = {"SECRET_KEY": SECRET, f"WATCHWORD_{name}": None}
    assert await status(guarded_app(Guard(), **config), tutorial_issuer(SECRET)) == 200


async def test_the_guard_asks_the_clock_it_was_given(issuer: Issuer) -> None:
    """A token is over when the guard's clock says so."""
    clock = FakeClock(2**33)
    app = guarded_app(Guard(keys=issuer.keys, issuer=issuer.url, clock=clock))
    assert await status(app, issuer) == 401


async def test_a_remembered_token_is_refused_when_the_clock_is_put_back(issuer: Issuer) -> None:
    """Of the future it would live longer than it was given; half a minute is a clock that goes a little wrong."""
    clock = FakeClock(system_clock())
    app = guarded_app(Guard(keys=issuer.keys, issuer=issuer.url, clock=clock))
    client, bearer = app.test_client(), issuer.bearer()
    assert (await client.get("/", headers=bearer)).status_code == 200
    clock.advance(-20)
    assert (await client.get("/", headers=bearer)).status_code == 200
    clock.advance(-3600)
    assert (await client.get("/", headers=bearer)).status_code == 401
    clock.advance(3620)
    assert (await client.get("/", headers=bearer)).status_code == 200


async def test_keys_may_be_replaced_while_the_guard_stands(issuer: Issuer) -> None:
    """The guard follows the ring that it was given: a new key verifies at once, one that is gone no longer does."""
    ring = KeyRing()
    app = guarded_app(Guard(keys=ring, issuer=issuer.url))
    assert await status(app, issuer) == 401
    ring.replace([issuer.key.verification])
    assert await status(app, issuer) == 200
    ring.replace([])
    assert await status(app, issuer) == 401


async def test_a_signature_is_looked_at_once_while_its_key_is_there(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others come and go; one that is gone, or another under its name, verifies nothing that it had verified before."""
    looks = Counter[str]()
    verify = VerificationKey.verify

    def counting(key: VerificationKey, message: bytes, signature: bytes) -> None:
        looks[key.kid] += 1
        verify(key, message, signature)

    monkeypatch.setattr(VerificationKey, "verify", counting)
    key, other = issuer.key.verification, SigningKey.generate("EdDSA").verification
    ring = KeyRing([key])
    client = guarded_app(Guard(keys=ring, issuer=issuer.url)).test_client()
    bearer = issuer.bearer()

    async def told() -> int:
        return (await client.get("/", headers=bearer)).status_code

    assert [await told(), await told()] == [200, 200]
    ring.replace([replace(key), other])
    assert await told() == 200
    assert looks == {key.kid: 1}
    for keys in ([other], [replace(other, kid=key.kid)]):
        ring.replace(keys)
        assert await told() == 401
    ring.replace([key])
    assert await told() == 200


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
async def test_a_login_elsewhere_opens_the_door_here(sqlite_url: str, tmp_path: Path, algorithm: str) -> None:
    """A token from POST /login passes another application that has the published keys, or the shared secret."""
    audience = None if algorithm == "HS256" else "watchword"
    settings = cheap_settings(instance=tmp_path, database_url=sqlite_url, algorithm=algorithm, audience=audience)
    service = create_app(settings)
    async with AsyncExitStack() as running, service.test_app():
        tools = build_tools(settings, clock=system_clock)
        await start_tools(tools, settings, running)
        await add_user(tools, "Alice")
        client = service.test_client()
        answer = await client.post("/login", json={"username": "alice", "password": PASSWORD})
        jwks = await (await client.get("/.well-known/jwks.json")).get_data(as_text=True)
    if algorithm == "HS256":
        assert jwks == '{"keys":[]}'  # a secret is not published
        app = guarded_app(Guard(), SECRET_KEY=SECRET)
    else:
        app = guarded_app(Guard(keys=KeyRing.from_jwks(jwks)))
    headers = {"Authorization": f"Bearer {(await answer.get_json())['token']}"}
    response = await app.test_client().get("/", headers=headers)
    assert (response.status_code, await response.get_data()) == (200, b"Alice")


@pytest.mark.parametrize(
    "former", [SECRET, SECRET.encode(), bytearray(40), [None], 7], ids=lambda former: type(former).__name__
)
def test_one_former_secret_is_no_list_of_them(former: object) -> None:
    """The message names the setting, and holds nothing of it."""
    with pytest.raises(RuntimeError, match="SECRET_KEY_FALLBACKS'] must be a list of secrets"):
        guarded_app(Guard(), SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=former)


@pytest.mark.parametrize("secret", [bytearray(40), 7, [SECRET]], ids=lambda secret: type(secret).__name__)
def test_a_secret_of_another_type(secret: object) -> None:
    """The same, where the signature's library would have ended in a bare TypeError."""
    with pytest.raises(RuntimeError, match="SECRET_KEY'] must be a text or bytes"):
        guarded_app(Guard(), SECRET_KEY=secret)


@pytest.mark.parametrize("config", [{}, {"SECRET_KEY": None}, {"SECRET_KEY": ""}, {"SECRET_KEY": b""}])
def test_a_guard_with_nothing_to_verify_with_is_refused(config: dict[str, object]) -> None:
    """Without issuer, keys and SECRET_KEY there is no guard, and the message says what to give it."""
    app = Quart(__name__)
    app.config.update(config)
    with pytest.raises(RuntimeError, match=r"issuer=.*keys=.*SECRET_KEY"):
        Guard(app)
    assert app.extensions == {}


def test_a_short_secret_is_refused() -> None:
    """A SECRET_KEY that HS256 must not be used with is refused, and the message does not hold it (RFC 7518 §3.2)."""
    app = Quart(__name__)
    app.config["SECRET_KEY"] = "hunter2hunter2hunter2hunter2hun"
    with pytest.raises(KeyRefused) as refusal:
        Guard(app)
    assert "32 bytes" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_second_guard_is_refused_and_the_first_one_stays(app: Quart, issuer: Issuer) -> None:
    """Whatever it believes, and however it comes; the message says what to do."""
    first = dict(app.extensions)
    for bind in (Guard(keys=issuer.keys).init_app, Guard):
        with pytest.raises(RuntimeError, match=r"has a guard already.* without Guard\(app\)"):
            bind(app)
    assert app.extensions == first


async def test_routes_of_your_own_in_the_login_service(sqlite_url: str, tmp_path: Path) -> None:
    """The guard of create_app() stays: a blueprint is guarded by a Guard() of no application, and a logout bites."""
    settings = cheap_settings(instance=tmp_path, database_url=sqlite_url)
    app, guard = create_app(settings), Guard()
    rooms = Blueprint("rooms", __name__, url_prefix="/rooms")
    guard.require(rooms)

    @rooms.get("/")
    async def view() -> str:
        return current_token.username

    @rooms.get("/health")
    @guard.exempt
    async def health() -> str:
        return ""

    app.register_blueprint(rooms)
    with pytest.raises(RuntimeError, match=r"has a guard already, one made by create_app\(\) too"):
        guard.init_app(app)
    client = app.test_client()
    async with AsyncExitStack() as running, app.test_app():
        tools = build_tools(settings, clock=system_clock)
        await start_tools(tools, settings, running)
        await add_user(tools, "Alice")
        answer = await client.post("/login", json={"username": "alice", "password": PASSWORD})
        bearer = {"Authorization": f"Bearer {(await answer.get_json())['token']}"}
        statuses = [(await client.get(path)).status_code for path in ("/rooms/", "/rooms/health")]
        assert statuses == [401, 200]
        assert await (await client.get("/rooms/", headers=bearer)).get_data() == b"Alice"
        assert (await client.post("/logout", headers=bearer)).status_code == 204
        assert (await client.get("/rooms/", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("0" * 32, "guessed"),
        (b"0" * 32, "guessed"),
        (b"\xff" * 32, "guessed"),
        ("your-256-bit-secret-your-256-bit-secret", "guessed"),
        ("changeme" * 4, "guessed"),
        (f"{SECRET}\udce9", "not UTF-8"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_a_secret_that_the_service_would_refuse_is_refused_here(name: str, secret: str | bytes, reason: str) -> None:
    """Who guesses it signs for everybody. The message holds nothing of it, nor does what the message came from."""
    config: dict[str, object] = {"SECRET_KEY": SECRET, name: [secret] if name.endswith("S") else secret}
    with pytest.raises(KeyRefused) as refusal:
        guarded_app(Guard(), **config)
    assert reason in str(refusal.value)
    assert SECRET not in repr(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


async def test_an_application_without_a_guard_says_so(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """A guarded view in an application without a guard is closed to everybody, and the log says what is missing."""
    app = Quart(__name__)

    @app.get("/")
    @token_required
    async def view() -> str:
        return ""

    assert await status(app, issuer) == 500
    assert "this application has no guard: call Guard(app)" in caplog.text


def loud(view: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """A decorator as anybody writes one."""

    @wraps(view)
    async def wrapped() -> str:
        return (await view()).upper()

    return wrapped


class Proxy:
    """A decorator that passes for what it decorates, as wrapt's do: whoever marks it marks that."""

    def __init__(self, view: Any) -> None:
        object.__setattr__(self, "__wrapped__", view)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["__wrapped__"], name, value)

    async def __call__(self) -> str:
        return str(await vars(self)["__wrapped__"]())


class Slotted:
    """A decorator that takes no marks."""

    __slots__ = ("__wrapped__",)

    def __init__(self, view: Callable[[], Awaitable[str]]) -> None:
        self.__wrapped__ = view

    async def __call__(self) -> str:
        return await self.__wrapped__()


class Endless:
    """A view that shows another one inside, and so does that one."""

    @property
    def __wrapped__(self) -> "Endless":
        return Endless()

    def __call__(self) -> str:
        return ""


class TestDecoratorsInTheWrongOrder:
    """@token_required above the route would guard nothing: the application does not start, and is told which view."""

    async def refused(self, app: Quart, name: str, *, below: str = "the route") -> None:
        """The start fails and names the view."""
        with pytest.raises(LifespanError, match=rf"above {below} and guards nothing: {name}'?\)?$"):
            async with app.test_app():
                pass

    async def test_on_the_application(self, app: Quart) -> None:
        """A route of the application."""

        @token_required
        @app.get("/")
        async def reports() -> str:
            return ""

        await self.refused(app, "reports")

    @pytest.mark.parametrize("decorator", [loud, Proxy, Slotted, partial])
    async def test_above_other_decorators(
        self, app: Quart, decorator: Callable[[Callable[[], Awaitable[str]]], Callable[[], Awaitable[str]]]
    ) -> None:
        """What stands between the guard and the route hides nothing, also if it hands a mark on or takes none."""

        @token_required
        @decorator
        @loud
        @app.get("/")
        async def reports() -> str:
            return ""

        await self.refused(app, "reports")

    async def test_on_a_blueprint(self, app: Quart) -> None:
        """A route of a blueprint."""
        blueprint = Blueprint("rooms", __name__)

        @token_required(scope="a")
        @blueprint.get("/")
        async def reports() -> str:
            return ""

        app.register_blueprint(blueprint)
        await self.refused(app, r"rooms\.reports")

    async def test_on_a_sync_view(self, app: Quart) -> None:
        """A plain function."""

        @token_required(optional=True)
        @app.get("/")
        def reports() -> str:
            return ""

        await self.refused(app, "reports")

    async def test_on_a_method(self, app: Quart) -> None:
        """Of an object, which takes no mark: its function does."""

        class House:
            async def door(self) -> str:
                return ""

        token_required(app.get("/")(House().door))
        await self.refused(app, "door")

    async def test_on_a_websocket(self, app: Quart) -> None:
        """A WebSocket."""

        @token_required
        @app.websocket("/")
        async def reports() -> None:
            return None

        await self.refused(app, "reports")

    @pytest.mark.parametrize("below", ["before_request", "before_websocket"])
    async def test_before_requests(self, app: Quart, below: str) -> None:
        """What an application or a blueprint runs before its views: all of them were open, and nobody was told."""
        blueprint = Blueprint("rooms", __name__)
        everywhere = below.replace("before", "before_app")
        for register in (getattr(app, below), getattr(blueprint, below), getattr(blueprint, everywhere)):

            async def protect() -> None:
                return None

            token_required(register(protect))
        app.register_blueprint(blueprint)
        await self.refused(app, "protect, protect, protect", below=below)

    async def test_under_another_decorator(self, app: Quart) -> None:
        """A view that is wrapped before it is registered."""

        @token_required
        @app.get("/")
        @loud
        async def reports() -> str:
            return ""

        await self.refused(app, "reports")

    async def test_other_decorators_where_they_may_stand(self, app: Quart, issuer: Issuer) -> None:
        """Below the route, above, between and below guards; and a function that is open at another route."""

        async def reports() -> str:
            return "reports"

        async def around() -> str:
            return await reports()

        app.add_url_rule("/below", "below", token_required(loud(reports)))
        app.add_url_rule("/above", "above", loud(token_required(reports)))
        app.add_url_rule("/between", "between", loud(token_required(loud(token_required(loud(reports))))))
        app.add_url_rule("/open", "open", around)
        async with app.test_app():
            for path in ("/below", "/above", "/between"):
                assert (await app.test_client().get(path)).status_code == 401
                assert (await app.test_client().get(path, headers=issuer.bearer())).status_code == 200
            assert (await app.test_client().get("/open")).status_code == 200

    @pytest.mark.parametrize("view", [Endless(), partial(dict, a="b")], ids=["without an end", "of a built-in type"])
    async def test_views_that_take_no_marks_to_the_end(self, app: Quart, issuer: Issuer, view: Any) -> None:
        """The search for what is inside ends, and guards what it is to guard."""
        app.add_url_rule("/", "view", token_required(view))
        async with app.test_app():
            assert (await app.test_client().get("/")).status_code == 401
            assert await status(app, issuer) == 200

    async def test_above_a_guarded_view(self, app: Quart) -> None:
        """One guard below the route does not make up for the other, whose scope nobody is asked for."""

        @token_required(scope="admin")
        @app.get("/")
        @token_required
        async def reports() -> str:
            return ""

        await self.refused(app, "reports")

    async def test_several_guards_below_the_route(self, app: Quart, issuer: Issuer) -> None:
        """Each of them asks, also around a function that another view is made of."""

        async def reports() -> str:
            return ""

        app.add_url_rule("/", "all", token_required(reports))
        app.add_url_rule("/more", "more", token_required(scope="a")(token_required(scope="b")(reports)))
        async with app.test_app():
            assert await status(app, issuer) == 200
            for scope, expected in (("a", 403), ("b", 403), ("a b", 200)):
                response = await app.test_client().get("/more", headers=issuer.bearer(scope=scope))
                assert response.status_code == expected

    async def test_where_nobody_starts_the_application(self, app: Quart, caplog: pytest.LogCaptureFixture) -> None:
        """A parent application or a test client may not: then the view is not served, and the others are."""

        @token_required
        @app.get("/reports")
        async def reports() -> str:
            return "secret"

        @token_required
        @app.websocket("/news")
        async def news() -> None:
            await websocket.send("secret")

        @app.get("/others")
        @token_required(optional=True)
        async def others() -> str:
            return "others"

        client = app.test_client()
        for path, expected in (("/others", 200), ("/reports", 500), ("/others", 200), ("/nowhere", 404)):
            assert (await client.get(path)).status_code == expected
        with pytest.raises(WebsocketResponseError) as refusal:
            async with client.websocket("/news") as opened:
                await opened.receive()
        assert refusal.value.response.status_code == 500
        for name in ("reports", "news"):
            assert f"above the route and guards nothing: {name}" in caplog.text

    async def test_a_view_that_comes_after_the_start(self, app: Quart) -> None:
        """Quart takes one at any time; it is looked at when it is asked for."""
        async with app.test_app():
            assert (await app.test_client().get("/")).status_code == 404

            @token_required
            @app.get("/")
            async def reports() -> str:
                return "secret"

            assert (await app.test_client().get("/")).status_code == 500

    async def test_the_right_order_starts(self, app: Quart) -> None:
        """Below the route, or what runs before the views, it guards, and the application starts."""

        @app.get("/")
        @token_required
        async def reports() -> str:
            return ""

        blueprint = Blueprint("rooms", __name__, url_prefix="/rooms")

        @blueprint.before_request
        @token_required
        async def protect() -> None:
            return None

        @blueprint.get("/")
        async def room() -> str:
            return ""

        app.register_blueprint(blueprint)
        async with app.test_app():
            for path in ("/", "/rooms/"):
                assert (await app.test_client().get(path)).status_code == 401


def test_hypercorn_does_not_serve_decorators_in_the_wrong_order() -> None:
    """Under the real server too the process ends instead of serving an open view."""
    program = """
import asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart
from watchword import Guard, token_required

app = Quart("wrong")
app.config["SECRET_KEY"] = "6a1f0c93e8b4d27506fb9c31d8e2a475"
Guard(app)

@token_required
@app.get("/")
async def reports():
    return ""

config = Config()
config.bind = ["127.0.0.1:0"]
asyncio.run(serve(app, config))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "guards nothing: reports" in done.stderr


async def test_the_predecessors_of_a_secret_still_verify() -> None:
    """While ``SECRET_KEY_FALLBACKS`` has the former secret its tokens pass; without it they do not."""
    former, present, other = (f"{which} {SECRET}" for which in ("former", "present", "other"))
    lenient = guarded_app(Guard(), SECRET_KEY=present, SECRET_KEY_FALLBACKS=[former])
    strict = guarded_app(Guard(), SECRET_KEY=present)
    for secret, expected in ((present, [200, 200]), (former, [200, 401]), (other, [401, 401])):
        assert [await status(app, tutorial_issuer(secret)) for app in (lenient, strict)] == expected
