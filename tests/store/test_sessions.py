"""Sessions and their ends, the same on both databases: one winner of a race, and an end that is announced."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from operator import methodcaller
from typing import Any

import pytest

from tests.builders import a_session, a_user
from watchword.errors import Unavailable, UnknownUser
from watchword.model import AccessToken, Revocation, Session, User
from watchword.store import Store, revocations, sessions, store_at, users
from watchword.store.connection import Connection, Row, Statement

NOW = 1_800_000_000


async def begin(store: Store, user: User, *rows: Session) -> None:
    """Put a user and sessions into the tables."""
    await store.write(partial(users.insert, user=user))
    for others, session in enumerate(rows):
        assert await store.write_one(partial(sessions.open_for, user=user, session=session)) == others


async def find(store: Store, session: Session) -> Session | None:
    """Read a session."""
    found = await store.read(partial(sessions.find, session_id=session.id))
    return None if found is None else found[0]


async def news(store: Store, *, after: int = 0) -> list[Revocation]:
    """All revocations behind a number."""
    return await store.read(partial(revocations.after, seq=after, limit=1000))


@dataclass
class Explained:
    """A connection on which statements are explained and not run.

    Attributes:
        plan: of the latest statement.
    """

    connection: Connection
    dialect: str
    plan: str = ""

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        """Learn how the database would go about it."""
        explain = "EXPLAIN QUERY PLAN" if self.dialect == "sqlite" else "EXPLAIN"
        self.plan = str(
            list(map(tuple, await self.connection.fetch(Statement(f"{explain} {statement.named}"), **values)))
        )
        return []


def a_token(session: Session, *, exp: int | None = None) -> AccessToken:
    """The claims of an access token that a session was given when it began."""
    return AccessToken(
        sub=session.user_id,
        username="alice",
        scope="",
        sid=session.id,
        jti="a token",
        client_id="watchword",
        iat=session.refreshed_at,
        exp=session.token_expires_at if exp is None else exp,
        auth_time=session.auth_time,
    )


async def test_a_session_comes_back_with_its_user(store: Store) -> None:
    """Every field of both survives the database, bytes and non-ASCII text included."""
    user = a_user("Zoë")
    session = a_session(user, salt=bytes(range(16)), user_agent="Mözilla", counter=2**40, network="2001:db8::/64")
    await begin(store, user, session)
    assert await store.read(partial(sessions.find, session_id=session.id)) == (session, user)
    assert await store.read(partial(sessions.find, session_id="nobody's")) is None


async def test_of_fifty_who_refresh_at_once_one_does(store: Store) -> None:
    """The statement has one winner; the others learn that they lost."""
    user = a_user()
    session = a_session(user)
    await begin(store, user, session)
    refreshed = session.refreshed(now=NOW + 5, idle=60).with_token(now=NOW + 5, lifetime=900)
    story = partial(sessions.refresh, session=session, refreshed=refreshed, now=NOW + 5)
    outcomes = await asyncio.gather(*(store.write_one(story) for _ in range(50)))
    assert [outcome for outcome in outcomes if outcome is not None] == [refreshed]
    assert await find(store, session) == refreshed
    assert (refreshed.counter, refreshed.ends_at) == (1, NOW + 65)


@pytest.mark.parametrize("change", ["over", "ended", "disabled", "password changed", "deleted"])
async def test_a_session_that_should_not_go_on_is_not_refreshed(store: Store, change: str) -> None:
    """What happened between the look and the refresh counts."""
    user = a_user()
    session = a_session(user)
    await begin(store, user, session)
    now = NOW

    async def meanwhile(connection: Connection) -> None:
        if change == "ended":
            await sessions.end(connection, session_id=session.id, user_id=user.id, now=NOW, token_lifetime=900)
        elif change == "disabled":
            await users.set_disabled(connection, canonical_name="alice", disabled_at=NOW)
        elif change == "password changed":
            await users.set_password(connection, canonical_name="alice", password_hash="new")
        elif change == "deleted":
            await users.delete(connection, canonical_name="alice")

    await store.write(meanwhile)
    if change == "over":
        now = session.ends_at
    refreshed = session.refreshed(now=NOW, idle=60)
    story = partial(sessions.refresh, session=session, refreshed=refreshed, now=now)
    assert await store.write_one(story) is None


async def test_the_latest_expiry_of_a_token_is_never_forgotten(store: Store) -> None:
    """Whoever gives an access token later, but one that expires sooner, shortens no memory."""
    user = a_user()
    session = a_session(user)
    await begin(store, user, session)
    for expiry, expected in ((NOW + 950, NOW + 950), (NOW + 920, NOW + 950)):
        noted = replace(session, token_expires_at=expiry)
        assert await store.write_one(partial(sessions.note_token, session=noted)) == noted
        found = await find(store, session)
        assert found is not None
        assert found.token_expires_at == expected
    refreshed = replace(session.refreshed(now=NOW, idle=60), token_expires_at=NOW + 10)
    await store.write_one(partial(sessions.refresh, session=session, refreshed=refreshed, now=NOW))
    assert await find(store, session) == replace(refreshed, token_expires_at=NOW + 950)


async def test_an_end_is_announced_with_what_must_be_remembered(store: Store) -> None:
    """One session goes, with it a revocation comes; a second end finds nothing and announces nothing."""
    user = a_user()
    ended, kept = a_session(user), a_session(user)
    await begin(store, user, ended, kept)
    story = partial(sessions.end, session_id=ended.id, user_id=user.id, now=NOW + 7, token_lifetime=900)
    announced = await store.write(story)
    assert [(each.session_id, each.revoked_at, each.expires_at) for each in announced] == [
        (ended.id, NOW + 7, NOW + 7 + 900)  # a row from a backup would know nothing of younger tokens
    ]
    assert await store.write(story) == []
    assert await store.write(partial(story, presented=a_token(ended, exp=announced[0].expires_at))) == []
    assert await news(store) == announced
    assert await find(store, ended) is None
    assert await find(store, kept) == kept


@pytest.mark.parametrize(
    ("given_for", "lifetime", "remembered_for"),
    [
        pytest.param(900, 900, 900, id="as ever"),
        pytest.param(10, 900, 900, id="raised since the backup"),
        pytest.param(900, 10, 900, id="lowered since the backup"),
    ],
)
@pytest.mark.parametrize("is_stored", [True, False], ids=["old row", "no row"])
async def test_an_end_is_remembered_for_as_long_as_any_token_can_live(
    store: Store, given_for: int, lifetime: int, remembered_for: int, *, is_stored: bool
) -> None:
    """Also for a token that was given just now, of which a database that was restored knows nothing."""
    user = a_user()
    session = a_session(user, token_expires_at=NOW + given_for)
    await begin(store, user, *([session] if is_stored else []))
    now = NOW + 5
    story = partial(sessions.end, session_id=session.id, user_id=user.id, now=now, token_lifetime=lifetime)
    (announced,) = await store.write(story if is_stored else partial(story, presented=a_token(session)))
    assert (announced.session_id, announced.expires_at) == (session.id, now + remembered_for)


async def test_an_end_is_remembered_for_as_long_as_the_token_that_is_shown_can_live(store: Store) -> None:
    """Others may have been given as late and for as long; the row is older, and the lifetime has been lowered since."""
    user = a_user()
    session = a_session(user, token_expires_at=NOW + 10)
    await begin(store, user, session)
    (announced,) = await store.write(
        partial(
            sessions.end,
            session_id=session.id,
            user_id=user.id,
            now=NOW + 5,
            token_lifetime=10,
            presented=a_token(session, exp=NOW + 900),
        )
    )
    assert announced.expires_at == NOW + 5 + 900


async def test_an_end_is_remembered_though_the_clock_was_set_back(store: Store) -> None:
    """A token that was given before that lives longer than any that is given now."""
    user = a_user()
    session = a_session(user, refreshed_at=NOW + 100, token_expires_at=NOW + 1000)
    await begin(store, user, session)
    story = partial(sessions.end, session_id=session.id, user_id=user.id, now=NOW, token_lifetime=900)
    (announced,) = await store.write(story)
    assert announced.expires_at == NOW + 1000


async def test_the_end_of_a_session_that_is_not_there_is_announced_once(store: Store) -> None:
    """Whoever asks again and again, with a token whose end is remembered already, adds no rows."""
    session = a_session(a_user())
    story = partial(sessions.end, session_id=session.id, user_id=session.user_id, token_lifetime=900)
    await store.write(partial(story, now=NOW, presented=a_token(session, exp=NOW + 800)))
    for later in range(1, 3):
        for expiry in (NOW + 800, NOW + 900):
            presented = a_token(session, exp=expiry)
            assert await store.write(partial(story, now=NOW + later, presented=presented)) == []
    assert len(await news(store)) == 1


async def test_an_end_is_looked_for_by_its_session(store: Store) -> None:
    """Among all that are remembered: a look through each of them would keep everybody else from writing meanwhile."""

    async def plan(connection: Connection) -> str:
        ended = [(f"session {number}", NOW + number) for number in range(5000)]
        await revocations.insert(connection, ended, now=NOW)
        explained = Explained(connection, store.dialect)
        await revocations.is_announced(explained, session_id="session 7", until=NOW)
        return explained.plan

    assert "revocations_of_session" in await store.write(plan)


async def test_nobody_ends_a_session_of_somebody_else(store: Store) -> None:
    """The id alone is not enough."""
    alice, bob = a_user("alice"), a_user("bob")
    session = a_session(alice)
    await begin(store, alice, session)
    await begin(store, bob)
    assert (
        await store.write(partial(sessions.end, session_id=session.id, user_id=bob.id, now=NOW, token_lifetime=900))
        == []
    )
    assert await find(store, session) == session


async def test_all_sessions_of_one_user_end_but_the_kept_one(store: Store) -> None:
    """More than fit into one statement, each announced once, in order; nobody else is touched."""
    alice, bob = a_user("alice"), a_user("bob")
    kept, others = a_session(alice), a_session(bob)
    await begin(store, alice, kept)
    await begin(store, bob, others)

    async def open_many(connection: Connection) -> None:
        for _ in range(1100):
            await sessions.open_for(connection, alice, session=a_session(alice))

    await store.write(open_many)
    announced = await store.write(
        partial(sessions.end_all, user_id=alice.id, now=NOW, token_lifetime=900, kept=kept.id)
    )
    assert len({each.session_id for each in announced}) == 1100
    assert [each.seq for each in announced] == sorted({each.seq for each in announced})
    assert await find(store, kept) == kept
    assert await find(store, others) == others
    assert len(await store.write(partial(sessions.end_all, user_id=alice.id, now=NOW, token_lifetime=900))) == 1
    assert await store.read(partial(sessions.of_user, user_id=alice.id, now=NOW)) == []


async def test_who_has_seen_a_number_never_misses_a_smaller_one(database_url: str) -> None:
    """A number is taken by one transaction at a time: while it is not committed, no later number is to be seen."""
    one, two = await store_at(database_url).open(), await store_at(database_url).open()
    user = a_user()
    crowd = [a_session(user) for _ in range(60)]
    await begin(one, user, *crowd)
    seen: list[int] = []
    ended = asyncio.Event()

    async def poll() -> None:
        while not ended.is_set() or len(seen) < len(crowd):
            seen.extend(each.seq for each in await news(two, after=seen[-1] if seen else 0))

    async def end(store: Store, session: Session) -> None:
        await store.write(partial(sessions.end, session_id=session.id, user_id=user.id, now=NOW, token_lifetime=900))

    polling = asyncio.create_task(poll())
    await asyncio.gather(*(end((one, two)[number % 2], session) for number, session in enumerate(crowd)))
    ended.set()
    async with asyncio.timeout(10):
        await polling
    assert seen == [each.seq for each in await news(one)]
    assert len(seen) == len(crowd)
    await one.close()
    await two.close()


async def test_a_number_waits_for_the_one_before_it(database_url: str) -> None:
    """With one transaction in the midst of a revocation, a second gets its number only after the first has ended."""
    one, two = await store_at(database_url).open(), await store_at(database_url).open()
    user = a_user()
    first, second = a_session(user), a_session(user)
    await begin(one, user, first, second)
    slow = Statement(
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT count(*) FROM n"
    )
    announced: list[Revocation] = []

    async def end_slowly(connection: Connection) -> None:
        ended = await sessions.end(connection, session_id=first.id, user_id=user.id, now=NOW, token_lifetime=900)
        await connection.fetch(slow)
        announced.extend(ended)

    async def end(connection: Connection) -> None:
        announced.extend(
            await sessions.end(connection, session_id=second.id, user_id=user.id, now=NOW, token_lifetime=900)
        )

    slowly = asyncio.create_task(one.write(end_slowly))
    await asyncio.sleep(0.03)
    await two.write(end)
    await slowly
    assert [each.session_id for each in announced] == [first.id, second.id]
    assert announced == await news(one)
    await one.close()
    await two.close()


async def test_numbers_are_never_given_again(store: Store) -> None:
    """Also when the newest rows have been removed."""
    user = a_user()
    first, second = a_session(user), a_session(user)
    await begin(store, user, first, second)
    (earlier,) = await store.write(
        partial(sessions.end, session_id=first.id, user_id=user.id, now=NOW, token_lifetime=900)
    )
    assert await store.read(revocations.latest) == earlier.seq
    assert await store.write_one(partial(revocations.purge, before=NOW + 10_000, limit=10)) == 1
    assert await store.read(revocations.latest) == 0
    (later,) = await store.write(
        partial(sessions.end, session_id=second.id, user_id=user.id, now=NOW, token_lifetime=900)
    )
    assert later.seq > earlier.seq


async def test_an_end_that_a_trigger_drops_is_no_end(store: Store) -> None:
    """A logout that is answered with the session gone, and nobody told of it, would let its tokens pass."""
    dropping = {
        "sqlite": ["CREATE TRIGGER drops BEFORE INSERT ON revocations BEGIN SELECT RAISE(IGNORE); END"],
        "postgresql": [
            "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER drops BEFORE INSERT ON revocations FOR EACH ROW EXECUTE FUNCTION drop_it()",
        ],
    }
    user = a_user()
    session = a_session(user)
    await begin(store, user, session)
    for statement in dropping[store.dialect]:
        await store.write(methodcaller("fetch", Statement(statement)))
    with pytest.raises(Unavailable, match="has it a trigger that drops rows"):
        await store.write(partial(sessions.end_all, user_id=user.id, now=NOW, token_lifetime=900))
    assert await find(store, session) == session


@pytest.fixture
async def loose(sqlite_url: str) -> AsyncIterator[Store]:
    """A database to whose collation users' names in another case are the same."""
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        compared = "replace(sql, 'canonical_name TEXT', 'canonical_name TEXT COLLATE NOCASE')"
        connection.execute(f"UPDATE sqlite_schema SET sql = {compared} WHERE name = 'users'")
    store = await store_at(sqlite_url).open()
    try:
        await store.write(methodcaller("fetch", Statement("REINDEX users")))
        yield store
    finally:
        await store.close()


