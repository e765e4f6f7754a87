"""A guarded view: who reaches it, what it knows of the bearer, and in which words the others are refused."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from quart import Blueprint, Quart, Response, g, stream_with_context
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests
from quart.views import MethodView
from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden, HTTPException, Unauthorized

from tests.guard.issuer import Issuer
from tests.guard.serving import serving
from watchword import Guard, current_token, token_required
from watchword.guard import Refusal
from watchword.model import AccessToken

BARE = 'Bearer realm="watchword"'
INVALID = f'{BARE}, error="invalid_token"'


async def refused(response: Response) -> tuple[int, str, str]:
    """Status, code and challenge of a refusal, which is JSON that no cache keeps."""
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    body = json.loads(await response.get_data())
    assert body.keys() == {"error", "code"}
    assert body["error"]
    return response.status_code, body["code"], ", ".join(response.headers.getlist("WWW-Authenticate"))


MISSING_TOKEN = (401, "missing_token", BARE)
INVALID_TOKEN = (401, "invalid_token", INVALID)


async def test_a_bearer_reaches_the_view_and_is_known_there(app: Quart, client: Client, issuer: Issuer) -> None:
    """With a valid token the view runs, arguments and all, and current_token holds the token's claims."""

    @app.get("/reports/<int:number>")
    @token_required
    async def report(number: int) -> dict[str, Any]:
        assert isinstance(current_token, AccessToken)
        return {"number": number, "sub": current_token.sub, "for": current_token.username, "scope": current_token.scope}

    response = await client.get("/reports/7", headers=issuer.bearer("Zoë", scope="b a"))
    assert response.status_code == 200
    assert await response.get_json() == {"number": 7, "sub": "id of Zoë", "for": "Zoë", "scope": "b a"}


@pytest.mark.parametrize(
    ("keep", "body", "told"), [(stream_with_context, b"alice", 0), (lambda stream: stream, b"", 1)], ids=["kept", "not"]
)
async def test_what_is_streamed_knows_the_bearer_by_its_context(
    app: Quart, client: Client, issuer: Issuer, keep: Callable[[Any], Any], body: bytes, told: int
) -> None:
    """The view is over when its stream runs; whoever has not kept the context for that is told what to do."""
    said: list[str] = []

    @app.get("/")
    @token_required
    async def view() -> Any:
        @keep
        async def lines() -> AsyncIterator[str]:
            try:
                yield current_token.username
            except RuntimeError as fault:
                said.append(str(fault))

        return lines()

    assert await (await client.get("/", headers=issuer.bearer())).get_data() == body
    assert ["quart.stream_with_context" in each for each in said] == [True] * told


