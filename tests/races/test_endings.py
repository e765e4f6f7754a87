"""Ends that bite everywhere: on all workers of a machine and all nodes of a database, and after every restart."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.attacks.raw import ask
from tests.builders import PASSWORD
from tests.postgresql import fresh_database
from tests.races.clients import PROBES, add_users, me, post, refresh, tokens
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword, watchword_server, workers_of

SECONDS = 1.0 if IS_FULL else 20.0
"""The promise is a second; on a machine that does other things too it is only asked for in full."""
ANOTHER_PASSWORD = "another long password"

End = Callable[[Server, dict[str, Any]], None]


@pytest.fixture(scope="module", params=["three workers on SQLite", "two nodes on PostgreSQL"])
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ...]]:
    """Services on one database; the first is where something is done, all are where it must be noticed."""
    home = tmp_path_factory.mktemp("nodes")
    if request.param == "three workers on SQLite":
        with watchword_server(home / "one", workers=3) as one:
            yield (one,)
    else:
        with (
            fresh_database(request.getfixturevalue("postgresql_server")) as url,
            watchword_server(home / "one", DATABASE_URL=url) as one,
            watchword_server(home / "two", DATABASE_URL=url) as two,
        ):
            yield one, two


def command(*arguments: str, password: str = "") -> End:
    """An end by the command line."""

    def run(server: Server, given: dict[str, Any]) -> None:
        filled = [{"SID": given["sid"], "NAME": given["username"]}.get(each, each) for each in arguments]
        watchword(*filled, environ=server.environ, stdin=password).check_returncode()

    return run


def over_http(path: str, body: dict[str, str] | None = None) -> End:
    """An end by a request."""

    def send(server: Server, given: dict[str, Any]) -> None:
        done = ask(server, post(path, body, token=given["token"]))
        assert (done.status, done.body) == (204, b"")
        assert not done.headers.keys() & {"content-type", "content-length", "transfer-encoding"}

    return send


ENDS: dict[str, End] = {
    "logout": over_http("/logout"),
    "logout everywhere": over_http("/logout?scope=global"),
    "a session ended by command": command("sessions", "end", "SID"),
    "a user's sessions ended by command": command("sessions", "end", "--user", "NAME"),
    "a password set": command("users", "set-password", "NAME", "--password-stdin", password=ANOTHER_PASSWORD),
    "a user disabled": command("users", "disable", "NAME"),
    "a user deleted": command("users", "delete", "NAME"),
}


def test_an_end_bites_everywhere(nodes: tuple[Server, ...]) -> None:
    """Within a second every process refuses the access token, and the refresh token at once; others are untouched."""
    first, *_ = nodes
    usernames = [f"user{number}" for number in range(len(ENDS))]
    add_users(first, "bystander", *usernames)
    bystander = tokens(first, "bystander")
    replayed = []
    for username, (name, end) in zip(usernames, ENDS.items(), strict=True):
        given = {**tokens(first, username), "username": username}
        answered = ask(first, me(given["token"]))
        given["sid"] = json.loads(answered.body)["sid"]
        for node in nodes:
            assert ask(node, me(given["token"])).status == 200, name
        end(first, given)
        assert refresh(nodes[-1], given["refresh_token"]).refused(www_authenticate='Bearer realm="watchword"') == (
            401,
            "invalid_refresh_token",
        )
        wait_until_refused(nodes, given["token"], name)
        replayed.append(given)
    for node in nodes:
        assert ask(node, me(bystander["token"])).status == 200
        for worker in workers_of(node):
            os.kill(worker, signal.SIGKILL)
    for node in nodes:
        for given in replayed:
            assert ask(node, me(given["token"])).status == 401, "a restart has revived a token"
            assert refresh(node, given["refresh_token"]).status == 401
        assert ask(node, me(bystander["token"])).status == 200


def test_a_password_change_ends_the_other_sessions(nodes: tuple[Server, ...]) -> None:
    """The session that changes it goes on, its refresh token too; the user's others are refused everywhere."""
    first, *_ = nodes
    add_users(first, "alice")
    own, other = tokens(first), tokens(nodes[-1])
    body = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    assert ask(first, post("/password/change", body, token=own["token"])).status == 204
    assert refresh(nodes[-1], other["refresh_token"]).status == 401
    wait_until_refused(nodes, other["token"], "password change")
    for node in nodes:
        assert ask(node, me(own["token"])).status == 200
    assert refresh(nodes[-1], own["refresh_token"]).status == 200


def test_without_news_nobody_passes(tmp_path: Path, postgresql_url: str) -> None:
    """While nobody can say which sessions have ended the guard answers 503 and not 200; afterwards 200 again."""
    with watchword_server(tmp_path / "instance", DATABASE_URL=postgresql_url) as server:
        add_users(server, "alice")
        token = tokens(server)["token"]

        async def bar_the_table() -> None:
            holder = await asyncpg.connect(postgresql_url)
            async with holder.transaction():
                await holder.execute("LOCK TABLE revocations IN ACCESS EXCLUSIVE MODE")
                refused = await asyncio.to_thread(wait_for, server, token, 503)
                assert int(refused.headers["retry-after"]) >= 1
                assert json.loads(refused.body)["code"] == "unavailable"
                forward = b"GET /forward-auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
                assert ask(server, forward + token.encode() + b"\r\n\r\n").status == 503
            await holder.close()

        asyncio.run(bar_the_table())
        wait_for(server, token, 200)


def wait_until_refused(nodes: tuple[Server, ...], token: str, name: str) -> None:
    """Ask on ever new connections until all processes refuse, which must be soon."""
    started = time.monotonic()
    while not all(ask(node, me(token)).status == 401 for node in nodes for _ in range(PROBES)):
        assert time.monotonic() - started < SECONDS, f"{name} was not noticed"


def wait_for(server: Server, token: str, status: int) -> Any:
    """Ask until the answer has a status."""
    deadline = time.monotonic() + 20
    while (answered := ask(server, me(token))).status != status:
        assert time.monotonic() < deadline, answered
        time.sleep(0.1)
    return answered