async def test_a_name_is_one_spelling_whatever_the_database_compares(loose: Store) -> None:
    """The throttle counts each spelling by itself: with a collation that takes more for the same it would see none."""
    user = a_user()
    await loose.write(partial(users.insert, user=user))
    loosely = Statement("SELECT id FROM users WHERE canonical_name = :name")
    assert await loose.read(methodcaller("fetch", loosely, name=user.canonical_name.upper())) == [(user.id,)]
    assert await loose.read(partial(users.find_by_name, canonical_name=user.canonical_name)) == user
    assert await loose.read(partial(users.find_by_name, canonical_name=user.canonical_name.upper())) is None


@pytest.mark.parametrize(
    "change",
    [
        partial(users.set_disabled, disabled_at=NOW),
        partial(users.set_password, password_hash="another"),
        users.delete,
    ],
    ids=["disable", "set-password", "delete"],
)
async def test_another_spelling_changes_no_user(
    loose: Store, change: Callable[..., Coroutine[Any, Any, str | None]]
) -> None:
    """Who disables or deletes one whose name is not there would be told that it is done, and do it to somebody else."""
    user = a_user()
    await loose.write(partial(users.insert, user=user))
    with pytest.raises(UnknownUser):
        await loose.write(partial(change, canonical_name=user.canonical_name.upper()))
    assert await loose.read(partial(users.find_by_id, user_id=user.id)) == user
    await loose.write(partial(change, canonical_name=user.canonical_name))
    assert await loose.read(partial(users.find_by_id, user_id=user.id)) != user


