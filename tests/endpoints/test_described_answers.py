"""Every answer that is described is given, as it is described; and of those that are given here all are described.

Each route is asked in every way that the description tells of, on a real service.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, Stopwatch, add_user
from tests.builders import log_in as log_in_flow
from tests.endpoints.contract import ask
from tests.endpoints.description import Described, Seen
from tests.endpoints.services import FORM, a_service, basic
from tests.endpoints.services import bearer as as_bearer
from tests.endpoints.test_health import FOREIGN
from tests.endpoints.test_sessions import somebody_barring_writes
from watchword import endpoints
from watchword.denials import MAX_STALENESS, Denials
from watchword.endpoints import Caller
from watchword.endpoints.openapi import DESCRIBED
from watchword.flows import Tools
from watchword.flows.revocations import catch_up
from watchword.guard import Guard
from watchword.keys import KeyRing, SigningKey
from watchword.store.connection import Connection, Statement

JSON = {"Content-Type": "application/json"}
METADATA = "GET /.well-known/oauth-authorization-server"
KEYS = "GET /.well-known/jwks.json"
CHANGE = "POST /password/change"
END = "DELETE /sessions/<session_id>"
OAUTH = ("POST /oauth/introspect", "POST /oauth/revoke")
FEED, METRICS = "GET /revocations", "GET /metrics"
AWAY = Statement("ALTER TABLE clients RENAME TO away")
ALL = ("tokens:introspect", "tokens:revoke", "revocations:read", "metrics:read")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The answers are the same on any database."""
    return sqlite_url


class Service:
    """A service, and what it has been seen to answer."""

    def __init__(self, tools: Tools, described: Described, stopwatch: Stopwatch) -> None:
        self.tools = tools
        self.described = described
        self.stopwatch = stopwatch
        self.seen: set[Seen] = set()
        self.app = self.built(tools)
        self.client = self.app.test_client()

    @staticmethod
    def built(tools: Tools) -> Quart:
        app = Quart("described")
        profile = tools.profile
        Guard(
            app,
            keys=tools.ring,
            issuer=profile.issuer,
            audience=profile.audience,
            clock=tools.clock,
            denials=tools.denials,
        )
        endpoints.mount(app, tools)
        return app

    async def see(
        self,
        route: str,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        members: Any = None,
        data: str = "",
        session: str = "A" * 22,
    ) -> Any:
        """Ask a route, hold the answer against the description, and give its members."""
        method, path = route.split(" ")
        sent = {**(headers or {}), **(JSON if members is not None else {})}
        body = data if members is None else json.dumps(members)
        response = await ask(self.client, method, path.replace("<session_id>", session) + query, sent, body)
        await self.note(route, response)
        return await response.get_json() if response.mimetype == "application/json" else None

    async def note(self, route: str, response: Any) -> None:
        """Hold an answer against the description."""
        assert isinstance(response, Response)
        self.seen.add(await self.described.fits(route, response))

    async def bearer(self) -> dict[str, str]:
        """The header of somebody who has just logged in."""
        return {"Authorization": f"Bearer {(await log_in_flow(self.tools)).token}"}


@pytest.fixture
async def service(tools: Tools) -> Service:
    """A service with one user, and a clock of its own for its news of ended sessions."""
    stopwatch = Stopwatch()
    tools = replace(tools, denials=Denials(monotonic=stopwatch))
    await catch_up(tools.denials, store=tools.store, clock=tools.clock)
    await add_user(tools)
    app = Service.built(tools)
    document: Any = await (await app.test_client().get("/openapi.json")).get_data()
    return Service(tools, Described(document), stopwatch)


