"""Importing users: each line is judged by itself, on either database, and no report holds a password or a hash."""

import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

import bcrypt
import pytest
from werkzeug.security import generate_password_hash

from tests.builders import PASSWORD, add_user, an_asker, log_in
from tests.trail import events, trail
from watchword.audit import Event
from watchword.errors import InvalidCredentials, Unavailable
from watchword.flows import Tools, admin, imports
from watchword.flows.imports import Outcome, import_users
from watchword.model import User
from watchword.passwords import Hasher, Parameters
from watchword.store import users
from watchword.store.connection import Connection

SALT, DIGEST = "c2FsdHNhbHRzYWx0c2FsdA", "ZGlnZXN0" * 5 + "ZGk"
HASH = f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${DIGEST}"


Line = bytes | Mapping[str, object]


def importer(tools: Tools, lines: Iterable[bytes], *, dry_run: bool = False) -> AsyncIterator[Outcome]:
    """An import that begins when it is asked for its first outcome."""
    return import_users(
        tools.store,
        tools.hasher,
        lines,
        rules=tools.password_rules,
        now=tools.clock(),
        dry_run=dry_run,
        asker=an_asker(tools, actor="cli"),
    )


async def load(tools: Tools, lines: Sequence[Line], *, dry_run: bool = False) -> list[Outcome]:
    """Import lines, given as bytes or as what they say."""
    data = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]
    importing = importer(tools, data, dry_run=dry_run)
    return [outcome async for outcome in importing]


async def everybody(tools: Tools) -> list[User]:
    """All users."""
    return [user async for user in admin.list_users(tools.store)]


def statuses(outcomes: Sequence[Outcome]) -> list[tuple[int, str]]:
    """What became of which line."""
    return [(outcome.line, outcome.status) for outcome in outcomes]


async def test_every_member_arrives(tools: Tools) -> None:
    """Name, hash, scope and being disabled are stored as given; what is left out has its default."""
    outcomes = await load(
        tools,
        [
            {"username": "Zoë", "password_hash": HASH, "scope": "a:read  b a:read", "disabled": True},
            {"username": "bob", "password_hash": HASH},
        ],
    )
    assert statuses(outcomes) == [(1, "added"), (2, "added")]
    bob, zoe = await everybody(tools)
    assert (zoe.username, zoe.canonical_name, zoe.password_hash, zoe.scope) == ("Zoë", "zoë", HASH, "a:read b")
    assert zoe.disabled_at == zoe.created_at == tools.clock()
    assert (bob.password_hash, bob.scope, bob.disabled_at) == (HASH, "", None)
    assert bob.id != zoe.id


async def test_who_comes_with_a_password_or_its_hash_can_log_in(tools: Tools) -> None:
    """A plain password is hashed; a hash of other parameters, made elsewhere, lets its owner in as well."""
    elsewhere = Hasher(Parameters(memory_kib=64, passes=3), threads=1, max_wait=10)
    foreign = await elsewhere.hash("another long password")
    elsewhere.close()
    many = [{"username": f"user{number}", "password": f"{PASSWORD} {number}"} for number in range(9)]
    outcomes = await load(
        tools,
        [
            *many,
            {"username": "moved", "password_hash": foreign},
            {"username": "locked", "password": PASSWORD, "disabled": True},
        ],
    )
    assert {outcome.status for outcome in outcomes} == {"added"}
    for number in range(9):
        assert (await log_in(tools, username=f"user{number}", password=f"{PASSWORD} {number}")).token
    assert (await log_in(tools, username="moved", password="another long password")).token
    with pytest.raises(InvalidCredentials):
        await log_in(tools, username="locked", password=PASSWORD)
    assert not any(PASSWORD in str(user.password_hash) for user in await everybody(tools))


