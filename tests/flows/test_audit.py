"""The audit trail: written beside the requests, to the last event, and verified as a whole."""

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from tests.builders import FakeClock, an_asker
from tests.trail import a_recorder_like, events, trail
from tests.waiting import eventually
from watchword.audit import Entry, Event, Outcome, Seals
from watchword.flows import Tools, audit
from watchword.flows.audit import Verdict, export, keeping, recognise, tail, verify
from watchword.flows.trail import write_down
from watchword.keys import KeyRefused
from watchword.recorder import Asker, Recorder
from watchword.store import store_at
from watchword.store.audit import find_old, purge
from watchword.store.connection import Connection, Statement

RENAME = "ALTER TABLE {} RENAME TO {}"
AWAY, BACK = Statement(RENAME.format("audit_events", "away")), Statement(RENAME.format("away", "audit_events"))


async def happen(tools: Tools, statement: Statement) -> None:
    """Do something to the database behind our back."""
    await tools.store.write(lambda connection: connection.fetch(statement))


async def judged(tools: Tools, seals: Seals | None = None) -> list[Verdict]:
    """What verifying finds."""
    looked_at: list[int] = []
    seals = seals or tools.recorder.seals
    verdicts = [each async for each in verify(tools.store, seals=seals, looked_at=looked_at.append)]
    if all(each.state != "broken" for each in verdicts):
        assert sum(looked_at) == sum(each.events for each in verdicts)
    return verdicts


async def collected(tools: Tools, since: int | None = None, until: int | None = None) -> list[Entry]:
    """What an export gives."""
    return [entry async for entry in export(tools.store, since=since, until=until)]


async def test_what_is_told_is_soon_in_the_table(tools: Tools) -> None:
    """Nobody waits for it, and many are few transactions."""
    writes: list[int] = []
    original = tools.store.write

    async def write(*arguments: object, **options: object) -> object:
        writes.append(len(tools.recorder))
        return await original(*arguments, **options)  # type: ignore[arg-type]

    tools.store.write = write  # type: ignore[method-assign, assignment]
    for _ in range(300):
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id="u")
    await eventually(lambda: len(tools.recorder) == 0)
    assert [entry.seq for entry in await events(tools.store)] == list(range(1, 301))
    assert len(writes) == 2


