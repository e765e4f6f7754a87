"""Sessions against a model of them: whatever is done in whatever order, the database and the guard say what it says."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.builders import FakeClock, Stopwatch, add_user, an_asker, log_in
from tests.races.rounds import IS_FULL
from watchword import tokens
from watchword.audit import Event
from watchword.denials import Denials
from watchword.errors import (
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidToken,
    Unavailable,
    UnknownSession,
    WatchwordError,
)
from watchword.flows import Lifetimes, Tools, admin, housekeeping
from watchword.flows.issue import Issued
from watchword.flows.logout import Scope, log_out
from watchword.flows.password import change_password
from watchword.flows.refresh import refresh
from watchword.flows.revocations import catch_up
from watchword.flows.sessions import end_own, end_sessions_of, list_own
from watchword.flows.trail import write_down
from watchword.model import AccessToken, Revocation, Session
from watchword.passwords import PasswordRules
from watchword.store import revocations, sessions
from watchword.store.connection import Connection, Statement
from watchword.tokens import CLOCK_SKEW

T = TypeVar("T")

START: Final = 1_800_000_000
LIFETIMES: Final = Lifetimes(access_token=900, idle=3600, session=10_000, grace=10)
NAMES: Final = ("alice", "bob")
SECONDS: Final = 30.0
MOST_BACK: Final = 7200
"""Seconds that the clock is ever behind where it has been: rows are kept for longer than that."""

FOR_EVER: Final = 10**9

EXAMPLES: Final = 1000 if IS_FULL else 20
STEPS: Final = 80 if IS_FULL else 30

WAITS: Final = st.sampled_from([1, 4, 9, 10, 11, 60, 899, 900, 901, 3599, 3600, 10_000, housekeeping.KEPT])
CORRECTIONS: Final = st.sampled_from([1, 10, 29, 30, 31, 900, 3600])

ROWS: Final = Statement(f"SELECT {', '.join(each.name for each in fields(Session))} FROM sessions")
EVENTS: Final = Statement(f"SELECT event, session_id FROM audit_events WHERE event = '{Event.TOKEN_REUSE.value}'")
NOTHING_COUNTED: Final = Statement("DELETE FROM tallies")
EMPTY: Final = tuple(
    Statement(f"DELETE FROM {table}") for table in ("audit_events", "revocations", "sessions", "users", "tallies")
)


@dataclass(slots=True)
class Account:
    """What the model knows of a user."""

    user_id: str
    password: str
    is_disabled: bool = False


@dataclass(slots=True)
class Line:
    """What the model knows of a session: its row, the access tokens of its line, and how it ended.

    Attributes:
        row: as it must be stored, while it is.
        tokens: every access token that it was given, with its claims.
        ended_at: when somebody ended it.
        unseen_until: when the last expires that it may have been given, if its row were one from a backup.
        is_removed: whether it was over for so long that it was tidied away.
    """

    row: Session
    tokens: list[tuple[str, AccessToken]] = field(default_factory=list)
    ended_at: int | None = None
    unseen_until: int = 0
    is_removed: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether there is a row of it."""
        return self.ended_at is None and not self.is_removed

    @property
    def last_expiry(self) -> int:
        """When the last of its access tokens expires."""
        return max(self.unseen_until, *(claims.exp for _, claims in self.tokens))


