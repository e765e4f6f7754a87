"""Bodies that come slowly, never end, or lose their sender on the way to a door."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from quart import Quart

from tests.builders import PASSWORD, add_user
from watchword import endpoints
from watchword.endpoints.exchange import Exchange
from watchword.errors import Overloaded
from watchword.flows import Tools
from watchword.guard import Guard
from watchword.metrics import Metrics
from watchword.problems import problem_of

Event = dict[str, Any]


def login_scope(app: Quart, **changes: Any) -> dict[str, Any]:
    """What a server hands over when somebody posts to /login."""
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "scheme": "http",
        "path": "/login",
        "raw_path": b"/login",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
        **changes,
    }


def part(body: bytes, *, more: bool) -> Event:
    """A piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Event = {"type": "http.disconnect"}


async def ask(app: Quart, events: Sequence[Event], **changes: Any) -> tuple[int | None, dict[str, Any]]:
    """Send events one after the other, then stay silent; return the answer's status and body, if there is an answer."""
    waiting = list(events)
    sent: list[Event] = []

    async def receive() -> Event:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(event: Event) -> None:
        sent.append(event)

    async with asyncio.timeout(20):
        await app(login_scope(app, **changes), receive, send)  # type: ignore[arg-type]
    if not sent:
        return None, {}
    start, *bodies = sent
    return start["status"], json.loads(b"".join(event["body"] for event in bodies))


async def test_a_body_may_come_in_pieces(app: Quart, tools: Tools) -> None:
    """However a body is cut, it is one body."""
    await add_user(tools)
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    status, answer = await ask(app, [part(body[:7], more=True), part(b"", more=True), part(body[7:], more=False)])
    assert (status, answer["token_type"]) == (200, "Bearer")


async def test_a_server_may_leave_out_what_asgi_lets_it(app: Quart, tools: Tools) -> None:
    """``body`` and ``more_body`` have defaults: an event without them is the end of a body, and nothing of it."""
    await add_user(tools)
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    assert (await ask(app, [{"type": "http.request", "body": body}]))[0] == 200
    assert (await ask(app, [part(body, more=True), {"type": "http.request"}]))[0] == 200


async def test_a_body_that_does_not_come_in_time_is_a_408(app: Quart) -> None:
    """Row 29: who sends a body slowly is told so and holds nothing up."""
    app.config["BODY_TIMEOUT"] = 0.05
    status, answer = await ask(app, [part(b"{", more=True)])
    assert (status, answer["code"]) == (408, "request_timeout")


async def test_an_endless_body_is_a_413_before_its_end(app: Quart) -> None:
    """Row 28: no more of a body is received than what decides that it is too long."""
    endless = [part(b"x" * 10_000, more=True) for _ in range(3)]
    status, answer = await ask(app, endless)
    assert (status, answer["code"]) == (413, "payload_too_large")


async def test_a_length_beyond_the_limit_is_a_413_at_once(app: Quart) -> None:
    """Row 28: an announced length is believed, and no byte waited for."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2000000000")]
    status, answer = await ask(app, [], headers=headers)
    assert (status, answer["code"]) == (413, "payload_too_large")


async def test_who_leaves_in_the_midst_of_a_body_gets_no_answer(app: Quart) -> None:
    """Row 71: half a body and a disconnect end the request, and nothing waits for the other half."""
    assert await ask(app, [part(b'{"user', more=True), GONE]) == (None, {})


async def test_who_leaves_while_a_hash_waits_gets_no_answer(app: Quart, tools: Tools) -> None:
    """Row F13: a whole body and a disconnect: the login is cancelled, if it had not been answered already."""
    await add_user(tools)
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    assert await ask(app, [part(body, more=False), GONE]) == (None, {})


async def test_of_a_flood_no_body_is_read(tools: Tools) -> None:
    """Row 91: a network that is refused again and again is refused before its credentials are, and that is counted."""
    await add_user(tools)
    app = Quart("flooded")
    Guard(app, keys=tools.ring, clock=tools.clock, denials=tools.denials)
    endpoints.mount(app, tools, api_docs=False)
    body = part(json.dumps({"username": "alice", "password": PASSWORD}).encode(), more=False)
    tools.hasher.pool.expect(1000.0)
    with tools.hasher.pool.place("x", "127.0.0.1"), tools.hasher.pool.place("y", "127.0.0.1"):
        status: int | None = 408
        while status == 408:  # where a second had ended too early
            assert {(await ask(app, [body]))[0] for _ in range(120)} == {503}
            app.config["BODY_TIMEOUT"] = 0.01
            status, answer = await ask(app, [])
        assert (status, answer["code"]) == (503, "overloaded")
        assert (await ask(app, [body], client=("192.0.2.1", 1)))[0] == 200
    labels = {"outcome": "refused", "reason": "overloaded"}
    assert (tools.metrics.registry.get_sample_value("watchword_logins_total", labels) or 0) % 120 == 1


@pytest.mark.parametrize(
    ("version", "seconds", "ends"),
    [("1.1", 3, False), ("1.1", 4, True), ("1.1", 6, True), ("1.1", 7, False), ("2", 5, False)],
)
async def test_who_comes_back_as_an_idle_connection_ends_is_not_kept_connected(
    app: Quart, version: str, seconds: int, ends: bool
) -> None:
    """The next try would cross with the end of the connection; HTTP/2 knows no such header."""
    sent: list[Event] = []

    async def send(event: Any) -> None:
        sent.append(event)

    scope: Any = login_scope(app, http_version=version)
    await Exchange(scope, send, Metrics()).refuse(problem_of(Overloaded("full", retry_after=seconds)))
    headers = dict(sent[0]["headers"])
    assert headers[b"retry-after"] == b"%d" % seconds
    assert (headers.get(b"connection") == b"close") is ends