async def test_what_a_sync_generator_needs_of_the_bearer_its_view_takes(app: Quart, issuer: Issuer) -> None:
    """It runs without a context, and stream_with_context has none for it: on a server it is cut off, and told why."""
    said: list[str] = []

    @app.get("/taken")
    @token_required
    def taken() -> Any:
        name = current_token.username

        def lines() -> Iterator[str]:
            yield name

        return lines()

    @app.get("/asked")
    @token_required
    def asked() -> Any:
        def lines() -> Iterator[str]:
            try:
                yield current_token.username
            except RuntimeError as fault:
                said.append(str(fault))

        return lines()

    async with serving(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
        assert (await browser.get("/taken", headers=issuer.bearer())).text == "alice"
        assert (await browser.get("/asked", headers=issuer.bearer())).text == ""
    assert ["what a sync one needs of it, the view takes before" in each for each in said] == [True]


@pytest.mark.parametrize("flag", ["testing", "debug"])
async def test_a_forgotten_guard_is_told_where_quart_shows_the_fault(app: Quart, client: Client, flag: str) -> None:
    """A view, a hook and a WebSocket that ask for the bearer unguarded: the words outlive Quart's look at locals."""
    setattr(app, flag, True)
    was_asked = asyncio.Event()

    @app.get("/view")
    async def view() -> str:
        return current_token.username

    @app.websocket("/ws")
    async def talk() -> None:
        was_asked.set()
        current_token.username  # noqa: B018

    with pytest.raises(RuntimeError, match="current_token is only there"):
        await client.get("/view")
    with pytest.raises(RuntimeError, match="current_token is only there"):
        async with client.websocket("/ws"):
            await was_asked.wait()

    @app.before_request
    async def hook() -> None:
        current_token.username  # noqa: B018

    with pytest.raises(RuntimeError, match="current_token is only there"):
        await client.get("/nothing")


async def test_what_an_application_keeps_in_g_is_its_own(app: Quart, client: Client) -> None:
    """A refusal does not look there: a request's id that JSON does not know made each one a 500."""

    @app.before_request
    async def name_the_request() -> None:
        g.request_id = uuid4()

    @app.get("/")
    @token_required
    async def view() -> str:
        return ""

    assert await refused(await client.get("/")) == MISSING_TOKEN


async def test_without_a_token_the_view_does_not_run(app: Quart, client: Client) -> None:
    """No token: 401 and the bare challenge, and nothing of the view has happened (RFC 6750 §3.1)."""
    ran = False

    @app.get("/")
    @token_required
    async def view() -> str:
        nonlocal ran
        ran = True
        return ""

    assert await refused(await client.get("/")) == MISSING_TOKEN
    assert not ran


async def test_a_bad_token_is_refused_in_one_way(app: Quart, client: Client, issuer: Issuer) -> None:
    """Forged, expired, of another issuer or for another audience: the same bytes, which name no check (row 95)."""

    @app.get("/")
    @token_required
    async def view() -> str:
        return ""

    genuine = issuer.token()
    bad = {
        "no token at all": "nonsense",
        "cut": genuine[:-1],
        "expired": issuer.token(lifetime=0),
        "signed by a stranger": Issuer().token(),
        "from another issuer": Issuer(url="https://login.example/", key=issuer.key).token(),
        "for another audience": Issuer(audience="another", key=issuer.key).token(),
        "for nobody": Issuer(audience=None, key=issuer.key).token(),
    }
    answers = {}
    for name, token in bad.items():
        response = await client.get("/", headers={"Authorization": f"Bearer {token}"})
        answers[name] = await response.get_data(), sorted(response.headers)
        assert await refused(response) == INVALID_TOKEN, name
    assert len({str(answer) for answer in answers.values()}) == 1
    assert (await client.get("/", headers={"Authorization": f"Bearer {genuine}"})).status_code == 200


@pytest.mark.parametrize(
    ("has", "status"),
    [("", 403), ("a", 403), ("b", 403), ("ab", 403), ("A B", 403), ("b a", 200), ("c a b", 200), ("a b b", 200)],
)
async def test_all_scopes_are_asked_for(app: Quart, client: Client, issuer: Issuer, has: str, status: int) -> None:
    """A token must cover every scope of the view; else 403 and a challenge that names them (RFC 6750 §3.1)."""

    @app.get("/")
    @token_required(scope="b a")
    async def view() -> str:
        return ""

    response = await client.get("/", headers=issuer.bearer(scope=has))
    assert response.status_code == status
    if status == 403:
        challenge = f'{BARE}, error="insufficient_scope", scope="a b"'
        assert await refused(response) == (403, "insufficient_scope", challenge)


async def test_who_has_no_token_is_not_told_of_scopes(app: Quart, client: Client) -> None:
    """Without a valid token it is 401, whatever the view asks for."""

    @app.get("/")
    @token_required(scope="a")
    async def view() -> str:
        return ""

    assert await refused(await client.get("/")) == MISSING_TOKEN
    assert await refused(await client.get("/", headers={"Authorization": "Bearer x"})) == INVALID_TOKEN


@pytest.mark.parametrize("scope", ["", "a"])
async def test_an_optional_token_may_be_missing_but_not_bad(
    app: Quart, client: Client, issuer: Issuer, scope: str
) -> None:
    """Without a token current_token is false; a token that is sent must be valid and cover the scope all the same."""

    @app.get("/")
    @token_required(scope=scope, optional=True)
    async def view() -> str:
        return current_token.username if current_token else "somebody"

    assert await (await client.get("/")).get_data() == b"somebody"
    assert await (await client.get("/", headers={"Authorization": "Basic YTpi"})).get_data() == b"somebody"
    assert await (await client.get("/", headers=issuer.bearer(scope=scope))).get_data() == b"alice"
    assert await refused(await client.get("/", headers={"Authorization": "Bearer x"})) == INVALID_TOKEN
    twice = Headers([("Authorization", "Basic YTpi"), *issuer.bearer(scope=scope).items()])
    assert await refused(await client.get("/", headers=twice)) == INVALID_TOKEN
    if scope:
        assert (await client.get("/", headers=issuer.bearer())).status_code == 403


async def test_blueprints_sync_views_and_classes_are_guarded_alike(app: Quart, client: Client, issuer: Issuer) -> None:
    """The decorator guards a blueprint's view, a function, a class of views and a method; each knows the bearer."""
    blueprint = Blueprint("rooms", __name__, url_prefix="/rooms")

    @blueprint.get("/async")
    @token_required(scope="rooms")
    async def a_room() -> str:
        return current_token.username

    @blueprint.get("/sync")
    @token_required(scope="rooms")
    def another_room() -> str:
        return current_token.username

    class Rooms(MethodView):
        decorators = [token_required(scope="rooms")]  # noqa: RUF012  # as Quart's own documentation writes it

        async def get(self) -> str:
            return current_token.username

    class House:
        async def door(self) -> str:
            return current_token.username

    blueprint.add_url_rule("/class", view_func=Rooms.as_view("class"))
    blueprint.add_url_rule("/method", view_func=token_required(scope="rooms")(House().door))
    app.register_blueprint(blueprint)
    async with app.test_app():  # the start finds no decorator in the wrong place
        for path in ("/rooms/async", "/rooms/sync", "/rooms/class", "/rooms/method"):
            assert await refused(await client.get(path)) == MISSING_TOKEN, path
            assert (await client.get(path, headers=issuer.bearer(scope="other"))).status_code == 403, path
            allowed = await client.get(path, headers=issuer.bearer(scope="rooms"))
            assert (allowed.status_code, await allowed.get_data()) == (200, b"alice"), path


async def test_guards_upon_guards_all_count(app: Quart, client: Client, issuer: Issuer) -> None:
    """A view that is guarded twice asks for what both ask."""

    @app.get("/")
    @token_required(scope="a")
    @token_required(scope="b")
    async def view() -> str:
        return ""

    async with app.test_app():
        for scope, status in (("a", 403), ("b", 403), ("a b", 200)):
            assert (await client.get("/", headers=issuer.bearer(scope=scope))).status_code == status


async def test_an_application_may_reshape_refusals(app: Quart, client: Client, issuer: Issuer) -> None:
    """Error handlers for the status, for HTTPException or for Refusal get the refusal, with the problem on it."""

    @app.get("/")
    @token_required(scope="a")
    async def view() -> str:
        return ""

    @app.errorhandler(401)
    async def unauthorized(error: HTTPException) -> tuple[str, int]:
        return f"who are you? {error.description}", 401

    @app.errorhandler(Refusal)
    async def other(refusal: Refusal) -> tuple[str, int]:
        return f"not you: {refusal.problem.code}", 418

    missing = await client.get("/")
    assert (missing.status_code, await missing.get_data()) == (401, b"who are you? A bearer token is required")
    lacking = await client.get("/", headers=issuer.bearer())
    assert (lacking.status_code, await lacking.get_data()) == (418, b"not you: insufficient_scope")


async def test_the_applications_own_401_stays_its_own(app: Quart, client: Client) -> None:
    """The guard shapes its own refusals and nobody else's."""

    @app.get("/<int:status>")
    async def view(status: int) -> str:
        raise Unauthorized("mine") if status == 401 else Forbidden("mine")

    for status in (401, 403):
        response = await client.get(f"/{status}")
        assert response.status_code == status
        assert response.content_type.startswith("text/html")


class TestCurrentToken:
    """current_token outside of a guarded view says what is wrong."""

    def test_outside_of_any_request(self) -> None:
        """Where no request is answered, asking for a claim raises and names the decorator."""
        with pytest.raises(RuntimeError, match="@token_required"):
            _ = current_token.username

    async def test_in_a_view_without_a_guard(self, app: Quart, issuer: Issuer) -> None:
        """A token that nobody verified is not there, though it was sent."""

        @app.get("/")
        async def view() -> str:
            assert not current_token
            with pytest.raises(RuntimeError, match="@token_required"):
                _ = current_token.username
            return "raised"

        response = await app.test_client().get("/", headers=issuer.bearer())
        assert await response.get_data() == b"raised"

    async def test_where_it_is_optional_and_missing(self, app: Quart) -> None:
        """A claim of a token that was not sent is an error, never None."""

        @app.get("/")
        @token_required(optional=True)
        async def view() -> str:
            with pytest.raises(AttributeError):
                _ = current_token.username
            return "raised"

        assert await (await app.test_client().get("/")).get_data() == b"raised"


class TestAuthorizationHeader:
    """One header, one scheme, one token: whatever else is sent is refused and never a 500 (rows 58 to 60)."""

    @pytest.fixture(autouse=True)
    def route(self, app: Quart) -> None:
        """A guarded view for every method that carries a body."""

        @app.route("/", methods=["GET", "POST"])
        @token_required
        async def view() -> str:
            return current_token.username

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "])
    async def test_the_scheme_in_any_case(self, client: Client, issuer: Issuer, scheme: str) -> None:
        """The name of the scheme has no case, and more than one space may follow it (RFC 9110 §11.1)."""
        response = await client.get("/", headers={"Authorization": f"{scheme} {issuer.token()}"})
        assert (response.status_code, await response.get_data()) == (200, b"alice")

    @pytest.mark.parametrize(
        "value", ["Basic YWxpY2U6eA==", "Token {}", "{}", "", "Bearer\t{}", "Bearer:{}", "\xff {}"]
    )
    async def test_another_scheme_is_no_token(self, client: Client, issuer: Issuer, value: str) -> None:
        """A header of another scheme is as if there were none, though it held a valid token."""
        headers = {"Authorization": value.format(issuer.token())}
        assert await refused(await client.get("/", headers=headers)) == MISSING_TOKEN

    @pytest.mark.parametrize(
        "value",
        [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer {} x",
            "Bearer x {}",
            "Bearer {},",
            "Bearer {}, Bearer {}",
            "Bearer Bearer {}",
            'Bearer "{}"',
            "Bearer {}=",
            "Bearer {}\xa0",
            "Bearer {}\xff",
            "Bearer \xff\xfe",
        ],
    )
    async def test_a_malformed_token_is_invalid(self, client: Client, issuer: Issuer, value: str) -> None:
        """What stands after the scheme is one token and nothing else."""
        headers = {"Authorization": value.replace("{}", issuer.token())}
        assert await refused(await client.get("/", headers=headers)) == INVALID_TOKEN

    @pytest.mark.parametrize("other", ["Bearer {}", "Bearer x", "Basic YTpi", ""])
    @pytest.mark.parametrize("order", [1, -1])
    async def test_two_headers_are_refused(self, client: Client, issuer: Issuer, other: str, order: int) -> None:
        """Of two Authorization headers none is believed, in either order, lest a proxy believe the other one."""
        values = [f"Bearer {issuer.token()}", other.format(issuer.token())][::order]
        headers = Headers([("Authorization", value) for value in values])
        assert await refused(await client.get("/", headers=headers)) == INVALID_TOKEN

    async def test_a_token_elsewhere_is_no_token(self, client: Client, issuer: Issuer) -> None:
        """A token in the query, a form, a cookie or a header of another name is not looked at (row 58)."""
        token = issuer.token()
        elsewhere = [
            await client.get(f"/?access_token={token}&token={token}&authorization=Bearer%20{token}"),
            await client.post("/", form={"access_token": token}),
            await client.post("/", json={"access_token": token, "token": token}),
            *[
                await client.get("/", headers={name: value})
                for name in ("X-Access-Token", "X-Authorization", "Proxy-Authorization", "X-Forwarded-Authorization")
                for value in (token, f"Bearer {token}")
            ],
            await client.get("/", headers={"Cookie": f"access_token={token}; token={token}; Authorization={token}"}),
        ]
        assert [await refused(response) for response in elsewhere] == [MISSING_TOKEN] * len(elsewhere)


def test_a_guarded_view_keeps_its_name() -> None:
    """The decorator leaves a view its name and its docstring."""

    @token_required(scope="a")
    async def reports() -> str:
        """All reports."""
        return ""

    assert (reports.__name__, reports.__doc__) == ("reports", "All reports.")


@pytest.mark.parametrize("first", ["reports:read", ["reports:read"], 300], ids=lambda first: type(first).__name__)
def test_a_scope_in_the_place_of_the_view_is_refused_where_it_stands(first: object) -> None:
    """The route was registered, the application started, and each request was a 500."""
    with pytest.raises(TypeError, match=r"is no view; scopes are named: @token_required\(scope=…\)"):
        token_required(first)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "asked",
    [
        *({"scope": scope} for scope in (None, b"a", ["a"], 7)),
        *({"fresh": fresh} for fresh in (True, 300.0, float("nan"), "300")),
    ],
    ids=repr,
)
def test_a_scope_that_is_no_text_and_a_freshness_that_is_no_whole_number_are_refused(
    issuer: Issuer, asked: dict[str, Any]
) -> None:
    """By the decorator and by ``Guard.require``: against NaN every login was fresh, and True was one second."""
    name = next(iter(asked))
    with pytest.raises(TypeError, match=f"^{name} must be a "):
        token_required(**asked)
    with pytest.raises(TypeError, match=f"^{name} must be a "):
        Guard(keys=issuer.keys).require(Quart("one"), **asked)