async def test_hashes_of_other_systems_open_their_accounts_once_and_are_replaced(tools: Tools) -> None:
    """Row 18: Flask's, Django's and bcrypt's go in as they are; the first good login, and no bad one, stores ours."""
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt", 9)
    theirs = {
        "flask": generate_password_hash(PASSWORD, "scrypt:256:8:1"),
        "old-flask": generate_password_hash(PASSWORD, "pbkdf2:sha256:9"),
        "django": f"pbkdf2_sha256$9$salt${b64encode(salted).decode()}",
        "rails": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    }
    outcomes = await load(tools, [{"username": name, "password_hash": stored} for name, stored in theirs.items()])
    assert {outcome.status for outcome in outcomes} == {"added"}
    for name in theirs:
        with pytest.raises(InvalidCredentials):
            await log_in(tools, username=name, password=f"{PASSWORD}?")
    assert {user.username: user.password_hash for user in await everybody(tools)} == theirs
    for name in theirs:
        assert (await log_in(tools, username=name)).token
    ours = [str(user.password_hash) for user in await everybody(tools)]
    assert all(stored.startswith("$argon2id$v=19$m=8,t=1,p=1$") for stored in ours)
    for name in theirs:
        assert (await log_in(tools, username=name)).token
    assert [user.password_hash for user in await everybody(tools)] == ours


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"{\n", "JSON", id="half an object"),
        pytest.param(b"alice,hunter2\n", "JSON", id="not JSON"),
        pytest.param(b'["alice", "' + HASH.encode() + b'"]\n', "object", id="an array"),
        pytest.param(b'{"username": "\xff", "password": "hunter2 hunter2 hunter2"}\n', "UTF-8", id="not UTF-8"),
        pytest.param({"password": "hunter2 hunter2 hunter2"}, "`username`", id="no name"),
        pytest.param({"username": "a b", "password_hash": HASH}, "A user name cannot have", id="a bad name"),
        pytest.param({"username": "", "password_hash": HASH}, "A user name has 1 to", id="an empty name"),
        pytest.param({"username": 7, "password_hash": HASH}, "`$.username`", id="a number for a name"),
        pytest.param({"username": "a"}, "needs one of password_hash and password", id="neither"),
        pytest.param({"username": "a", "password": None}, "needs one of", id="a null for a password"),
        pytest.param(
            {"username": "a", "password": "hunter2 hunter2 hunter2", "password_hash": HASH}, "needs one of", id="both"
        ),
        pytest.param({"username": "a", "password": "hunter2"}, "at least 15 characters", id="a weak password"),
        pytest.param({"username": "a", "password": "hunter2 \0 hunter2 hunter2"}, "", id="a NUL in a password"),
        pytest.param({"username": "a", "password": ["hunter2"]}, "`$.password`", id="a list for a password"),
        pytest.param({"username": "a", "password_hash": "hunter2"}, "no form that is read here", id="no hash"),
        pytest.param({"username": "a", "password_hash": f"md5${SALT}${DIGEST}"}, "no form", id="too old a kind"),
        pytest.param(
            {"username": "a", "password_hash": f"scrypt:1048576:8:1${SALT}${'0f' * 64}"}, "beyond", id="scrypt too dear"
        ),
        pytest.param(
            {"username": "a", "password_hash": HASH.replace("m=19456", "m=4294967295")}, "beyond", id="a hash too dear"
        ),
        pytest.param({"username": "a", "password_hash": f"{HASH}\n"}, "not an Argon2", id="a hash with a line end"),
        pytest.param({"username": "a", "password_hash": HASH, "scope": 'x"y'}, "scope", id="a bad scope"),
        pytest.param({"username": "a", "password_hash": HASH, "scope": "x\xa0admin"}, "scope", id="a blank in a scope"),
        pytest.param(
            {"username": "a", "password_hash": HASH, "scope": "x" * 1501}, "at most 1500", id="too long a scope"
        ),
        pytest.param({"username": "a", "password_hash": HASH, "scope": ["x"]}, "`$.scope`", id="a list of scopes"),
        pytest.param({"username": "a", "password_hash": HASH, "disabled": "no"}, "`$.disabled`", id="text for a flag"),
        pytest.param({"username": "a", "pasword_hash": HASH}, "unknown", id="a slip in a member's name"),
        pytest.param({"a\x1b[31m\nline 9: added": 1}, "unknown member", id="a name that would forge a line"),
        pytest.param({HASH: "a"}, "unknown member", id="a hash for a name"),
        pytest.param(
            b'{"username": "a", "username": "b", "password_hash": "' + HASH.encode() + b'"}\n', "", id="a name twice"
        ),
        pytest.param(b"[" * 5000 + b"\n", "", id="too deep"),
        pytest.param({"username": "\ud800", "password_hash": HASH}, "", id="half a character"),
    ],
)
async def test_a_bad_line_is_refused_alone(tools: Tools, line: Line, reason: str) -> None:
    """It is named by its number and reason, in one line without secrets, and its neighbours go in."""
    good = [{"username": name, "password_hash": HASH} for name in ("before", "after")]
    outcomes = await load(tools, [good[0], b"  \r\n", line, good[1]])
    assert statuses(outcomes) == [(1, "added"), (3, "refused"), (4, "added")]
    told = outcomes[1].reason
    assert told
    assert reason in told
    assert told.isprintable()
    assert not any(secret in told for secret in ("hunter2", SALT, DIGEST))
    assert [user.canonical_name for user in await everybody(tools)] == ["after", "before"]