async def test_only_what_may_have_a_token_is_loaded(store: Store) -> None:
    """The number is that of the newest, whether or not it is among those that count."""
    user = a_user()
    living, over = a_session(user), a_session(user, token_expires_at=NOW - 1)
    await begin(store, user, living, over)
    (announced,) = await store.write(
        partial(sessions.end, session_id=living.id, user_id=user.id, now=NOW, token_lifetime=900)
    )
    (newest,) = await store.write(
        partial(sessions.end, session_id=over.id, user_id=user.id, now=NOW - 901, token_lifetime=900)
    )
    assert await store.read(partial(revocations.living, since=NOW, limit=9)) == (newest.seq, [announced])


async def test_what_is_living_is_found_past_all_that_is_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By when they expire: each look for the living ends would walk past all that are over, which are kept a day."""

    async def seq_of_none(_: Connection) -> int:
        return 0

    monkeypatch.setattr(revocations, "latest", seq_of_none)  # a plan has no number

    async def plan(connection: Connection) -> str:
        ended = [(f"session {number}", NOW - 1 if number < 5000 else NOW + 900) for number in range(5200)]
        await revocations.insert(connection, ended, now=NOW)
        if store.dialect == "postgresql":  # as it does by itself
            await connection.fetch(Statement("ANALYZE revocations"))
        explained = Explained(connection, store.dialect)
        await revocations.living(explained, since=NOW, limit=9)
        return explained.plan

    assert "revocations_by_expiry" in await store.write(plan)


async def test_living_ends_come_in_the_order_of_their_numbers(store: Store) -> None:
    """Whenever they expire, and a page is of those with the smallest."""

    async def story(connection: Connection) -> list[Revocation]:
        ended = [(f"session {number}", NOW + expiry) for number, expiry in enumerate([900, 0, 30, 600, -1, 60, 10])]
        return await revocations.insert(connection, ended, now=NOW)

    announced = [each for each in await store.write(story) if each.expires_at > NOW]
    everything = await store.read(partial(revocations.living, since=NOW, limit=9))
    page = await store.read(partial(revocations.living, since=NOW, limit=3))
    assert everything[1] == announced
    assert page == (announced[2].seq, announced[:3])


async def test_what_is_over_is_removed_a_few_at_a_time(store: Store) -> None:
    """Those that ended first go first, no more than was asked for, and none that is not over."""
    user = a_user()
    rows = [a_session(user, ends_at=NOW + second) for second in range(5)]
    await begin(store, user, *rows)
    story = partial(sessions.purge, before=NOW + 3, limit=3)
    assert await store.write_one(story) == 3
    assert [await find(store, session) for session in rows] == [None, None, None, *rows[3:]]
    assert await store.write_one(story) == 1
    assert await store.write_one(story) == 0
    assert await find(store, rows[4]) == rows[4]


async def test_lists_show_what_is_not_over(store: Store) -> None:
    """One user's by their last use, everybody's page by page."""
    alice, bob = a_user("alice"), a_user("bob")
    rows = [a_session(alice, refreshed_at=NOW + second, counter=second) for second in range(3)]
    over = a_session(alice, ends_at=NOW)
    others = a_session(bob)
    await begin(store, alice, *rows, over)
    await begin(store, bob, others)
    assert await store.read(partial(sessions.of_user, user_id=alice.id, now=NOW)) == rows[::-1]
    seen: list[tuple[Session, str]] = []
    while page := await store.read(partial(sessions.page, after=seen[-1][0].id if seen else "", limit=2, now=NOW)):
        seen += page
    expected = [(session, "alice") for session in rows] + [(others, "bob")]
    assert sorted(seen, key=lambda each: each[0].id) == sorted(expected, key=lambda each: each[0].id)


@pytest.mark.parametrize(("kept", "listed"), [(4, [4, 3, 2]), (2, [4, 3, 2]), (0, [4, 3, 0])])
async def test_of_a_users_sessions_the_latest_are_found(store: Store, kept: int, listed: list[int]) -> None:
    """As many as were asked for, by their last use, and among them the kept one, however long ago it was used."""
    alice, bob = a_user("alice"), a_user("bob")
    rows = [a_session(alice, refreshed_at=NOW + second) for second in range(5)]
    over = a_session(alice, refreshed_at=NOW + 9, ends_at=NOW)
    await begin(store, alice, *rows, over)
    await begin(store, bob, a_session(bob, refreshed_at=NOW + 9))
    latest = partial(sessions.latest_of_user, user_id=alice.id, kept=rows[kept].id, now=NOW)
    assert await store.read(partial(latest, limit=3)) == [rows[number] for number in listed]
    assert await store.read(partial(latest, limit=9)) == rows[::-1]


@pytest.mark.parametrize("change", ["disable", "delete"])
async def test_a_login_that_races_with_the_end_of_its_user_leaves_no_session(store: Store, change: str) -> None:
    """Either it sees the change or the change sees it; no session of such a user is ever left unannounced."""
    for round_number in range(20):
        user = a_user(f"user{round_number}")
        await begin(store, user)
        session = a_session(user)

        async def end(connection: Connection, user: User = user) -> None:
            await users.set_disabled(connection, canonical_name=user.canonical_name, disabled_at=NOW)
            await sessions.end_all(connection, user_id=user.id, now=NOW, token_lifetime=900)
            if change == "delete":
                await users.delete(connection, canonical_name=user.canonical_name)

        opened, _ = await asyncio.gather(
            store.write_one(partial(sessions.open_for, user=user, session=session)), store.write(end)
        )
        assert await find(store, session) is None
        announced = {each.session_id for each in await news(store)}
        assert (session.id in announced) == (opened is not None)


async def test_a_login_reads_no_other_session_of_the_user(sqlite_url: str) -> None:
    """They are counted in the index alone: with ten thousand of them each login would keep SQLite from all others."""

    async def explain(connection: Connection) -> str:
        explained = Explained(connection, "sqlite")
        await sessions.open_for(explained, user := a_user(), session=a_session(user))
        return explained.plan

    store = await store_at(sqlite_url).open()
    assert "SEARCH others USING COVERING INDEX sessions_of_user" in await store.read(explain)
    await store.close()
