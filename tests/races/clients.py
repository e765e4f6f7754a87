"""Clients that race: requests on connections of their own, all sent before any answer is read."""

import asyncio
import json
from contextlib import ExitStack
from typing import Any

from tests.attacks.raw import Answer, answer, ask, connection, log_in, request
from tests.builders import PASSWORD
from tests.servers import Server, watchword
from watchword.model import Session
from watchword.store import sessions, store_at

PROBES = 20
"""How many connections meet both of two workers, but for once in half a million times."""


def add_users(server: Server, *usernames: str) -> None:
    """Accounts on a server's instance."""
    lines = "\n".join(json.dumps({"username": username, "password": PASSWORD}) for username in usernames)
    watchword("users", "import", "-", environ=server.environ, stdin=lines).check_returncode()


def tokens(server: Server, username: str = "alice") -> dict[str, Any]:
    """The token answer of a new login."""
    answered = log_in(server, username, PASSWORD)
    assert answered.status == 200, answered
    members: dict[str, Any] = json.loads(answered.body)
    return members


def post(path: str, body: dict[str, str] | None = None, *, token: str = "") -> bytes:
    """A POST as bytes, as JSON and as a bearer."""
    headers = ["Content-Type: application/json"] if body is not None else []
    headers += [f"Authorization: Bearer {token}"] if token else []
    return request("POST", path, *headers, body=json.dumps(body).encode() if body is not None else b"")


def me(token: str) -> bytes:
    """GET /me as bytes."""
    return request("GET", "/me", f"Authorization: Bearer {token}")


def refreshing(refresh_token: str) -> bytes:
    """A refresh as bytes."""
    return post("/refresh", {"refresh_token": refresh_token})


def refresh(server: Server, refresh_token: str) -> Answer:
    """Refresh and wait for the answer."""
    return ask(server, refreshing(refresh_token))


def at_once(server: Server, data: bytes, *, times: int) -> list[Answer]:
    """The same request on many connections, sent on all before the first answer is read."""
    with ExitStack() as opened:
        connected = [opened.enter_context(connection(server)) for _ in range(times)]
        for each in connected:
            each.sendall(data)
        return [answer(each) for each in connected]


def session_in(url: str, session_id: str) -> Session | None:
    """What the database says of a session."""

    async def look() -> Session | None:
        store = await store_at(url).open()
        found = await store.read(lambda connection: sessions.find(connection, session_id=session_id))
        await store.close()
        return None if found is None else found[0]

    return asyncio.run(look())


def session_of(refresh_token: str) -> str:
    """Which session a refresh token is of."""
    return refresh_token.removeprefix("wwr_").partition(".")[0]