class Sessions(RuleBasedStateMachine):
    """Two users, their logins, an administrator, another process that follows, and a clock that is not to be trusted.

    Args:
        tools: the instruments.
        clock: theirs.
        finish: runs a coroutine where the instruments live, to its end.
    """

    lines = Bundle("lines")

    def __init__(self, tools: Tools, clock: FakeClock, finish: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        super().__init__()
        self.stopwatch = Stopwatch()
        self.tools = replace(tools, denials=Denials(monotonic=self.stopwatch), lifetimes=LIFETIMES)
        self.elsewhere = Denials(monotonic=self.stopwatch)
        self.clock = clock
        self.finish = finish
        self.accounts: dict[str, Account] = {}
        self.known: list[Line] = []
        self.reuses: list[str] = []
        self.latest = START
        self.passwords = 0

    @initialize()
    def begin(self) -> None:
        """Two users and nothing else."""
        self.clock.now = START

        async def empty(connection: Connection) -> None:
            for statement in EMPTY:
                await connection.fetch(statement)

        self.finish(self.tools.store.write(empty))
        self._catch_up()
        for name in NAMES:
            self._add(name)

    # What users do

    @rule(target=lines, name=st.sampled_from(NAMES))
    def log_in(self, name: str) -> Line | MultipleResults[Line]:
        """Only who has an account that is not disabled gets in."""
        account = self.accounts.get(name)
        if account is None or account.is_disabled:
            self._refused(InvalidCredentials, log_in(self.tools, name, "a password of many words 1"))
            return multiple()
        issued = self.finish(log_in(self.tools, name, account.password))
        claims = self._claims_of(issued)
        row = self._stored(claims.sid)
        assert row is not None
        now = self.clock.now
        assert row == replace(
            row,
            user_id=account.user_id,
            auth_time=now,
            expires_at=now + LIFETIMES.session,
            counter=0,
            refreshed_at=now,
            ends_at=now + LIFETIMES.idle,
            token_expires_at=now + LIFETIMES.access_token,
        )
        line = Line(row)
        self._take(line, issued)
        self.known.append(line)
        return line

    @rule(name=st.sampled_from(NAMES))
    def log_in_with_another_password(self, name: str) -> None:
        """Nobody does."""
        self._refused(InvalidCredentials, log_in(self.tools, name, "a password that nobody has"))

    @rule(line=lines)
    def refresh_with_the_current_token(self, line: Line) -> None:
        """Counts the session up while it lives."""
        self._refresh(line, line.row.counter)

    @rule(line=lines)
    def refresh_with_the_predecessor(self, line: Line) -> None:
        """Gets the same answer within the grace, and ends the session after it."""
        if line.row.counter > 0:
            self._refresh(line, line.row.counter - 1)

    @rule(line=lines, age=st.integers(2, 4))
    def refresh_with_an_older_token(self, line: Line, age: int) -> None:
        """Ends the session."""
        if line.row.counter >= age:
            self._refresh(line, line.row.counter - age)

    @rule(line=lines, steps=st.integers(1, 3))
    def refresh_with_a_token_of_the_future(self, line: Line, steps: int) -> None:
        """Ends the session: its row is one from a backup."""
        self._refresh(line, line.row.counter + steps)

    @rule(line=lines, other=lines, counter=st.integers(0, 3))
    def refresh_with_a_forged_token(self, line: Line, other: Line, counter: int) -> None:
        """A MAC of another session or another counter is refused, and ends nothing."""
        mac = self._refresh_token(other, counter if other is not line else line.row.counter + 1).rpartition(".")[2]
        self._refused(
            InvalidRefreshToken,
            refresh(
                self.tools, refresh_token=f"wwr_{line.row.id}.{line.row.counter}.{mac}", asker=an_asker(self.tools)
            ),
        )

    @rule(line=lines, scope=st.sampled_from(Scope))
    def log_out(self, line: Line, scope: Scope) -> None:
        """Ends this session, the others or all, and no other user's."""
        claims = self._bearer(line)
        if claims is None:
            return
        self.finish(log_out(self.tools, token=claims, scope=scope, asker=an_asker(self.tools)))
        for each in self._of(line.row.user_id):
            if scope is Scope.GLOBAL or (each is line) is (scope is Scope.LOCAL):
                self._end(each)

    @rule(line=lines, other=lines)
    def end_a_session(self, line: Line, other: Line) -> None:
        """Ends one's own and nobody else's."""
        claims = self._bearer(line)
        if claims is None:
            return
        ending = end_own(self.tools, token=claims, session_id=other.row.id, asker=an_asker(self.tools))
        if other in self._of(line.row.user_id):
            self.finish(ending)
            self._end(other)
        else:
            self._refused(UnknownSession, ending)

    @rule(line=lines)
    def look_at_sessions(self, line: Line) -> None:
        """Lists those of the user that are not over."""
        claims = self._bearer(line)
        if claims is None:
            return
        listed = self.finish(list_own(self.tools, token=claims))
        living = [each.row for each in self._of(line.row.user_id) if each.row.ends_at > self.clock.now]
        assert sorted(listed, key=lambda each: each.id) == sorted(living, key=lambda each: each.id)

    @rule(line=lines, is_right=st.booleans())
    def change_the_password(self, line: Line, is_right: bool) -> None:
        """With the present one: all other sessions end and this one goes on."""
        claims = self._bearer(line)
        if claims is None:
            return
        account = next(each for each in self.accounts.values() if each.user_id == line.row.user_id)
        present = account.password if is_right else "a password that nobody has"
        new = self._new_password()
        changing = change_password(
            self.tools, token=claims, current_password=present, new_password=new, asker=an_asker(self.tools)
        )
        if not is_right:
            self._refused(InvalidCredentials, changing)
            return
        self.finish(changing)
        account.password = new
        line.row = replace(line.row, password_version=line.row.password_version + 1)
        for each in self._of(account.user_id):
            if each is not line:
                self._end(each)

    # What administrators do, from another process

    @rule(name=st.sampled_from(NAMES))
    def disable(self, name: str) -> None:
        """Ends all sessions of a user, for good."""
        if account := self.accounts.get(name):
            self.finish(
                admin.disable_user(
                    self.tools.store,
                    username=name,
                    now=self.clock.now,
                    token_lifetime=LIFETIMES.access_token,
                    asker=an_asker(self.tools),
                )
            )
            account.is_disabled = True
            self._end_all(account)

    @rule(name=st.sampled_from(NAMES))
    def enable(self, name: str) -> None:
        """Brings the account back and no session."""
        if account := self.accounts.get(name):
            self.finish(admin.enable_user(self.tools.store, username=name, asker=an_asker(self.tools)))
            account.is_disabled = False

    @rule(name=st.sampled_from(NAMES))
    def give_a_password(self, name: str) -> None:
        """Ends all sessions of a user."""
        if account := self.accounts.get(name):
            account.password = self._new_password()
            self.finish(
                admin.set_password(
                    self.tools.store,
                    self.tools.hasher,
                    username=name,
                    password=account.password,
                    rules=PasswordRules(min_length=8),
                    asker=an_asker(self.tools),
                    now=self.clock.now,
                    token_lifetime=LIFETIMES.access_token,
                )
            )
            self._end_all(account)

    @rule(name=st.sampled_from(NAMES))
    def end_all_sessions(self, name: str) -> None:
        """Ends them, and the user may log in anew."""
        if account := self.accounts.get(name):
            number = self.finish(
                end_sessions_of(
                    self.tools.store,
                    username=name,
                    now=self.clock.now,
                    token_lifetime=LIFETIMES.access_token,
                    asker=an_asker(self.tools),
                )
            )
            assert number == len(self._of(account.user_id))
            self._end_all(account)

    @rule(name=st.sampled_from(NAMES))
    def delete_or_add(self, name: str) -> None:
        """A deleted name that is taken anew is another user."""
        account = self.accounts.pop(name, None)
        if account is None:
            self._add(name)
        else:
            self.finish(
                admin.delete_user(
                    self.tools.store,
                    username=name,
                    now=self.clock.now,
                    token_lifetime=LIFETIMES.access_token,
                    asker=an_asker(self.tools),
                )
            )
            self._end_all(account)

    # What time does

    @rule(seconds=WAITS)
    def let_time_pass(self, seconds: int) -> None:
        """Lets sessions and tokens grow old."""
        self.stopwatch.seconds += seconds
        self._set_clock(self.clock.now + seconds)

    @rule(seconds=CORRECTIONS)
    def put_the_clock_forward(self, seconds: int) -> None:
        """Lets them grow old at once."""
        self._set_clock(self.clock.now + seconds)

    @precondition(lambda self: self.latest - self.clock.now < MOST_BACK - 3600)
    @rule(seconds=CORRECTIONS)
    def put_the_clock_back(self, seconds: int) -> None:
        """Brings back tokens that had expired, and none whose session was ended."""
        self._set_clock(self.clock.now - seconds)

    @rule()
    def tidy_up(self) -> None:
        """Removes what was over long ago, and nothing that a token could need."""
        self.finish(
            housekeeping.tidy_up(
                self.tools.store, now=self.clock.now, seals=self.tools.recorder.seals, audit_kept=FOR_EVER
            )
        )
        for line in self.known:
            if line.is_stored and line.row.ends_at <= self.clock.now - housekeeping.KEPT:
                line.is_removed = True
            if line.ended_at is not None and line.last_expiry <= self.clock.now - housekeeping.KEPT:
                line.is_removed = True

    # What must be so all the time

    @invariant()
    def the_rows_are_the_models(self) -> None:
        """Exactly one row per session that goes on, as the model has it; one revocation per session that was ended."""
        self.finish(write_down(self.tools.recorder, self.tools.store))
        rows, events, ended = self.finish(self.tools.store.read(_everything))
        stored = {line.row.id: line.row for line in self.known if line.is_stored}
        assert {row.id: row for row in rows} == stored
        assert len(rows) == len(stored)
        assert sorted(events) == sorted((Event.TOKEN_REUSE.value, session_id) for session_id in self.reuses)
        assert sorted((each.session_id, each.revoked_at, each.expires_at) for each in ended) == sorted(
            (line.row.id, line.ended_at, line.last_expiry)
            for line in self.known
            if line.ended_at is not None and not line.is_removed
        )

    @invariant()
    def tokens_are_judged_as_the_model_judges_them(self) -> None:
        """Here, where what ends is known at once."""
        self._compare(self.tools.denials)

    @rule()
    def another_process_asks(self) -> None:
        """Elsewhere, as soon as that process has asked again, however long that took."""
        self.finish(catch_up(self.elsewhere, store=self.tools.store, clock=self.clock))
        self._compare(self.elsewhere)

    def _compare(self, denials: Denials) -> None:
        for line in self.known:
            for text, claims in line.tokens:
                is_good = self._is_good(line, claims)
                assert _passes(self.tools, denials, text) is is_good, (line.row.id, claims, self.clock.now)

    def _is_good(self, line: Line, claims: AccessToken) -> bool:
        is_of_the_future = max(claims.iat, claims.auth_time) > self.clock.now + CLOCK_SKEW
        return line.ended_at is None and claims.exp > self.clock.now and not is_of_the_future

    def _bearer(self, line: Line) -> AccessToken | None:
        """The claims of a token of the session that is good now."""
        return next((claims for _, claims in reversed(line.tokens) if self._is_good(line, claims)), None)

    def _refresh(self, line: Line, counter: int) -> None:
        refreshing = refresh(self.tools, refresh_token=self._refresh_token(line, counter), asker=an_asker(self.tools))
        row, now = line.row, self.clock.now
        if not line.is_stored or now >= row.ends_at:
            self._refused(InvalidRefreshToken, refreshing)
        elif counter > row.counter:
            self._refused(InvalidRefreshToken, refreshing)
            self._end(line)
        elif counter == row.counter:
            at = max(now, row.refreshed_at)
            ends_at = min(row.expires_at, at + LIFETIMES.idle)
            line.row = replace(row, counter=counter + 1, refreshed_at=at, ends_at=ends_at)
            self._take(line, self.finish(refreshing))
        elif counter == row.counter - 1 and now - row.refreshed_at < LIFETIMES.grace:
            self._take(line, self.finish(refreshing))
        else:
            self._refused(InvalidRefreshToken, refreshing)
            self.reuses.append(row.id)
            self._end(line)

    def _take(self, line: Line, issued: Issued) -> None:
        """Note what a login or a refresh gave, which is the one token of the session's counter and lives no longer."""
        now, row = self.clock.now, line.row
        assert issued.refresh_token == self._refresh_token(line, row.counter)
        assert issued.refresh_expires_in == row.ends_at - now
        expiry = now + min(LIFETIMES.access_token, row.ends_at - now)
        claims = self._claims_of(issued)
        assert (claims.sub, claims.sid, claims.auth_time) == (row.user_id, row.id, row.auth_time)
        assert (claims.iat, claims.exp, issued.expires_in) == (now, expiry, expiry - now)
        line.tokens.append((issued.token, claims))
        line.row = replace(row, token_expires_at=line.last_expiry)

    def _refresh_token(self, line: Line, counter: int) -> str:
        return self.tools.refresh_keys.mint(replace(line.row, counter=counter))

    def _claims_of(self, issued: Issued) -> AccessToken:
        """What a token says, whether or not the clock has reached the login that it is of."""
        _, payload = tokens.open_jws(issued.token, find_key=self.tools.ring.find)
        members = json.loads(payload)
        return AccessToken(**{each.name: members[each.name] for each in fields(AccessToken)})

    def _of(self, user_id: str) -> list[Line]:
        return [line for line in self.known if line.is_stored and line.row.user_id == user_id]

    def _end(self, line: Line) -> None:
        assert line.is_stored
        line.ended_at = self.clock.now
        longest = max(line.row.token_expires_at - line.row.refreshed_at, LIFETIMES.access_token)
        line.unseen_until = self.clock.now + longest

    def _end_all(self, account: Account) -> None:
        for line in self._of(account.user_id):
            self._end(line)
        self._catch_up()

    def _add(self, name: str) -> None:
        password = self._new_password()
        user = self.finish(add_user(self.tools, name, password=password))
        self.accounts[name] = Account(user.id, password)

    def _new_password(self) -> str:
        self.passwords += 1
        return f"a password of many words, number {self.passwords}"

    def _set_clock(self, now: int) -> None:
        self.clock.now = now
        self.latest = max(self.latest, now)
        self._catch_up()

    def _catch_up(self) -> None:
        self.finish(catch_up(self.tools.denials, store=self.tools.store, clock=self.clock))

    def _stored(self, session_id: str) -> Session | None:
        found = self.finish(self.tools.store.read(partial(sessions.find, session_id=session_id)))
        return None if found is None else found[0]

    def _refused(self, reason: type[WatchwordError], doing: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises(reason):
            self.finish(doing)
        if reason is InvalidCredentials:  # the throttle has tests of its own, and would stop the next ones here

            async def forget(connection: Connection) -> None:
                await connection.fetch(NOTHING_COUNTED)

            self.finish(self.tools.store.write(forget))


async def _everything(connection: Connection) -> tuple[list[Session], list[tuple[str, str]], list[Revocation]]:
    """All sessions, audit events and revocations that are stored."""
    rows, events = await connection.fetch(ROWS), await connection.fetch(EVENTS)
    ended = await revocations.after(connection, seq=0, limit=1000)
    return [Session(*row) for row in rows], [(event, session_id) for event, session_id in events], ended


def _passes(tools: Tools, denials: Denials, text: str) -> bool:
    """Whether the guard would let a token pass."""
    try:
        claims = tokens.verify(text, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())
        denials.check(claims.sid)
    except InvalidToken:
        return False
    except Unavailable as fault:
        raise AssertionError("a process that has just asked does not know") from fault
    return True


async def test_whatever_is_done_sessions_are_as_the_model_says(
    tools: Tools, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logins, refreshes with every kind of token, logouts, password changes, users who come and go, a clock that is
    put forward and back, and tidying up: each session has one row or none, each token is judged as the model says,
    and nothing that was ended comes back (rows 64, 67, 68, 70).
    """
    monkeypatch.setattr(housekeeping, "_PAUSE", 0)
    loop = asyncio.get_running_loop()

    def finish(doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, loop).result(SECONDS)

    def machine() -> Sessions:
        return Sessions(tools, clock, finish)

    bounds = settings(
        deadline=None, max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)
    )
    # It wants the class, and takes whatever makes one.
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=bounds)  # type: ignore[arg-type]
