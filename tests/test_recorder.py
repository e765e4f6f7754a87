"""The recorder: a plain call that tells the log at once, and forgets nothing that it has room for."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from watchword import recorder, telemetry
from watchword.audit import Entry, Event, Outcome, Seals
from watchword.model import Revocation
from watchword.recorder import Asker, Recorder

SEALS = Seals(b"a root secret of thirty-two bytes or more")
NOW = 1_800_000_000_123


def a_recorder(lost: list[None] | None = None) -> Recorder:
    """A recorder at a moment that stands still."""
    return Recorder(SEALS, milliseconds=lambda: NOW, lose=lambda: (lost if lost is not None else []).append(None))


def test_an_event_is_one_line_of_the_log_at_once(event_lines: Callable[[], list[dict[str, Any]]]) -> None:
    """With everything that is known, and nothing that is not (row 100)."""
    taken = a_recorder()
    asker = Asker(taken, actor="user", network="192.0.2.7", user_agent="a browser", request_id="r")
    asker.tell(Event.LOGIN_FAIL, outcome=Outcome.FAILURE, detail="wrong_password", user_id="u")
    asker.tell(Event.TOKEN_REUSE, session_id="s")
    first, second = event_lines()
    assert first == {
        "time": "2027-01-15T08:00:00.123+00:00",
        "level": "info",
        "event": "authn_login_fail",
        "outcome": "failure",
        "actor": "user",
        "detail": "wrong_password",
        "user_id": "u",
        "network": "192.0.2.7",
        "request_id": "r",
        "writer": taken.writer,
        "seq": 1,
    }
    assert (second["level"], second["seq"], second["session_id"]) == ("warning", 2, "s")


def test_what_a_stranger_causes_for_nothing_is_summed_up(event_lines: Callable[[], list[dict[str, Any]]]) -> None:
    """Of a flood of refusals ten of a kind are told in a second and the rest as one event, so that it fills no disk."""
    now = NOW
    taken = Recorder(SEALS, milliseconds=lambda: now, lose=lambda: None)
    asker = Asker(taken, actor="user", network="192.0.2.7")
    for _ in range(1_000):
        asker.tell(Event.RATE_LIMIT_EXCEEDED, outcome=Outcome.REFUSED, detail="overloaded")
        asker.tell(Event.LOGIN_FAIL, outcome=Outcome.FAILURE, detail="wrong_password")
    asker.tell(Event.RATE_LIMIT_EXCEEDED, outcome=Outcome.REFUSED, detail="network")
    assert len(taken) == 10 + 1_000 + 1
    now += 1_000
    asker.tell(Event.RATE_LIMIT_EXCEEDED, outcome=Outcome.REFUSED, detail="overloaded")
    *_, more, again = event_lines()
    assert (more["actor"], more["detail"], more["outcome"]) == ("service", "overloaded 990 more", "refused")
    assert "network" not in more
    assert (again["network"], again["detail"]) == ("192.0.2.7", "overloaded")
    while batch := taken.next_batch():
        taken.written(batch)
    assert not taken.news.is_set()


@pytest.mark.parametrize(
    ("outcome", "detail"), [(Outcome.REFUSED, "invalid_request"), (Outcome.ABORTED, "client_left")]
)
def test_logins_that_nobody_judged_are_summed_up(outcome: Outcome, detail: str) -> None:
    """No throttle slows who sends what is no password, or hangs up: that fills no disk either."""
    taken = a_recorder()
    for _ in range(1_000):
        Asker(taken, actor="user").tell(Event.LOGIN_FAIL, outcome=outcome, detail=detail)
    taken.sum_up()
    *first, more = taken.next_batch()
    assert [entry.detail for entry in first] == [detail] * 10
    assert (more.event, more.outcome, more.detail) == (Event.LOGIN_FAIL, outcome, f"{detail} 990 more")


@pytest.mark.parametrize(
    ("event", "outcome", "detail", "more"),
    [
        (Event.TOKEN_CREATED, Outcome.SUCCESS, "", "990 more"),
        (Event.AUTHZ_FAIL, Outcome.REFUSED, "reports:read", "reports:read 990 more"),
        (Event.PASSWORD_CHANGE_FAIL, Outcome.REFUSED, "invalid_request", "invalid_request 990 more"),
        (Event.PASSWORD_CHANGE_FAIL, Outcome.ABORTED, "client_left", "client_left 990 more"),
    ],
)
def test_what_ones_own_cause_for_nothing_is_summed_up_for_each(
    event: Event, outcome: Outcome, detail: str, more: str
) -> None:
    """Whoever has a session or a service's token fills no disk, in many sessions neither; the sum says who it was, and
    hides nobody else.
    """
    taken = a_recorder()
    for number in range(1_000):
        Asker(taken, actor="user").tell(event, outcome=outcome, detail=detail, user_id="a", session_id=f"s{number}")
    Asker(taken, actor="user").tell(event, outcome=outcome, detail=detail, user_id="b", session_id="t")
    for _ in range(1_000):
        Asker(taken, actor="client:c").tell(event, outcome=outcome, detail=detail)
    taken.sum_up()
    told = [(entry.actor, entry.user_id, entry.detail) for entry in taken.next_batch()]
    assert told == [
        *[("user", "a", detail)] * 10,
        ("user", "b", detail),
        *[("client:c", "", detail)] * 10,
        ("user", "a", more),
        ("client:c", "", more),
    ]


def test_what_counts_by_itself_is_never_summed_up() -> None:
    """Every login, every reuse, every end of a session and every wrong password has its event."""
    each = [
        (Event.LOGIN_SUCCESS, Outcome.SUCCESS),
        (Event.TOKEN_REUSE, Outcome.REFUSED),
        (Event.TOKEN_REVOKED, Outcome.SUCCESS),
        (Event.SESSION_LOGOUT, Outcome.SUCCESS),
        (Event.PASSWORD_CHANGE, Outcome.SUCCESS),
        (Event.LOGIN_FAIL, Outcome.FAILURE),
        (Event.PASSWORD_CHANGE_FAIL, Outcome.FAILURE),
    ]
    taken = a_recorder()
    for event, outcome in each * 100:
        Asker(taken, actor="user").tell(event, outcome=outcome, user_id="a", session_id="s")
    assert len(taken) == 100 * len(each)


def test_the_sum_of_a_flood_is_told_when_nothing_follows() -> None:
    """As soon as the second is over, and at the end of the process."""
    now = NOW
    taken = Recorder(SEALS, milliseconds=lambda: now, lose=lambda: None)
    asker = Asker(taken, actor="user")

    def written() -> list[str]:
        batch = taken.next_batch()
        if batch:
            taken.written(batch)
        return [entry.detail for entry in batch]

    for _ in range(12):
        asker.tell(Event.LOGIN_FAIL_MAX, outcome=Outcome.REFUSED, detail="account")
    assert written() == ["account"] * 10
    assert taken.news.is_set()
    assert written() == []
    now += 1_000
    assert written() == ["account 2 more"]
    assert not taken.news.is_set()
    for _ in range(11):
        asker.tell(Event.LOGIN_FAIL_MAX, outcome=Outcome.REFUSED, detail="account")
    taken.sum_up()
    assert written() == [*["account"] * 10, "account 1 more"]


@pytest.mark.parametrize("text", ['"}\r\n{"event": "forged"}', "\x1b[31m", "\u2028\x85\x00", "\\", "Zoë"])
def test_whatever_is_in_a_field_it_is_one_line(capsysbinary: pytest.CaptureFixture[bytes], text: str) -> None:
    """Line ends, escapes and quotes neither end the line nor forge another (row 99)."""
    telemetry.write_requests_to(sys.stdout.buffer)
    try:
        Asker(a_recorder(), actor="user", network=text, request_id=text).tell(Event.LOGIN_FAIL, user_id=text)
    finally:
        telemetry.write_requests_to(None)
    written = capsysbinary.readouterr().out
    assert written.count(b"\n") == 1
    assert all(byte >= 0x20 for byte in written[:-1])
    assert json.loads(written)["network"] == text


def test_a_log_that_cannot_be_written_fails_nobody() -> None:
    """A full disk loses lines of the log, and neither the event nor the request it tells of."""

    class FullDisk(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    taken = a_recorder()
    telemetry.write_requests_to(FullDisk())
    try:
        Asker(taken, actor="user").tell(Event.LOGIN_SUCCESS)
    finally:
        telemetry.write_requests_to(None)
    assert len(taken) == 1


def test_where_the_process_is_not_ours_alone_logging_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """An application that we are part of finds events where it finds all else."""
    with caplog.at_level(logging.INFO, logger="watchword.audit"):
        Asker(a_recorder(), actor="cli").tell(Event.USER_CREATED, user_id="u")
        Asker(a_recorder(), actor="user").tell(Event.TOKEN_REUSE, user_id="u")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "user_created"),
        ("WARNING", "authn_token_reuse"),
    ]
    assert caplog.records[0].__dict__["user_id"] == "u"


def test_events_are_chained_in_their_order() -> None:
    """Batch after batch, until nothing waits."""
    taken = a_recorder()
    for _ in range(recorder.BATCH + 3):
        Asker(taken, actor="user").tell(Event.LOGIN_SUCCESS)
    chain = SEALS.follow(taken.writer)
    while batch := taken.next_batch():
        for entry in batch:
            chain.check(entry.seq, entry)
        taken.written(batch)
        taken.written(batch)  # twice is as once
    assert chain.seq == recorder.BATCH + 3
    assert not taken.news.is_set()


def test_what_finds_no_room_is_in_the_log_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, event_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """While the database is away the queue is bounded; when it is back an event says how many are missing."""
    monkeypatch.setattr(recorder, "MOST", 3)
    lost: list[None] = []
    taken = a_recorder(lost)
    for _ in range(5):
        Asker(taken, actor="user").tell(Event.LOGIN_SUCCESS)
    assert len(lost) == 2
    assert [line.get("seq") for line in event_lines()] == [1, 2, 3, None, None]
    batch = taken.next_batch()
    taken.written(batch)
    (told,) = taken.next_batch()
    assert (told.event, told.detail, told.seq) == (Event.AUDIT_LOST, "2", 4)
    chain = SEALS.follow(taken.writer)
    for entry in (*batch, told):
        chain.check(entry.seq, entry)


def test_there_is_room_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the database comes back only then: what was lost is told, and behind it the last event of the process."""
    monkeypatch.setattr(recorder, "MOST", 2)
    taken = a_recorder()
    for _ in range(5):
        Asker(taken, actor="user").tell(Event.LOGIN_SUCCESS)
    taken.close(Event.SHUTDOWN, actor="service")
    batch = taken.next_batch()
    taken.written(batch)
    assert [entry.event for entry in batch[2:]] == [Event.AUDIT_LOST, Event.SHUTDOWN]
    assert (batch[2].detail, taken.next_batch()) == ("3", [])


def test_ends_at_once_leave_room_for_what_else_happens() -> None:
    """Of ten thousand sessions that one act ends a hundred are told, and how many more there were."""
    taken = a_recorder()
    asker = Asker(taken, actor="user")
    ended = [Revocation(number, f"session {number}", revoked_at=0, expires_at=0) for number in range(recorder.MOST)]
    asker.tell_ends(ended, detail="global", user_id="u")
    asker.tell(Event.LOGIN_SUCCESS)
    told: list[Entry] = []
    while batch := taken.next_batch():
        told += batch
        taken.written(batch)
    assert [each.session_id for each in told[:100]] == [f"session {number}" for number in range(100)]
    assert [(each.event, each.detail, each.user_id) for each in told[100:]] == [
        (Event.SESSION_LOGOUT, f"global {recorder.MOST - 100} more", "u"),
        (Event.LOGIN_SUCCESS, "", ""),
    ]