@pytest.mark.parametrize(
    "asked",
    [
        *({"scope": scope} for scope in ('a"b', "a\\b", "читать", "a\nb", "a\tb", "ok é", "a" * 1501)),
        *({"fresh": fresh} for fresh in (-1, -300)),
    ],
    ids=lambda asked: repr(asked)[:20],
)
def test_what_no_token_can_ever_satisfy_is_refused_where_it_stands(issuer: Issuer, asked: dict[str, Any]) -> None:
    """By the decorator and by ``Guard.require``: of a scope that no header can hold each refusal was a 500."""
    name = next(iter(asked))
    with pytest.raises(ValueError, match=f"^{name}:? must "):
        token_required(**asked)
    with pytest.raises(ValueError, match=f"^{name}:? must "):
        Guard(keys=issuer.keys).require(Quart("one"), **asked)


@pytest.mark.parametrize("asked", [{"scope": ""}, {"scope": " a  b "}, {"scope": "!#[]~:/"}, {"fresh": 0}], ids=repr)
def test_whatever_a_token_may_have_may_be_asked_for(issuer: Issuer, asked: dict[str, Any]) -> None:
    """Every scope-token of RFC 6749, spaces in any number, and a login of this very second."""
    token_required(**asked)
    Guard(keys=issuer.keys).require(Quart("one"), **asked)