async def test_while_the_database_is_away_events_wait(tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once; when the database is back they are written, in their order."""
    await happen(tools, AWAY)
    with caplog.at_level(logging.WARNING):
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id="first")
        await eventually(lambda: "audit events wait for the database" in caplog.text)
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id="second")
        assert len(tools.recorder) == 2
        await happen(tools, BACK)
        await eventually(lambda: len(tools.recorder) == 0)
    assert [entry.user_id for entry in await events(tools.store)] == ["first", "second"]
    assert caplog.text.count("audit events wait") == 1


async def test_at_the_end_everything_is_written(tools: Tools) -> None:
    """Also that of a write whose caller has gone, and the sum of a flood in the last second; the end behind all."""
    asker = Asker(a_recorder_like(tools), actor="service")
    stranger = Asker(asker.recorder, actor="user")
    begun = asyncio.Event()

    async def leave() -> None:
        begun.set()
        nothing = Statement("SELECT 1")
        await tools.store.write(lambda connection: connection.fetch(nothing), then=lambda _: asker.tell(Event.STARTUP))

    async with keeping(asker, tools.store):
        for _ in range(12):
            stranger.tell(Event.RATE_LIMIT_EXCEEDED, outcome=Outcome.REFUSED, detail="overloaded")
        leaving = asyncio.create_task(leave())
        await begun.wait()
        leaving.cancel()
    written = [(entry.event, entry.detail) for entry in await events(tools.store)]
    assert written[-3:] == [
        (Event.STARTUP, ""),
        (Event.RATE_LIMIT_EXCEEDED, "overloaded 2 more"),
        (Event.SHUTDOWN, ""),
    ]
    assert [each.state for each in await judged(tools)] == ["ended"]


async def test_what_tells_nothing_has_no_end(tools: Tools) -> None:
    """A command that was refused, or a start that failed, leaves no trace."""
    asker = Asker(a_recorder_like(tools), actor="cli")
    async with keeping(asker, tools.store):
        pass
    assert await events(tools.store) == []


async def test_an_end_without_a_database_is_told(tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    """How many events are in the log alone, and the service ends all the same."""
    asker = Asker(a_recorder_like(tools), actor="service")
    await happen(tools, AWAY)
    async with keeping(asker, tools.store):
        asker.tell(Event.STARTUP)
    assert "2 audit events are only in the log" in caplog.text
    await happen(tools, BACK)


async def test_each_writers_chain_is_judged(tools: Tools) -> None:
    """One that was shut down and a command's have ended, one that runs or was killed is open; none is broken."""
    for actor, event in (("service", Event.STARTUP), ("cli", Event.USER_CREATED)):
        asker = Asker(a_recorder_like(tools), actor=actor)
        async with keeping(asker, tools.store):
            asker.tell(event)
    an_asker(tools).tell(Event.STARTUP)
    await trail(tools)
    verdicts = await judged(tools)
    assert sorted((each.state, each.events) for each in verdicts) == [("ended", 2), ("ended", 2), ("open", 1)]
    assert next(each.writer for each in verdicts if each.state == "open") == tools.recorder.writer


TAMPERING = {
    "changed": "UPDATE audit_events SET outcome = 'refused' WHERE seq = 15",
    "dated back": "UPDATE audit_events SET at = at - 1 WHERE seq = 15",
    "resealed": "UPDATE audit_events SET digest = (SELECT digest FROM audit_events WHERE seq = 3) WHERE seq = 15",
    "removed": "DELETE FROM audit_events WHERE seq = 15",
    "removed from the beginning": "DELETE FROM audit_events WHERE seq <= 15",
    "renumbered": "UPDATE audit_events SET seq = -seq WHERE seq = 15",
    "of another writer": "UPDATE audit_events SET writer = '' WHERE seq = 15",
    "inserted before all": (
        "INSERT INTO audit_events (writer, seq, at, event, outcome, detail, actor, user_id, session_id, network,"
        " request_id, digest) SELECT writer, 0, at, event, outcome, detail, actor, user_id, session_id, network,"
        " request_id, digest FROM audit_events WHERE seq = 15"
    ),
    "moved before all": "UPDATE audit_events SET seq = -9223372036854775808 WHERE seq = 25",
    "moved before the table": "UPDATE audit_events SET id = -id WHERE seq = 15",
    "all moved before the table": "UPDATE audit_events SET id = id - 1000",
    "moved to the end of the table": "UPDATE audit_events SET id = id + 1000 WHERE seq = 15",
    "inserted behind all": (
        "INSERT INTO audit_events (writer, seq, at, event, outcome, detail, actor, user_id, session_id, network,"
        " request_id, digest) SELECT writer, 26, at, event, outcome, detail, actor, user_id, session_id, network,"
        " request_id, digest FROM audit_events WHERE seq = 15"
    ),
    "anchored elsewhere": (
        "INSERT INTO audit_anchors (writer, seq, at, digest, mac)"
        " SELECT writer, 15, at, digest, digest FROM audit_events WHERE seq = 15; "
        "DELETE FROM audit_events WHERE seq <= 15"
    ),
}


@pytest.mark.parametrize("kind", TAMPERING)
async def test_what_is_done_to_the_table_is_found(tools: Tools, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed, removed, moved, inserted, in the midst of several pages: the chain is broken, and it is said where."""
    monkeypatch.setattr(audit, "_PAGE", 10)
    for _ in range(25):
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id="u")
    await trail(tools)
    for statement in TAMPERING[kind].split("; "):
        await happen(tools, Statement(statement))
    broken = [each for each in await judged(tools) if each.state == "broken"]
    assert broken
    assert all(f"of writer {each.writer} " in each.reason for each in broken)


async def purge_oldest(connection: Connection, *, seals: Seals, before: int) -> int:
    """Remove what was before a time in milliseconds, of the writer that is found first; 0 where nothing was."""
    writer = await find_old(connection, before=before)
    return 0 if writer is None else await purge(connection, seals=seals, writer=writer, before=before, limit=100)


@pytest.mark.parametrize(
    ("seconds", "beside", "expected"),
    [
        (15, [], ("open", 20, "")),
        (5, [], ("open", 25, "")),
        (25, [], ("open", 10, "")),
        (15, ["DELETE FROM audit_events WHERE seq = 18"], ("broken", 13, "event 18 of writer {} is missing")),
        (15, ["DELETE FROM audit_events WHERE seq <= 17"], ("broken", 11, "event 16 of writer {} is missing")),
        (15, ["DELETE FROM audit_anchors"], ("broken", 11, "event 11 of writer {} is missing")),
        (
            0,
            ["DELETE FROM audit_events WHERE seq BETWEEN 11 AND 15"],
            ("broken", 11, "event 11 of writer {} is missing"),
        ),
    ],
    ids=["behind", "seen before", "everything", "a gap", "more than went", "without an anchor", "nothing was old"],
)
async def test_what_is_removed_meanwhile_because_it_is_old_is_no_gap(
    tools: Tools,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    beside: list[str],
    expected: tuple[str, int, str],
) -> None:
    """Housekeeping goes on between two pages of ten of a writer with an event a second; a real gap is one as ever."""
    monkeypatch.setattr(audit, "_PAGE", 10)
    begun = clock.now
    for _ in range(25):
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id="u")
        clock.advance(1)
    await trail(tools)
    read, seals, pages = tools.store.read, tools.recorder.seals, 0

    async def read_and_tidy_up(story: Callable[[Connection], Coroutine[None, None, object]]) -> object:
        nonlocal pages
        result = await read(story)
        pages += 1
        if pages == 2:  # the first one that was read has found the writer
            await tools.store.write(partial(purge_oldest, seals=seals, before=(begun + seconds) * 1000))
            for statement in beside:
                await happen(tools, Statement(statement))
        return result

    monkeypatch.setattr(tools.store, "read", read_and_tidy_up)
    (verdict,) = [each async for each in verify(tools.store, seals=seals, looked_at=lambda _: None)]
    state, events, reason = expected
    assert (verdict.state, verdict.events) == (state, events)
    assert verdict.reason == reason.format(verdict.writer)


async def test_of_two_processes_under_one_id_both_are_written_down(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a machine's snapshot is resumed twice: the second takes another id, and no chain is broken."""
    recorder = a_recorder_like(tools)
    Asker(recorder, actor="service").tell(Event.STARTUP)
    await write_down(recorder, tools.store)
    Asker(recorder, actor="user").tell(Event.LOGIN_SUCCESS, user_id="before")
    twin = copy.copy(recorder)
    twin._waiting = deque(recorder._waiting)
    for each, user_id, count in ((recorder, "first", 3), (twin, "second", 5)):
        for _ in range(count):
            Asker(each, actor="user").tell(Event.LOGIN_SUCCESS, user_id=user_id)
        await asyncio.gather(*(write_down(each, tools.store) for _ in range(2)))
    Asker(twin, actor="user").tell(Event.LOGIN_SUCCESS, user_id="later")
    await write_down(twin, tools.store)
    written = await events(tools.store)
    told = [entry.user_id for entry in written]
    assert told == ["", "before", *["first"] * 3, "before", *["second"] * 5, "later"]
    assert [entry.writer for entry in written] == [recorder.writer] * 5 + [twin.writer] * 7
    assert {each.state for each in await judged(tools)} == {"open"}
    assert "we go on under a new id" in caplog.text


async def test_a_writer_that_is_no_text_is_broken_and_the_last(sqlite_url: str) -> None:
    """SQLite stores bytes where text belongs: they are named as it writes them, and nobody looks for ever."""
    seals, store = Seals(b"s" * 32), await store_at(sqlite_url).open()
    recorder = Recorder(seals, milliseconds=lambda: 1, lose=lambda: None)
    for _ in range(3):
        Asker(recorder, actor="user").tell(Event.LOGIN_SUCCESS)
    await write_down(recorder, store)
    for number, forged in ((2, "x''"), (3, "x'00ff'")):
        statement = Statement(f"UPDATE audit_events SET writer = {forged} WHERE seq = {number}")
        await store.write(lambda connection, statement=statement: connection.fetch(statement))  # type: ignore[misc]
    async with asyncio.timeout(20):
        first, *forgeries = [each async for each in verify(store, seals=seals, looked_at=lambda _: None)]
    assert (first.writer, first.state) == (recorder.writer, "open")
    assert [(each.writer, each.state) for each in forgeries] == [("x''", "broken"), ("x'00ff'", "broken")]
    await store.close()


async def test_two_rows_that_change_places_are_found(tools: Tools) -> None:
    """Everything of one in the place of the other, its number too."""
    for number in range(10):
        an_asker(tools).tell(Event.LOGIN_FAIL, user_id=str(number))
    await trail(tools)
    for before, after in ((3, 99), (4, 3), (99, 4)):
        await happen(tools, Statement(f"UPDATE audit_events SET seq = {after} WHERE seq = {before}"))
    (verdict,) = await judged(tools)
    assert verdict.reason.startswith("event 3 of writer")


@pytest.mark.parametrize("actor", ["service", "cli"])
async def test_missing_newest_events_leave_a_chain_open(tools: Tools, actor: str) -> None:
    """Of a process or a command that has ended in order the last event is known; without it nobody calls the chain
    whole.
    """
    asker = Asker(a_recorder_like(tools), actor=actor)
    async with keeping(asker, tools.store):
        for _ in range(2):
            asker.tell(Event.USER_CREATED)
    assert [each.state for each in await judged(tools)] == ["ended"]
    for seq in (3, 2):
        await happen(tools, Statement(f"DELETE FROM audit_events WHERE seq = {seq}"))
        assert [each.state for each in await judged(tools)] == ["open"]


async def test_without_the_secret_nothing_verifies(tools: Tools) -> None:
    """Under another SECRET_KEY all is broken; with ours as a fallback all is well."""
    an_asker(tools).tell(Event.LOGIN_SUCCESS)
    await trail(tools)
    other, ours = b"another secret of thirty-two bytes and more", b"a root secret for tests, 0123456789 and more"
    assert [each.state for each in await judged(tools, Seals(other))] == ["broken"]
    assert [each.state for each in await judged(tools, Seals(other, [ours]))] == ["open"]


async def test_an_export_has_everything_or_a_span(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across pages, in the order in which events were written."""
    monkeypatch.setattr(audit, "_PAGE", 10)
    for _ in range(30):
        clock.advance(1)
        an_asker(tools).tell(Event.LOGIN_SUCCESS)
    everything = await trail(tools)
    assert await collected(tools) == everything
    assert len(everything) == 30
    since, until = everything[4].at, everything[27].at
    assert await collected(tools, since, until) == everything[4:27]
    assert await collected(tools, until=since) == everything[:4]


async def test_an_export_leaves_nothing_out_wherever_it_was_moved(tools: Tools) -> None:
    """The numbers by which it reads are in no digest: whoever writes the table could else take events from it."""
    for _ in range(3):
        an_asker(tools).tell(Event.LOGIN_SUCCESS)
    first, second, third = await trail(tools)
    await happen(tools, Statement("UPDATE audit_events SET id = -9223372036854775808 WHERE seq = 2"))
    await happen(tools, Statement("UPDATE audit_events SET id = -1 WHERE seq = 3"))
    assert await collected(tools) == [second, third, first]


async def test_a_tail_is_the_end_and_what_comes(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are asked for; followed, each new event once, also from an empty table and from none at all."""
    monkeypatch.setattr(audit, "INTERVAL", 0.01)
    following = tail(tools.store, lines=10, follow=True)  # whether it looks before or after they happen
    first = asyncio.ensure_future(anext(following))
    for number in range(5):
        an_asker(tools).tell(Event.LOGIN_SUCCESS, detail=str(number))
    everything = await trail(tools)
    async with asyncio.timeout(20):
        assert [await first, *[await anext(following) for _ in range(4)]] == everything
    assert [entry async for entry in tail(tools.store, lines=3, follow=False)] == everything[-3:]
    assert [entry async for entry in tail(tools.store, lines=0, follow=False)] == []
    later = tail(tools.store, lines=0, follow=True)
    next_one = asyncio.ensure_future(anext(later))
    async with asyncio.timeout(20):
        while not next_one.done():  # those that happen before its first look are none that come
            an_asker(tools).tell(Event.TOKEN_REUSE)
            await asyncio.sleep(0.01)
    assert (await next_one).event == Event.TOKEN_REUSE


async def test_a_secret_is_known_by_the_last_events(tools: Tools) -> None:
    """Any will do where there is none; else one of them is enough, so that a spoilt or foreign row shuts nobody out."""
    ours, another = tools.recorder.seals, Seals(b"another secret of thirty-two bytes")
    await recognise(tools.store, seals=another)
    for _ in range(2):
        an_asker(tools).tell(Event.USER_CREATED)
    await write_down(tools.recorder, tools.store)
    await tools.store.write(
        lambda connection: connection.fetch(Statement("UPDATE audit_events SET seq = 9 WHERE seq = 2"))
    )
    await recognise(tools.store, seals=ours)
    with pytest.raises(KeyRefused, match="sealed under another secret"):
        await recognise(tools.store, seals=another)


async def test_a_secret_is_known_where_all_that_was_before_is_removed(tools: Tools, clock: FakeClock) -> None:
    """As in a trail whose last event came after a long silence: what it hangs on is then kept as an anchor."""
    for _ in range(2):
        an_asker(tools).tell(Event.USER_CREATED)
        clock.advance(100)
    await write_down(tools.recorder, tools.store)
    ours, another = tools.recorder.seals, Seals(b"another secret of thirty-two bytes")
    before = (clock.now - 100) * 1000
    assert await tools.store.write(partial(purge_oldest, seals=ours, before=before)) == 1
    await recognise(tools.store, seals=ours)
    with pytest.raises(KeyRefused, match="sealed under another secret"):
        await recognise(tools.store, seals=another)
