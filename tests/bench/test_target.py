"""What may be loaded, who logs in, and what is sent."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword import strictjson, usernames
from watchword.bench.http import Request
from watchword.bench.target import Target, find, token_of
from watchword.bench.users import User, make_users, read_users
from watchword.passwords import PasswordRules


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://127.0.0.1:8000", 8000),
        ("http://127.8.9.1/", 80),
        ("http://[::1]:9000/", 9000),
        ("HTTP://localhost", 80),
        ("http://127.0.0.1:0", 0),
    ],
)
async def test_this_machine_is_loaded_without_asking(url: str, port: int) -> None:
    """All of 127.0.0.0/8, ::1 and the name localhost are here."""
    target = await find(url)
    assert target.is_here
    assert target.port == port


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8000", "http://0.0.0.0:8000", "http://[2001:db8::1]", "http://10.0.0.1"]
)
async def test_another_machine_is_not_here(url: str) -> None:
    """Private and unspecified addresses are as foreign as public ones."""
    assert not (await find(url)).is_here


def test_a_name_with_one_foreign_address_is_not_here() -> None:
    """A name that stands for loopback and for another machine too is not taken for loopback."""
    assert Target("mixed.example", 80, ("127.0.0.1", "::1")).is_here
    assert not Target("mixed.example", 80, ("127.0.0.1", "192.0.2.1")).is_here


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "https://127.0.0.1",
        "ftp://127.0.0.1",
        "http://",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/login",
        "http://127.0.0.1/?a",
        "http://127.0.0.1:99999",
        "http://\uff4cocalhost:8000",
        "http://no-such-host.invalid",
        "http://" + "a" * 300,
    ],
)
async def test_a_url_is_a_plain_host(url: str) -> None:
    """Anything but scheme, host and port is refused, and never with the password that it may hold."""
    with pytest.raises(ValueError, match=r".") as refusal:
        await find(url)
    assert "secret" not in str(refusal.value)


def test_requests_are_watchwords() -> None:
    """A login is JSON with both fields whatever is in them, a guarded request has the token, both the URL's host."""
    target = Target("localhost", 8000, ("127.0.0.1",))
    login = target.login(User('al"ice', "pässword\\"))
    assert json.loads(login.body) == {"username": 'al"ice', "password": "pässword\\"}
    assert ("Content-Type", "application/json") in login.headers
    assert (login.method, login.path) == ("POST", "/login")
    host = ("Host", "localhost:8000")
    assert target.me("abc.def") == Request("GET", "/me", (host, ("Authorization", "Bearer abc.def")))
    assert host in login.headers


def test_a_token_is_found_or_missed() -> None:
    """The token of a token answer is taken; anything that could not stand in a header is none."""
    assert token_of(b'{"token": "a.b-c_d"}') == "a.b-c_d"
    for body in (
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"token": 1}',
        b'{"token": ""}',
        b'{"token": "a\\r\\nX: b"}',
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(ValueError, match="no token"):
            token_of(body)


def test_made_users_can_be_imported_and_log_in() -> None:
    """Names that are names, passwords that the rules for new ones allow, all different, read back as written."""
    lines = [line.encode() for line in make_users(200)]
    users = read_users([*lines, b"\n"])
    assert len({user.username for user in users}) == len({user.password for user in users}) == 200
    assert [strictjson.loads(line) for line in lines] == [
        {"username": user.username, "password": user.password} for user in users
    ]
    for user in users:
        assert usernames.canonical(user.username) == user.username
        PasswordRules(min_length=15).check(user.password, username=user.username)
    again = read_users(line.encode() for line in make_users(1))
    assert again[0].username not in {user.username for user in users}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"username": "bob", "password_hash": "s3cret"}', "no plain password"),
        (b'{"username": "bob", "password": "s3cret", "disabled": true}', "disabled"),
        (b'{"password": "s3cret"}', "username"),
        (b"s3cret", "not JSON"),
        (b'{"username": "bob", "password": ["s3cret"]}', "password"),
    ],
)
def test_a_line_that_nobody_can_log_in_with_is_named(line: bytes, reason: str) -> None:
    """The message has the line's number and what is wrong, and nothing of a password."""
    with pytest.raises(ValueError, match=reason) as refusal:
        read_users([b'{"username": "alice", "password": "a"}', b"", line])
    assert "line 3" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@given(st.text(), st.text())
def test_a_password_is_never_shown(username: str, password: str) -> None:
    """A user in a traceback or a log does not tell the password."""
    assert repr(User(username, password)) == f"User(username={username!r})"


def test_no_module_of_the_package_knows_the_server() -> None:
    """The load comes from outside: nothing of the service's own is imported but leaves that know none of it."""
    sources = (Path(__file__).parents[2] / "src/watchword/bench").glob("*.py")
    imported = {
        line.split()[1]
        for source in sources
        for line in source.read_text().splitlines()
        if line.startswith("from watchword")
    }
    leaves = {"watchword", "watchword.bearer_tokens", "watchword.markup"}  # of the first, strict JSON
    assert {name for name in imported if not name.startswith("watchword.bench")} <= leaves