@pytest.fixture
def broken(service: Service, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the same service, in which whatever the guard lets through breaks."""

    async def breaks(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    for table in ("DOORS", "ROUTES"):
        rows = [route._replace(view=breaks) for route in getattr(endpoints, table)]
        monkeypatch.setattr(endpoints, table, rows)
    return Service.built(service.tools).test_client()


async def test_every_described_answer_is_given_as_described(
    service: Service, broken: Client, database_url: str
) -> None:
    """Happy or not, each answer has the status, headers and body that are promised; none is promised in vain."""
    for step in (good_answers, to_services, refusals, of_a_body, of_a_bearer, of_a_client):
        await step(service)
    await of_every_route(service, broken)
    await without_the_database(service, database_url)
    await overloaded(service)
    await throttled(service)
    assert service.described.promised() - service.seen == set()
    assert service.seen - service.described.promised() == set()


async def good_answers(service: Service) -> None:
    """What each route is for."""
    issued = await service.see("POST /login", members={"username": "alice", "password": PASSWORD})
    await service.see("POST /refresh", members={"refresh_token": issued["refresh_token"]})
    bearer = {"Authorization": f"Bearer {issued['token']}"}
    await service.see("GET /me", headers=bearer)
    sessions = await service.see("GET /sessions", headers=bearer)
    await service.see("GET /forward-auth", headers=bearer)
    changed = {"current_password": PASSWORD, "new_password": PASSWORD}
    await service.see(CHANGE, headers=bearer, members=changed)
    await service.see(END, headers=bearer, session=sessions["sessions"][0]["id"])
    for scope in ("", "?scope=local", "?scope=others", "?scope=global"):
        await service.see("POST /logout", query=scope, headers=await service.bearer())
    for route in (KEYS, METADATA, "GET /healthz", "GET /readyz", "GET /openapi.json", "GET /docs"):
        await service.see(route)
    await service.see(KEYS, headers={"If-None-Match": "*"})


async def to_services(service: Service) -> None:
    """What services ask for in their own name."""
    secret = await a_service(service.tools, *ALL)
    await log_in_flow(service.tools)
    for route in OAUTH:
        issued = await log_in_flow(service.tools)
        for token in ("x", issued.refresh_token, issued.token):
            await service.see(route, headers={**FORM, **basic("reports", secret)}, data=f"token={token}")
    for route in (FEED, METRICS):
        await service.see(route, headers=as_bearer(secret))
    for query in ("?after=0", "?after=999999999999999999"):
        await service.see(FEED, query=query, headers=as_bearer(secret))


async def refusals(service: Service) -> None:
    """What a route says no to by itself."""
    await service.see("POST /login", members={"username": "alice", "password": "x"})
    await service.see("POST /refresh", members={"refresh_token": "wwr_x"})
    bearer = await service.bearer()
    await service.see("POST /logout", query="?scope=x", headers=bearer)
    await service.see(END, headers=bearer)
    await service.see(FEED, query="?after=x", headers=as_bearer(await a_service(service.tools, *ALL, name="x")))
    await service.see(CHANGE, headers=bearer, members={"current_password": "x", "new_password": PASSWORD})
    await service.see(CHANGE, headers=bearer, members={"current_password": PASSWORD, "new_password": "short"})


async def of_a_body(service: Service) -> None:
    """What any route says that reads a body: nothing in it, too long, under another label, too slow."""
    bearer = await service.bearer()
    for route in service.described.routes():
        (media, *_) = service.described.operation(route).get("requestBody", {"content": [None]})["content"]
        if media is None:
            continue
        label = {**bearer, "Content-Type": media}
        await service.see(route, headers=label, data="{}")
        await service.see(route, headers=label, data="x" * 20_000)
        await service.see(route, headers=bearer, data="{}")
        service.app.config["BODY_TIMEOUT"] = 0.01
        path = route.split(" ")[1]
        async with service.client.request(path, method="POST", headers=label) as connection:
            await connection.send(b"{")
            # The rest does not come.
        await service.note(route, await connection.as_response())
        service.app.config["BODY_TIMEOUT"] = 10


async def of_a_bearer(service: Service) -> None:
    """What any guarded route says to who has no token, a bad one, or one of which there is no news."""
    bearer = await service.bearer()
    routes = [f"{route.method} {route.path}" for route in DESCRIBED if route.caller is Caller.BEARER]
    for route in routes:
        await service.see(route)
        await service.see(route, headers={"Authorization": "Bearer x"})
    service.stopwatch.seconds += MAX_STALENESS + 1
    for route in routes:
        await service.see(route, headers=bearer)
    service.stopwatch.seconds -= MAX_STALENESS + 1


async def of_a_client(service: Service) -> None:
    """What is said to services that have no secret, a wrong one, or one that is not for this."""
    metrics = await a_service(service.tools, "metrics:read", name="metrics")
    tokens = await a_service(service.tools, "tokens:revoke", name="tokens")
    for route in OAUTH:
        for headers in ({}, basic("metrics", "x"), basic("metrics", metrics)):
            await service.see(route, headers={**FORM, **headers}, data="token=x")
    for route in (FEED, METRICS):
        for headers in ({}, as_bearer("x"), as_bearer(tokens)):
            await service.see(route, headers=headers)


async def of_every_route(service: Service, broken: Client) -> None:
    """What any route says to a request that has two ends, and when something breaks."""
    bearer = await service.bearer()
    for route in DESCRIBED:
        name = f"{route.method} {route.path}"
        await service.see(name, headers={"Content-Length": "2", "Transfer-Encoding": "chunked"})
        answer = await ask(broken, route.method, route.path.replace("<session_id>", "x"), bearer)
        assert answer.status_code == 500
        await service.note(name, answer)


async def without_the_database(service: Service, database_url: str) -> None:
    """Somebody else holds the database, or it is another version's."""
    issued = await log_in_flow(service.tools)
    async with somebody_barring_writes(database_url):
        await asyncio.gather(
            service.see("POST /login", members={"username": "alice", "password": PASSWORD}),
            service.see("POST /refresh", members={"refresh_token": issued.refresh_token}),
        )

    secret = await a_service(service.tools, *ALL, name="late")

    async def change(connection: Connection) -> None:
        await connection.fetch(FOREIGN)
        await connection.fetch(AWAY)

    await service.tools.store.write(change)
    await service.see("GET /readyz")
    for route in OAUTH:
        await service.see(route, headers={**FORM, **basic("late", secret)}, data="token=x")
    for route in (FEED, METRICS):
        await service.see(route, headers=as_bearer(secret))


async def overloaded(service: Service) -> None:
    """More passwords wait than can be proven in time."""
    bearer = await service.bearer()
    pool = service.tools.hasher.pool
    pool.expect(1000.0)
    with pool.place("x"), pool.place("y"):
        await service.see("POST /login", members={"username": "alice", "password": PASSWORD})
        await service.see(CHANGE, headers=bearer, members={"current_password": PASSWORD, "new_password": PASSWORD})


async def throttled(service: Service) -> None:
    """Where too many have guessed, at the one account whose password a bearer may change too."""
    bearer = await service.bearer()
    while ("POST /login", 429, "too_many_attempts") not in service.seen:
        await service.see("POST /login", members={"username": "alice", "password": "not this one, but as long"})
    await service.see(CHANGE, headers=bearer, members={"current_password": PASSWORD, "new_password": PASSWORD})


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "HS256"])
async def test_keys_of_each_kind_are_described(service: Service, algorithm: str) -> None:
    """Whatever signs, the published keys are as described, and so are the metadata."""
    key = SigningKey.from_secret(b"s" * 32) if algorithm == "HS256" else SigningKey.generate(algorithm)
    other = Service(replace(service.tools, ring=KeyRing([key])), service.described, service.stopwatch)
    keys = (await other.see(KEYS))["keys"]
    assert len(keys) == (0 if algorithm == "HS256" else 1)
    await other.see(METADATA)