async def test_who_is_there_stays_as_is(tools: Tools) -> None:
    """A name that is taken, however it is spelled, is told and not touched; so the same file may be run again."""
    alice = await add_user(tools, "Alice", scope="old")
    lines: list[Line] = [
        {"username": "ALICE", "password_hash": HASH, "scope": "new"},
        {"username": "bob", "password_hash": HASH},
    ]
    assert statuses(await load(tools, lines)) == [(1, "exists"), (2, "added")]
    once = await everybody(tools)
    assert once[0] == alice
    assert statuses(await load(tools, lines)) == [(1, "exists"), (2, "exists")]
    assert await everybody(tools) == once


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_the_second_line_of_a_user_is_refused(tools: Tools, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Of two lines for one user the first counts, wherever batches end; a refused line is no first line."""
    monkeypatch.setattr(imports, "BATCH", batch)
    outcomes = await load(
        tools,
        [
            {"username": "alice"},
            {"username": "alice", "password_hash": HASH, "scope": "first"},
            {"username": "bob", "password_hash": HASH},
            {"username": "ALICE", "password_hash": HASH, "scope": "second"},
        ],
    )
    assert statuses(outcomes) == [(1, "refused"), (2, "added"), (3, "added"), (4, "refused")]
    assert "earlier line" in outcomes[3].reason
    assert [user.scope for user in await everybody(tools)] == ["first", ""]


@pytest.mark.parametrize("batch", [2, 500])
async def test_a_dry_run_tells_the_same_and_keeps_nothing(
    tools: Tools, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Line by line what the import would say, and afterwards the table is as before."""
    monkeypatch.setattr(imports, "BATCH", batch)
    await add_user(tools, "there")
    before = await everybody(tools)
    lines: list[Line] = [
        {"username": "a", "password_hash": HASH},
        {"username": "there", "password_hash": HASH},
        b"nonsense",
        {"username": "b", "password": PASSWORD},
        {"username": "A", "password": PASSWORD},
        {"username": "c", "password": "short"},
    ]
    foretold = await load(tools, lines, dry_run=True)
    assert await everybody(tools) == before
    assert await load(tools, lines) == foretold
    assert {outcome.status for outcome in foretold} == {"added", "exists", "refused"}


async def test_what_was_reported_before_the_database_went_is_stored(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database goes away amid a file, the lines told of so far are in it, and no others."""
    monkeypatch.setattr(imports, "BATCH", 2)
    insert, batches = users.insert_many, 0

    async def insert_two_batches(connection: Connection, batch: Sequence[User]) -> set[str]:
        nonlocal batches
        added = await insert(connection, batch)
        batches += 1
        if batches > 2:
            raise Unavailable("the database answers: gone")
        return added

    monkeypatch.setattr(users, "insert_many", insert_two_batches)
    lines = [json.dumps({"username": f"user{number}", "password_hash": HASH}).encode() for number in range(9)]
    told: list[int] = []

    async def tell() -> None:
        importing = importer(tools, lines)
        async for outcome in importing:
            told.append(outcome.line)

    with pytest.raises(Unavailable):
        await tell()
    assert told == [1, 2, 3, 4]
    assert [user.username for user in await everybody(tools)] == [f"user{number}" for number in range(4)]


async def test_a_larger_file_goes_in_whole(tools: Tools, tmp_path: Path) -> None:
    """More lines than fit into one statement, read as they come: every user is there once."""
    path = tmp_path / "users.jsonl"
    with path.open("w") as file:
        file.writelines(
            json.dumps({"username": f"user{number:05}", "password_hash": HASH}) + "\n" for number in range(2100)
        )
    with path.open("rb") as lines:
        importing = importer(tools, lines)
        outcomes = [outcome async for outcome in importing]
    assert {outcome.status for outcome in outcomes} == {"added"}
    assert [outcome.line for outcome in outcomes] == list(range(1, 2101))
    assert [user.username for user in await everybody(tools)] == [f"user{number:05}" for number in range(2100)]


async def test_every_user_of_a_large_import_is_in_the_audit_trail(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More users than events can wait are imported no faster than their events are written down."""
    monkeypatch.setattr("watchword.recorder.MOST", 2 * imports.BATCH)
    number = 8 * imports.BATCH
    outcomes = await load(tools, [{"username": f"user{each}", "password_hash": HASH} for each in range(number)])
    assert {outcome.status for outcome in outcomes} == {"added"}
    assert [entry.event for entry in await trail(tools)].count(Event.USER_CREATED) == number


async def test_the_trail_is_never_more_than_a_batch_behind(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a line has been told, all users of before are in the trail: who kills an import leaves few untold."""
    monkeypatch.setattr(imports, "BATCH", 2)
    lines = [json.dumps({"username": f"user{number}", "password_hash": HASH}).encode() for number in range(6)]
    async for _ in importer(tools, lines):
        added = [entry.user_id for entry in await events(tools.store)]
        assert sorted(added) == sorted(user.id for user in await everybody(tools))
    assert len(added) == 6
