"""What every answer has in common: headers, request id, one log line; and that a fault of ours says nothing."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, add_user
from tests.endpoints.conftest import LogIn
from tests.endpoints.contract import BARE, INVALID, ask, opened, refused
from watchword.endpoints import MAX_BODY_BYTES
from watchword.flows import Tools
from watchword.telemetry import JsonFormatter

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The shape of answers is the same on any database."""
    return sqlite_url


async def test_good_answers(tools: Tools, client: Client, log_in: LogIn) -> None:
    """A good answer has the contract's headers and no others; keys may be cached, a token never (row 96)."""
    await add_user(tools)
    credentials = {"username": "alice", "password": PASSWORD}
    await opened(await client.post("/login", json=credentials), pragma="no-cache")
    await opened(await client.get("/me", headers={"Authorization": f"Bearer {await log_in()}"}))
    await opened(await client.get("/healthz"))
    await opened(await client.get("/readyz"))
    keys = await client.get("/.well-known/jwks.json")
    await opened(keys, cache_control="public, max-age=600", etag=f'"{tools.ring.fingerprint}"')


async def test_refusals(client: Client) -> None:
    """Every status that a client can bring about has the contract's headers and body (row 96)."""
    credentials = {"username": "alice", "password": PASSWORD}
    bearer = {"Authorization": "Bearer x"}
    assert await refused(await client.post("/login", json=[])) == (400, "invalid_request")
    response = await client.post("/login", json=credentials)
    assert await refused(response, www_authenticate=BARE) == (401, "invalid_credentials")
    assert await refused(await client.get("/me"), www_authenticate=BARE) == (401, "missing_token")
    assert await refused(await client.get("/me", headers=bearer), www_authenticate=INVALID) == (401, "invalid_token")
    assert await refused(await client.get("/nope")) == (404, "not_found")
    assert await refused(await client.get("/login"), allow="POST") == (405, "method_not_allowed")
    response = await client.post("/login", headers=JSON, data=b" " * (MAX_BODY_BYTES + 1))
    assert await refused(response) == (413, "payload_too_large")
    assert await refused(await client.post("/login", data="x")) == (415, "unsupported_media_type")


async def test_a_fault_of_ours_says_nothing(app: Quart, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen exception is a bare 500; the log has it under the request id, in one line (row 99)."""

    @app.get("/fault")
    async def fault() -> str:
        raise ZeroDivisionError("canary\r\n\x1b[31m")

    with caplog.at_level(logging.INFO):
        response = await client.get("/fault")
    assert await refused(response) == (500, "internal_error")
    text = await response.get_data(as_text=True)
    assert "canary" not in text
    assert "Zero" not in text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    line = JsonFormatter().format(record)
    assert line.isprintable()
    assert json.loads(line)["request_id"] == response.headers["X-Request-Id"]
    assert "ZeroDivisionError: canary" in json.loads(line)["exception"]


async def test_the_service_goes_on_after_a_fault(app: Quart, client: Client) -> None:
    """After a 500 the next request is answered as ever."""

    @app.get("/fault")
    async def fault() -> str:
        raise RecursionError

    assert (await client.get("/fault")).status_code == 500
    assert (await client.get("/healthz")).status_code == 200


async def test_request_ids_are_ours_and_differ(client: Client) -> None:
    """Each answer has an id of its own; one that the client sends is neither used nor told."""
    responses = [await client.get("/healthz", headers={"X-Request-Id": "canary"}) for _ in range(50)]
    ids = {response.headers["X-Request-Id"] for response in responses}
    assert len(ids) == 50
    assert "canary" not in ids


async def test_one_line_per_request(client: Client, request_lines: Callable[[], list[dict[str, Any]]]) -> None:
    """Each request leaves one line with its id, method, route, status and code, and nothing that the client chose."""
    responses = [
        await client.get("/healthz?canary=1", headers={"User-Agent": "canary"}),
        await client.get("/canary"),
        await ask(client, "PUT", "/healthz"),
        await ask(client, "A" * 5000, "/healthz"),
        await client.get("/me", headers={"Authorization": "Bearer canary"}),
        await client.post("/login", json={"username": "canary", "password": "canary"}),
    ]
    lines = request_lines()
    assert [line["request_id"] for line in lines] == [response.headers["X-Request-Id"] for response in responses]
    told = [tuple(line.get(name) for name in ("level", "event", "method", "route", "status", "code")) for line in lines]
    assert told == [
        ("info", "request", "GET", "/healthz", 200, None),
        ("info", "request", "GET", None, 404, "not_found"),
        ("info", "request", "PUT", None, 405, "method_not_allowed"),
        ("info", "request", "A" * 20, None, 405, "method_not_allowed"),
        ("info", "request", "GET", "/me", 401, "invalid_token"),
        ("info", "request", "POST", "/login", 401, "invalid_credentials"),
    ]
    assert all(line["ms"] >= 0 for line in lines)
    assert "canary" not in str(lines)


async def test_an_applications_own_routes_are_shaped_too(app: Quart, client: Client) -> None:
    """A route that somebody adds gets the headers and the id, keeps the headers that it set, and may redirect."""

    @app.get("/mine")
    async def mine() -> tuple[dict[str, int], dict[str, str]]:
        return {"n": 1}, {"Cache-Control": "max-age=1"}

    @app.get("/old")
    async def old() -> tuple[str, int, dict[str, str]]:
        return "", 308, {"Location": "/mine"}

    assert await opened(await client.get("/mine"), cache_control="max-age=1") == {"n": 1}
    moved = await client.get("/old")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/mine")
    assert moved.headers["X-Request-Id"]