def test_the_guard_object_does_not_outgrow_its_app(issuer: Issuer) -> None:
    """What the guard knows of an application is in the application."""
    guard = Guard(keys=issuer.keys)
    before = dict(vars(guard))
    guard.init_app(Quart("one"))
    assert vars(guard) == before


async def test_a_fresh_login_is_asked_for(app: Quart, client: Client, issuer: Issuer) -> None:
    """A token whose login is older is answered 401 with RFC 9470's challenge, however young the token is itself."""

    @app.get("/")
    @token_required(fresh=300)
    async def view() -> str:
        return current_token.username

    for age, expected in ((0, 200), (299, 200), (301, 401), (86_400, 401)):
        headers = {"Authorization": f"Bearer {issuer.token(login_age=age)}"}
        response = await client.get("/", headers=headers)
        assert response.status_code == expected, age
    assert (await response.get_json())["code"] == "fresh_login_required"
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="watchword", error="insufficient_user_authentication",'
        ' error_description="A more recent login is required", max_age="300"'
    )


async def test_scopes_come_before_freshness_and_an_optional_token_may_be_missing(
    app: Quart, client: Client, issuer: Issuer
) -> None:
    """Who lacks a scope need not log in again to learn it; who has no token is not asked when it was got."""

    @app.get("/")
    @token_required(fresh=300, scope="a")
    async def view() -> str:
        return ""

    @app.get("/optional")
    @token_required(fresh=300, optional=True)
    async def open_view() -> str:
        return ""

    old = {"Authorization": f"Bearer {issuer.token(login_age=301)}"}
    assert (await client.get("/", headers=old)).status_code == 403
    assert (await client.get("/optional")).status_code == 200
    assert (await client.get("/optional", headers=old)).status_code == 401
