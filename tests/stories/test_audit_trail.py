"""What happens is an audit event, exactly one for each thing, in the table and in the log (row 100)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, a_user, add_user, an_asker, insert_user, log_in, refresh
from tests.trail import events, trail
from watchword import limits, token_required, tokens
from watchword.app import create_app
from watchword.audit import Entry, Event
from watchword.errors import InvalidCredentials, Overloaded, Unavailable, WatchwordError
from watchword.flows import Tools, admin
from watchword.flows.audit import verify
from watchword.flows.clients import add_client, revoke_client
from watchword.flows.imports import import_users
from watchword.flows.password import change_password
from watchword.flows.sessions import end_session, end_sessions_of, list_sessions
from watchword.limits import STRANGERS
from watchword.model import AccessToken
from watchword.passwords import Hasher
from watchword.refresh_tokens import RefreshToken
from watchword.settings import Settings
from watchword.store.connection import Statement

ANOTHER = "another long password"
NETWORK = "192.0.2.7"

Told = tuple[str, str, str]
"""Event, outcome and detail."""


def told(entries: list[Entry]) -> list[Told]:
    """What is said of each."""
    return [(entry.event, entry.outcome, entry.detail) for entry in entries]


class Browser:
    """A client of the application that remembers what it was given."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.given: list[dict[str, Any]] = []
        self.answers: list[Any] = []

    async def ask(self, method: str, path: str, *, token: str = "", **options: Any) -> Any:
        """Send a request from a network that is known."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        base = {"client": (NETWORK, 4321)}
        answer = await self._client.open(path, method=method, headers=headers, scope_base=base, **options)
        self.answers.append(answer)
        return answer

    async def log_in(self, username: str = "alice", password: object = PASSWORD) -> None:
        """Try, and keep what is given."""
        answer = await self.ask("POST", "/login", json={"username": username, "password": password})
        if answer.status_code == 200:
            self.given.append(await answer.get_json())

    async def refresh(self, *, newest: bool = True) -> None:
        """Exchange the newest refresh token, or the first one."""
        given = self.given[-1 if newest else 0]
        answer = await self.ask("POST", "/refresh", json={"refresh_token": given["refresh_token"]})
        if answer.status_code == 200:
            self.given.append(await answer.get_json())

    async def bear(self, method: str, path: str, **options: Any) -> None:
        """Ask with the newest token."""
        await self.ask(method, path, token=self.given[-1]["token"], **options)

    @property
    def session_id(self) -> str:
        """The newest session."""
        return RefreshToken.parse(self.given[-1]["refresh_token"]).session_id

    async def change(self, current: str, new: str) -> None:
        """Ask for another password."""
        await self.bear("POST", "/password/change", json={"current_password": current, "new_password": new})


def things(browser: Browser) -> Iterator[tuple[str, Callable[[], Awaitable[None]], list[Told]]]:
    """What a client does, one after the other, and what is to be told of it."""
    log_in, bear, change = browser.log_in, browser.bear, browser.change
    created, denied = ("authn_token_created", "success", ""), ("authz_fail", "refused", "reports:read")
    success, changed = ("authn_login_success", "success", ""), ("authn_password_change", "success", "")

    def ended(detail: str) -> Told:
        return ("session_logout", "success", detail)

    def failed(detail: str) -> Told:
        return ("authn_login_fail", "failure", detail)

    yield "a login", log_in, [success]
    yield "a wrong password", partial(log_in, password="wrong"), [failed("wrong_password")]
    yield "a stranger", partial(log_in, "nobody"), [failed("unknown_user")]
    yield "no name at all", partial(log_in, "\r\n{\x1b[31m"), [failed("unknown_user")]
    yield (
        "a password that nobody has",
        partial(log_in, password="x" * 2000),
        [("authn_login_fail", "refused", "invalid_request")],
    )
    yield "no attempt", partial(log_in, password=1), []
    yield "a look", partial(bear, "GET", "/me"), []
    yield "a refresh", browser.refresh, [created]
    yield "a lost answer", partial(browser.refresh, newest=False), [created]
    yield "a scope that is missing", partial(bear, "GET", "/reports"), [denied]
    yield "a token that is none", partial(browser.ask, "GET", "/reports", token="x"), []
    yield (
        "a wrong present password",
        partial(change, "wrong", ANOTHER),
        [("authn_password_change_fail", "failure", "wrong_password")],
    )
    yield "a weak new password", partial(change, "wrong", "short"), []
    yield "a change of password", partial(change, PASSWORD, ANOTHER), [changed]
    yield "a change back", partial(change, ANOTHER, PASSWORD), [changed]
    yield "a second login", log_in, [success]
    yield "a third", log_in, [success]
    yield "an end to the others", partial(bear, "POST", "/logout?scope=others"), [ended("others"), ended("others")]
    yield "once more", partial(bear, "POST", "/logout?scope=others"), []
    yield "a session that is not there", partial(bear, "DELETE", "/sessions/x"), []
    yield "an end to this one", lambda: bear("DELETE", f"/sessions/{browser.session_id}"), [ended("chosen")]
    yield "one more login", log_in, [success]
    yield "a logout", partial(bear, "POST", "/logout"), [ended("local")]
    yield "a logout again", partial(bear, "POST", "/logout"), []


async def test_each_thing_is_one_event(
    settings: Settings, clock: FakeClock, tools: Tools, event_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """Whatever a client does: the events of that request and no others, with who, where and which request; the log
    has the same ones in the same order; first is the start, last is the shutdown, and all verify.
    """
    alice = await add_user(tools)
    await trail(tools)
    app: Quart = create_app(settings, clock=clock)

    @app.get("/reports")
    @token_required(scope="reports:read")
    async def reports() -> str:
        return ""

    before = len(event_lines())
    async with app.test_app():
        browser = Browser(app.test_client())
        (startup,) = event_lines()[before:]
        for name, do, expected in things(browser):
            seen = len(event_lines())
            await do()
            lines = event_lines()[seen:]
            found = [(line["event"], line["outcome"], line.get("detail", "")) for line in lines]
            assert found == expected, name
            for line in lines:
                assert line["request_id"] == browser.answers[-1].headers["X-Request-Id"], name
                assert (line["network"], line["actor"]) == (NETWORK, "user"), name
                is_alice = line.get("detail") not in {"unknown_user", "invalid_request"}
                assert line.get("user_id") == (alice.id if is_alice else None), name
                assert ("session_id" in line) == (not line["event"].startswith("authn_login_fail")), name
    lines = event_lines()[before:]
    assert [line["event"] for line in (startup, lines[-1])] == ["sys_startup", "sys_shutdown"]
    written = [entry for entry in await events(tools.store) if entry.writer == startup["writer"]]
    assert [{**entry._asdict(), "digest": b"", "at": 0} for entry in written] == [
        {"detail": "", "user_id": "", "session_id": "", "network": "", "request_id": "", **line, "digest": b"", "at": 0}
        for line in ({k: v for k, v in line.items() if k not in {"time", "level"}} for line in lines)
    ]
    assert [entry.seq for entry in written] == list(range(1, len(written) + 1))
    states = {
        each.writer: each.state
        async for each in verify(tools.store, seals=tools.recorder.seals, looked_at=lambda _: None)
    }
    assert states[startup["writer"]] == "ended"


async def test_a_reuse_is_told_once(tools: Tools, clock: FakeClock) -> None:
    """However often the token comes again."""
    alice = await add_user(tools)
    first = (await log_in(tools)).refresh_token
    await refresh(tools, refresh_token=(await refresh(tools, refresh_token=first)).refresh_token)
    for _ in range(3):
        with pytest.raises(WatchwordError):
            await refresh(tools, refresh_token=first)
    (reuse,) = [entry for entry in await trail(tools) if entry.event == Event.TOKEN_REUSE]
    assert (reuse.outcome, reuse.user_id) == ("refused", alice.id)
    assert reuse.session_id == RefreshToken.parse(first).session_id


async def test_what_an_operator_does_is_told(tools: Tools) -> None:
    """Users made, changed, deleted, their passwords set, their sessions ended: by the command line, about whom."""
    asker = an_asker(tools, actor="cli", network="")
    alice = await add_user(tools, scope="admin")
    for _ in range(3):
        await log_in(tools)
    before = len(await trail(tools))
    one = RefreshToken.parse((await log_in(tools)).refresh_token).session_id
    await end_session(tools.store, session_id=one, now=tools.clock(), token_lifetime=900, asker=asker)
    assert await end_sessions_of(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=asker) == 3
    await admin.disable_user(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=asker)
    await admin.enable_user(tools.store, username="alice", asker=asker)
    await admin.set_password(
        tools.store,
        tools.hasher,
        username="alice",
        password=ANOTHER,
        rules=tools.password_rules,
        now=tools.clock(),
        token_lifetime=900,
        asker=asker,
    )
    await admin.delete_user(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=asker)
    for dry_run in (True, False):
        lines = [b'{"username": "bob", "password": "a long enough password", "scope": "x"}', b"{}"]
        importing = import_users(
            tools.store,
            tools.hasher,
            lines,
            rules=tools.password_rules,
            now=tools.clock(),
            dry_run=dry_run,
            asker=asker,
        )
        assert [outcome.status async for outcome in importing] == ["added", "refused"]
    entries = await trail(tools)
    assert told(entries[:1]) == [("user_created", "success", "admin")]
    assert told(entries[before:]) == [
        ("authn_login_success", "success", ""),
        *[("session_logout", "success", "chosen")] * 4,
        ("user_updated", "success", "disabled"),
        ("user_updated", "success", "enabled"),
        ("authn_password_change", "success", ""),
        ("user_deleted", "success", ""),
        ("user_created", "success", "x"),
    ]
    assert {(entry.actor, entry.network) for entry in entries[before + 1 :]} == {("cli", "")}
    assert {entry.user_id for entry in entries[:-1]} == {alice.id}


async def test_what_concerns_clients_is_told(
    settings: Settings, tools: Tools, clock: FakeClock, event_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """A client made and revoked, by whom and which; by itself, what it may not, and a session that it ends, of whom."""
    operator = an_asker(tools, actor="cli", network="")
    alice = await add_user(tools)
    given = await log_in(tools)
    seen = len(event_lines())
    secret = await add_client(tools.store, name="x", scopes=["tokens:revoke"], now=tools.clock(), asker=operator)
    client_id = secret[4:26]
    app: Quart = create_app(settings, clock=clock)
    async with app.test_app():
        client = app.test_client()

        async def send(path: str, **form: str) -> None:
            await client.post(path, form={"client_id": "x", "client_secret": secret, **form})

        await client.get("/revocations", headers={"Authorization": f"Bearer {secret}"})
        await send("/oauth/introspect", token="x")
        await send("/oauth/introspect", token="x", client_secret="wrong")
        for _ in range(2):
            await send("/oauth/revoke", token=given.refresh_token)
    await revoke_client(tools.store, name="x", asker=operator)
    lines = [line for line in event_lines()[seen:] if line["actor"] != "service"]
    fields = ("event", "outcome", "detail", "actor", "user_id", "session_id")
    session_id = RefreshToken.parse(given.refresh_token).session_id
    assert [tuple(line.get(name) for name in fields) for line in lines] == [
        ("client_created", "success", f"{client_id} tokens:revoke", "cli", None, None),
        ("authz_fail", "refused", "revocations:read", f"client:{client_id}", None, None),
        ("authz_fail", "refused", "tokens:introspect", f"client:{client_id}", None, None),
        ("authn_token_revoked", "success", None, f"client:{client_id}", alice.id, session_id),
        ("client_revoked", "success", client_id, "cli", None, None),
    ]


async def test_a_name_that_is_taken_is_no_event(tools: Tools) -> None:
    """Nothing has happened."""
    await add_user(tools)
    with pytest.raises(WatchwordError):
        await add_user(tools)
    with pytest.raises(WatchwordError):
        await admin.delete_user(tools.store, username="nobody", now=1, token_lifetime=900, asker=an_asker(tools))
    assert told(await trail(tools)) == [("user_created", "success", "")]


async def test_what_the_throttle_does_is_told(tools: Tools, clock: FakeClock) -> None:
    """Each guess, when an account is closed and for how long, who is sent away, and the login that comes after them;
    about whom, where there is such an account, and of a network alone when it guesses at many.
    """
    alice = await add_user(tools)
    await trail(tools)

    async def attempts(*usernames: str, password: str = "a guess") -> list[Entry]:
        seen = len(await trail(tools))
        for username in usernames:
            with suppress(WatchwordError):
                await log_in(tools, username, password)
        return (await trail(tools))[seen:]

    wrong, throttled = ("authn_login_fail", "failure", "wrong_password"), ("authn_login_fail_max", "refused", "account")
    closed = ("authn_login_lock", "success", "strangers 30")
    entries = await attempts(*["alice"] * (STRANGERS.free + 2))
    assert told(entries) == [*[wrong] * (STRANGERS.free - 1), closed, wrong, throttled, throttled]
    assert {entry.user_id for entry in entries} == {alice.id}
    clock.advance(STRANGERS.first_wait)
    entries = await attempts("alice", "alice", "alice", password=PASSWORD)
    after = ("authn_login_successafterfail", "success", str(STRANGERS.free))  # also of the room that is now its own
    assert told(entries) == [after, after, ("authn_login_success", "success", "")]
    entries = await attempts(*["nobody"] * (STRANGERS.free + 1))
    assert told(entries)[-3:] == [closed, ("authn_login_fail", "failure", "unknown_user"), throttled]
    assert {entry.user_id for entry in entries} == {""}
    entries = await attempts(*(f"name{n}" for n in range(limits.NETWORK.free)))
    assert told(entries)[-1:] == [("excess_rate_limit_exceeded", "refused", "network")]


async def test_an_attempt_that_is_shed_is_told(tools: Tools) -> None:
    """A login for which there is no room is one event, and nothing of the name that was typed is in it."""
    await add_user(tools)
    full = Hasher(tools.hasher.parameters, threads=1, max_wait=0.05)
    with suppress(Overloaded):
        while True:
            full.pool.place("somebody")
    with pytest.raises(Overloaded):
        await log_in(replace(tools, hasher=full))
    full.close()
    (entry,) = (await trail(tools))[1:]
    assert told([entry]) == [("excess_rate_limit_exceeded", "refused", "overloaded")]
    assert entry.user_id == ""


async def test_an_attempt_without_a_database_is_told(tools: Tools, event_lines: Callable[[], list[Any]]) -> None:
    """In the log at once, in the table when it is back."""
    away = Statement("ALTER TABLE users RENAME TO away")
    await tools.store.write(lambda connection: connection.fetch(away))
    with pytest.raises(Unavailable):
        await log_in(tools)
    assert event_lines()[-1]["detail"] == "unavailable"
    assert told(await trail(tools)) == [("authn_login_fail", "refused", "unavailable")]


async def test_an_attempt_that_fails_by_our_own_fault_is_told(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a 500 there is an event as well."""
    await add_user(tools)
    monkeypatch.setattr("watchword.flows.login.new_salt", {}.pop)
    with pytest.raises(TypeError):
        await log_in(tools)
    assert told(await trail(tools))[1:] == [("authn_login_fail", "refused", "internal_error")]


async def test_a_client_that_leaves_is_told(tools: Tools) -> None:
    """An attempt from which the client hangs up has not failed and not succeeded."""
    await add_user(tools)
    attempt = asyncio.create_task(log_in(tools))
    await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert told(await trail(tools))[1:] == [("authn_login_fail", "aborted", "client_left")]


async def left_while_it_is_stored(tools: Tools, change: Coroutine[Any, Any, object]) -> None:
    """Let something happen whose client hangs up the moment that its transaction has begun."""
    write = tools.store.write

    async def leave_and_write(story: Any, **called_back: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        return await write(story, **called_back)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.store, "write", leave_and_write)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(change)
    await tools.store.settle()


async def test_a_login_that_is_done_is_told_although_the_client_has_left(tools: Tools) -> None:
    """A login whose client hangs up while its session is stored: there is one, and that is what is told."""
    await add_user(tools)
    await left_while_it_is_stored(tools, log_in(tools))
    assert told(await trail(tools))[1:] == [("authn_login_success", "success", "")]
    (entry,) = (await trail(tools))[1:]
    ((session, _),) = [each async for each in list_sessions(tools.store, username="alice", now=tools.clock())]
    assert entry.session_id == session.id


async def test_a_change_that_is_done_is_told_although_the_client_has_left(tools: Tools) -> None:
    """A change of password whose client hangs up while it is stored: it is changed, and that is what is told."""
    alice = await add_user(tools)
    token = await bearer(tools)
    await left_while_it_is_stored(
        tools,
        change_password(tools, token=token, current_password=PASSWORD, new_password=ANOTHER, asker=an_asker(tools)),
    )
    assert told(await trail(tools))[2:] == [("authn_password_change", "success", "")]
    assert (await log_in(tools, password=ANOTHER)).token
    assert (await trail(tools))[-1].user_id == alice.id


async def test_a_user_who_is_changed_meanwhile_is_told_with_the_reason(tools: Tools) -> None:
    """Of a known user the event has the id and why; of one without a password too."""
    user = await insert_user(tools, a_user("Carol", password_hash=None))
    with pytest.raises(InvalidCredentials):
        await log_in(tools, "carol")
    (entry,) = await trail(tools)
    assert (entry.detail, entry.user_id) == ("no_password", user.id)


async def bearer(tools: Tools) -> AccessToken:
    """The token of a new login, verified."""
    token = (await log_in(tools)).token
    return tokens.verify(token, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
