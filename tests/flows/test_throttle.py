"""The throttle at work: whoever guesses is stopped, at one account or at many, and the owner gets in."""

import asyncio
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller
from typing import Any

import pytest

from tests.builders import PASSWORD, FakeClock, add_user, an_asker
from tests.trail import an_operator, trail
from watchword import throttle
from watchword.audit import Event
from watchword.errors import (
    InvalidCredentials,
    InvalidToken,
    Overloaded,
    TooManyAttempts,
    Unavailable,
    Unconfirmed,
    WatchwordError,
)
from watchword.flows import Tools, admin, proof
from watchword.flows.attempts import count_as_failed
from watchword.flows.housekeeping import KEPT, tidy_up
from watchword.flows.login import log_in
from watchword.flows.password import change_password
from watchword.limits import FAMILIAR, FAMILIAR_FOR, FORMER, LEASE, NETWORK, STRANGERS
from watchword.model import AccessToken
from watchword.passwords import Hasher, Verified
from watchword.passwords.pool import Place
from watchword.store.connection import Statement
from watchword.tokens import verify

HOME, ELSEWHERE, ATTACKER = "192.0.2.1", "198.51.100.7", "203.0.113.9"
IN_ONE_PROCESS = 20
"""So many have their turn at once before two threads; a network's first failures may overlap by as many."""
COUNT = Statement("SELECT count(*) FROM tallies")
IN_FLIGHT = Statement("SELECT coalesce(sum(young + old), 0) FROM tallies")
CUT_AT_COMMIT = (
    Statement(
        "CREATE FUNCTION cut() RETURNS trigger AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;"
        " END' LANGUAGE plpgsql"
    ),
    Statement(
        "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON sessions DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION cut()"
    ),
)
"""Whoever commits a session loses the connection."""


async def attempt(tools: Tools, username: str = "alice", password: str = PASSWORD, *, network: str = ATTACKER) -> str:
    """How a login ends, in one word."""
    try:
        await log_in(tools, username=username, password=password, asker=an_asker(tools, network=network))
    except WatchwordError as refusal:
        return {InvalidCredentials: "wrong", TooManyAttempts: "throttled"}.get(type(refusal), repr(refusal))
    return "right"


async def attempts(tools: Tools, usernames: Iterable[str], password: str, *, network: str = ATTACKER) -> list[str]:
    """How logins end, one after the other."""
    return [await attempt(tools, username, password, network=network) for username in usernames]


async def set_password(tools: Tools, password: str, *, username: str = "alice") -> None:
    """Give the user a new password, as an administrator does."""
    await admin.set_password(
        tools.store,
        tools.hasher,
        username=username,
        password=password,
        rules=tools.password_rules,
        now=tools.clock(),
        token_lifetime=900,
        asker=an_operator(),
    )


async def number(tools: Tools, statement: Statement) -> int:
    """A number that the database tells."""
    ((value,),) = await tools.store.read(lambda connection: connection.fetch(statement))
    return int(value)


async def test_guessing_at_one_account_is_stopped(tools: Tools, clock: FakeClock) -> None:
    """The documented number is evaluated, then one at the end of each wait, each twice as long (row 80)."""
    await add_user(tools)
    assert await attempts(tools, ["alice"] * 15, "a guess") == ["wrong"] * STRANGERS.free + ["throttled"] * 5
    for doubling in range(8):
        wait = STRANGERS.first_wait * 2**doubling
        clock.advance(wait - 1)
        assert await attempt(tools) == "throttled"
        clock.advance(1)
        assert await attempts(tools, ["alice"] * 2, "a guess") == ["wrong", "throttled"]


async def test_a_wait_ends_by_itself(tools: Tools, clock: FakeClock) -> None:
    """Nobody has to unlock anything, and a login forgives what was before it (row 82)."""
    await add_user(tools)
    await attempts(tools, ["alice"] * 15, "a guess")
    clock.advance(STRANGERS.first_wait)
    assert await attempt(tools, network=ELSEWHERE) == "right"
    assert await attempts(tools, ["alice"] * 11, "a guess") == ["wrong"] * STRANGERS.free + ["throttled"]


async def test_one_network_at_many_accounts_is_stopped(tools: Tools) -> None:
    """One password at each of many accounts: the network's number is evaluated, then nothing more (row 81)."""
    await add_user(tools)
    await add_user(tools, "bob")
    assert await attempt(tools, "bob", network=ATTACKER) == "right"  # and it is no less stopped for that (row 90)
    outcomes = await attempts(tools, (f"user{n}" for n in range(NETWORK.free + 20)), "Spring2027")
    assert outcomes == ["wrong"] * NETWORK.free + ["throttled"] * 20
    assert await attempt(tools) == "throttled"
    assert await attempt(tools, network=ELSEWHERE) == "right"
    assert await attempt(tools, "bob") == "right"  # the network is familiar to that account


async def test_a_burst_from_one_network_closes_it_for_hours_and_not_for_years(tools: Tools, clock: FakeClock) -> None:
    """Guesses that overlap are all counted, and a wait that doubled for each would outlive them by far (row 82)."""
    await add_user(tools)
    await attempts(tools, (f"user{n}" for n in range(NETWORK.free - 1)), "Spring2027")
    burst = [attempt(tools, f"other{n}", "Spring2027") for n in range(IN_ONE_PROCESS)]
    assert "wrong" in await asyncio.gather(*burst)
    assert await attempt(tools) == "throttled"
    clock.advance(NETWORK.forgotten_after * (IN_ONE_PROCESS + 1))
    assert await attempt(tools) == "right"


async def test_guesses_at_familiar_accounts_close_no_network(tools: Tools) -> None:
    """An office that mistypes its own passwords, or somebody with an account of their own there, keeps nobody out."""
    await add_user(tools)
    await add_user(tools, "bob")
    for _ in range(NETWORK.free // 10):
        assert await attempt(tools, "bob") == "right"
        assert await attempts(tools, ["bob"] * (FAMILIAR.free - 1), "a slip") == ["wrong"] * (FAMILIAR.free - 1)
    assert await attempt(tools) == "right"


async def test_one_network_at_many_accounts_at_once_is_stopped(tools: Tools) -> None:
    """All of them at the same time: no more than the network's number and those that had their turn (row 81)."""
    outcomes = await asyncio.gather(*(attempt(tools, f"user{n}", "Spring2027") for n in range(200)))
    assert NETWORK.free <= outcomes.count("wrong") <= NETWORK.free + IN_ONE_PROCESS
    assert outcomes.count("throttled") == 200 - outcomes.count("wrong")


async def test_many_networks_at_one_account_are_stopped(tools: Tools) -> None:
    """From each network one guess: the account's number is evaluated, at once or not (row 81)."""
    await add_user(tools)
    guesses = (attempt(tools, password="a guess", network=f"10.0.{n // 250}.{n % 250}") for n in range(120))
    outcomes = await asyncio.gather(*guesses)
    assert (outcomes.count("wrong"), outcomes.count("throttled")) == (STRANGERS.free, 120 - STRANGERS.free)


async def test_guesses_at_once_are_no_more_than_one_by_one(tools: Tools) -> None:
    """Of two hundred at once no more are evaluated than the limit, and the right one if it was among them (row 83)."""
    await add_user(tools)
    for position in (0, 4, 199):
        passwords = [f"guess {n}" for n in range(200)]
        passwords[position] = PASSWORD
        network = f"203.0.113.{position}"
        outcomes = await asyncio.gather(*(attempt(tools, password=each, network=network) for each in passwords))
        wrong, right = outcomes.count("wrong"), outcomes.count("right")
        assert wrong <= (FAMILIAR if right else STRANGERS).free
        assert wrong + right + outcomes.count("throttled") == 200
    assert await number(tools, IN_FLIGHT) == 0


@pytest.mark.parametrize("accounts", [1, 100])
async def test_right_passwords_are_never_throttled(tools: Tools, accounts: int) -> None:
    """However many log in at once from one network, to one account or many, all get in."""
    names = [f"user{n}" for n in range(accounts)]
    for name in names:
        await add_user(tools, name)
    for times in (256, 64):
        logins = (attempt(tools, names[n % accounts], network=HOME) for n in range(times))
        assert set(await asyncio.gather(*logins)) == {"right"}
    assert await number(tools, COUNT) == accounts  # that the network is familiar, and nothing else
    assert await number(tools, IN_FLIGHT) == 0


async def test_the_owner_gets_in_while_the_attack_goes_on(tools: Tools, clock: FakeClock) -> None:
    """From a network used before all of a hundred logins succeed at the first try; the attacker stays out (row 82)."""
    await add_user(tools)
    assert await attempt(tools, network=HOME) == "right"
    outcomes = []
    for n in range(100):
        burst = [attempt(tools, password=f"guess {n} {m}", network=f"203.0.113.{m}") for m in range(6)]
        *guesses, owner = await asyncio.gather(*burst, attempt(tools, network=HOME))
        assert owner == "right", n
        outcomes += guesses
        clock.advance(6)
    assert outcomes.count("wrong") <= STRANGERS.free + 5
    assert await attempt(tools, network=ATTACKER) == "throttled"


async def test_a_familiar_network_has_a_limit_too(tools: Tools, clock: FakeClock) -> None:
    """Who guesses from the owner's own network gets so many, and takes nothing from the others."""
    await add_user(tools)
    await attempt(tools, network=HOME)
    outcomes = await attempts(tools, ["alice"] * 30, "a guess", network=HOME)
    assert outcomes == ["wrong"] * FAMILIAR.free + ["throttled"] * 10
    assert await attempt(tools, network=ELSEWHERE) == "right"
    clock.advance(FAMILIAR.first_wait)
    assert await attempt(tools, network=HOME) == "right"


async def test_a_network_is_familiar_for_a_time(tools: Tools, clock: FakeClock) -> None:
    """From the last login on; after that it is one of the strangers."""
    await add_user(tools)
    await attempt(tools, network=HOME)
    clock.advance(FAMILIAR_FOR - 1)
    assert await attempts(tools, ["alice"] * 2, "a guess", network=HOME) == ["wrong"] * 2
    assert await attempt(tools, network=HOME) == "right"
    clock.advance(FAMILIAR_FOR - 1)
    await attempts(tools, ["alice"] * 15, "a guess")
    assert await attempt(tools, network=HOME) == "right"
    clock.advance(FAMILIAR_FOR)
    await attempts(tools, ["alice"] * 15, "a guess")
    assert await attempt(tools, network=HOME) == "throttled"


@pytest.mark.parametrize("is_new", [False, True])
async def test_who_knew_the_former_password_has_no_lanes_left(tools: Tools, is_new: bool) -> None:
    """From however many networks it was used, the next password is guessed at no more often than by strangers, or from
    one more network; that of another user of the same name by strangers alone (rows 80 and 81)."""
    await add_user(tools)
    networks = [f"10.2.{n}.1" for n in range(12)]
    assert {await attempt(tools, network=network) for network in networks} == {"right"}
    if is_new:
        await admin.delete_user(
            tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_operator()
        )
        await add_user(tools)
    else:
        await set_password(tools, "the next long password")
    guesses = [attempt(tools, password="a guess", network=network) for network in networks for _ in range(5)]
    assert (await asyncio.gather(*guesses)).count("wrong") == (STRANGERS if is_new else FORMER).free
    by_strangers = await attempts(tools, ["alice"] * 15, "a guess")
    assert by_strangers.count("wrong") == (0 if is_new else STRANGERS.free)


async def test_the_owner_of_a_new_password_gets_in_past_strangers(tools: Tools) -> None:
    """From where they logged in with the one before; and is then as familiar there as before (row 82)."""
    await add_user(tools)
    assert await attempt(tools, network=HOME) == "right"
    await attempts(tools, ["alice"] * 15, "a guess")
    await set_password(tools, "the next long password")
    assert await attempt(tools, password="the next long password", network=HOME) == "right"
    guesses = await attempts(tools, ["alice"] * 30, "a guess", network=HOME)
    assert guesses == ["wrong"] * FAMILIAR.free + ["throttled"] * 10
    assert await attempt(tools, password="the next long password") == "throttled"


async def test_who_changes_the_password_stays_familiar(tools: Tools) -> None:
    """Whoever knew the one before, and was anywhere before, uses up nothing of the room that the owner has at home."""
    await add_user(tools)
    token = await bearer(tools, HOME)
    await attempt(tools, network=ATTACKER)
    asker, new = an_asker(tools, network=HOME), "the next long password"
    await change_password(tools, token=token, current_password=PASSWORD, new_password=new, asker=asker)
    assert await attempts(tools, ["alice"] * 25, "a guess") == ["wrong"] * FORMER.free + ["throttled"] * 5
    assert await attempt(tools, password=new, network=HOME) == "right"


async def test_right_passwords_at_once_leave_no_failures(tools: Tools) -> None:
    """Of those who were in flight when the network became familiar nothing is left, and nobody is told of guesses."""
    await add_user(tools)
    assert set(await asyncio.gather(*(attempt(tools, network=HOME) for _ in range(STRANGERS.free)))) == {"right"}
    assert await number(tools, Statement("SELECT sum(failures) FROM tallies")) == 0
    assert await attempt(tools, network=HOME) == "right"
    assert (await trail(tools))[-1].event == Event.LOGIN_SUCCESS


async def test_a_network_that_knew_former_passwords_is_no_less_stopped(tools: Tools) -> None:
    """It has a lane at each account that it was let into, and what fails there is counted for it as well (row 81)."""
    names = [f"user{n}" for n in range(12)]
    for name in names:
        await add_user(tools, name)
        assert await attempt(tools, name) == "right"
        await set_password(tools, "the next long password", username=name)
    outcomes = await attempts(tools, [*names] * 10, "a guess")
    assert outcomes == ["wrong"] * NETWORK.free + ["throttled"] * 20


async def test_a_flood_of_names_evicts_nothing(tools: Tools, clock: FakeClock) -> None:
    """However many names and networks are tried in between, the victim's count stays; in the end they go (row 85)."""
    await add_user(tools)
    await attempts(tools, ["alice"] * 15, "a guess")
    lines = len(tools.throttle._lines)
    for n in range(16):
        flood = (attempt(tools, f"name{n}-{m}", "a guess", network=f"10.1.{n}.{m}") for m in range(25))
        await asyncio.gather(*flood)
    assert await attempt(tools, network=ELSEWHERE) == "throttled"
    assert (len(tools.throttle._lines), len(tools.throttle._waiting)) == (lines, 0)
    assert len(tools.hasher.pool._lines) == len(tools.hasher.pool.queue._depths) == 0
    assert await number(tools, COUNT) == 1 + 1 + 2 * 16 * 25
    clock.advance(STRANGERS.forgotten_after + KEPT)
    await tidy_up(tools.store, now=clock.now, seals=tools.recorder.seals, audit_kept=86_400)
    assert await number(tools, COUNT) == 1  # the victim's


@pytest.mark.parametrize("is_there", [True, False])
async def test_one_account_has_one_count(tools: Tools, is_there: bool) -> None:
    """However its name is spelled, and whether or not there is such an account (row 86)."""
    if is_there:
        await add_user(tools, "zoë")
    spellings = ["zoë", "ZOË", "zoe\u0308", "\uff3a\uff2f\u00cb", "Zoë"]
    outcomes = await attempts(tools, spellings * 3, "a guess")
    assert outcomes == ["wrong"] * STRANGERS.free + ["throttled"] * 5


@pytest.mark.parametrize("name", ["zoë ", "zo\u200bë", "zoë\ufeff", "", "a" * 2000, "\U0001f600"])
async def test_what_can_be_no_name_is_throttled_alike(tools: Tools, name: str) -> None:
    """Nobody learns by the throttle that there is no such account, and no other account pays for it (row 86)."""
    await add_user(tools, "zoë")
    outcomes = await attempts(tools, [name] * 12, "a guess")
    assert outcomes == ["wrong"] * STRANGERS.free + ["throttled"] * 2
    assert await attempt(tools, "zoë") == "right"


async def test_what_was_guessed_is_not_in_the_database(tools: Tools) -> None:
    """People type passwords where names belong: the table has digests alone, which differ for each secret."""
    await attempt(tools, "canary-name", "canary-password", network="192.0.2.77")
    rows = await tools.store.read(lambda connection: connection.fetch(Statement("SELECT * FROM tallies")))
    assert len(rows) == 2
    assert "canary" not in str(rows)
    assert "192.0.2" not in str(rows)
    assert all(len(row[0]) == 32 for row in rows)


async def bearer(tools: Tools, network: str) -> AccessToken:
    """The token of a login."""
    issued = await log_in(tools, username="alice", password=PASSWORD, asker=an_asker(tools, network=network))
    return verify(issued.token, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())


async def test_a_password_change_is_a_guess_like_a_login(tools: Tools) -> None:
    """The present password is counted with the logins, whichever comes first (row 88)."""
    await add_user(tools)
    token = await bearer(tools, HOME)
    change = partial(change_password, tools, token=token, new_password="another long password")
    for network in (ATTACKER, HOME):
        limit = (FAMILIAR if network == HOME else STRANGERS).free
        for _ in range(limit // 2):
            assert await attempt(tools, password="a guess", network=network) == "wrong"
            with pytest.raises(InvalidCredentials):
                await change(current_password="a guess", asker=an_asker(tools, network=network))
        with pytest.raises(TooManyAttempts):
            await change(current_password=PASSWORD, asker=an_asker(tools, network=network))
        assert await attempt(tools, network=network) == "throttled"


async def test_a_change_is_charged_to_the_users_own_name(tools: Tools) -> None:
    """Who shares a secret with us may sign any name into a token, and would guess past the account's count (row 88)."""
    await add_user(tools)
    token = await bearer(tools, HOME)
    for n in range(3):
        with pytest.raises(InvalidToken):
            await change_password(
                tools,
                token=replace(token, username=f"other{n}"),
                current_password="a guess",
                new_password="another long password",
                asker=an_asker(tools, network=HOME),
            )
    assert await number(tools, COUNT) == 1  # that the network is familiar, and nothing else


async def test_ones_own_account_resets_nothing(tools: Tools) -> None:
    """A login of the attacker's between guesses forgives neither the victim's count nor the network's (row 90)."""
    await add_user(tools)
    await add_user(tools, "mallory")
    outcomes = []
    for n in range(NETWORK.free):
        assert await attempt(tools, "mallory") == "right"
        outcomes.append(await attempt(tools, "alice" if n < 15 else f"user{n}", "a guess"))
    assert outcomes[:15] == ["wrong"] * STRANGERS.free + ["throttled"] * 5
    evaluated = outcomes.count("wrong")
    for n in range(20):
        assert await attempt(tools, "mallory") == "right"
        evaluated += await attempt(tools, f"other{n}", "a guess") == "wrong"
    assert evaluated == NETWORK.free


async def test_a_throttled_guess_costs_no_hash(tools: Tools) -> None:
    """Neither a right nor a wrong password is hashed, and both are told the same (row 89)."""
    await add_user(tools)
    await attempts(tools, ["alice"] * STRANGERS.free, "a guess")
    hashed = []
    tools.hasher._verify = lambda *_: hashed.append(1)  # type: ignore[assignment, method-assign]
    told = []
    for password in (PASSWORD, "a guess"):
        with pytest.raises(TooManyAttempts) as refusal:
            await log_in(tools, username="alice", password=password, asker=an_asker(tools, network=ATTACKER))
        told.append((str(refusal.value), refusal.value.retry_after))
    assert told == [("account", STRANGERS.first_wait)] * 2
    assert hashed == []


async def test_what_is_throttled_is_counted(tools: Tools) -> None:
    """Operators see that guesses are stopped, and whether for the account or for the network."""
    await attempts(tools, ["alice"] * 12, "a guess")
    await attempts(tools, (f"user{n}" for n in range(NETWORK.free)), "a guess")

    def throttled(reason: str) -> float | None:
        labels = {"outcome": "throttled", "reason": reason}
        return tools.metrics.registry.get_sample_value("watchword_logins_total", labels)

    assert (throttled("account"), throttled("network")) == (2, STRANGERS.free)


async def test_who_hangs_up_before_the_hash_is_not_charged(tools: Tools) -> None:
    """A guess whose hash has not begun was none, and nothing stays in flight."""
    await add_user(tools)
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Halting(Hasher):
        async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
            begun.set()
            await go_on.wait()
            return await super().verify(password, stored, place=place)

    hasher = Halting(tools.hasher.parameters, threads=1, max_wait=5.0)
    halting = replace(tools, hasher=hasher)
    for _ in range(STRANGERS.free + 5):
        begun.clear()
        task = asyncio.create_task(attempt(halting, password="a guess"))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
    await tools.throttle.errands_done()
    assert await number(tools, COUNT) == 0
    hasher.close()


@pytest.mark.parametrize(("password", "then", "locks"), [("a guess", "throttled", 1), (PASSWORD, "right", 0)])
async def test_who_hangs_up_is_charged_by_what_was_evaluated(
    tools: Tools, password: str, then: str, locks: int
) -> None:
    """Once the hash has begun, a wrong guess counts though nobody waits for the answer, and a right one does not."""
    await add_user(tools)
    started, released = threading.Event(), threading.Event()

    class Blocked(Hasher):
        def _verify(self, data: bytes, other_spellings: Sequence[bytes], stored: str | None) -> Verified:
            started.set()
            released.wait()
            return super()._verify(data, other_spellings, stored)

    blocked = Blocked(tools.hasher.parameters, threads=1, max_wait=5.0)
    for _ in range(STRANGERS.free):
        started.clear()
        released.clear()
        task = asyncio.create_task(attempt(replace(tools, hasher=blocked), password=password))
        await asyncio.to_thread(started.wait)
        task.cancel()
        await asyncio.wait([task])
        released.set()
        await tools.throttle.errands_done()
    blocked.close()
    assert await number(tools, IN_FLIGHT) == 0
    labels = {"outcome": "failure", "reason": "wrong_password"}
    failures = tools.metrics.registry.get_sample_value("watchword_logins_total", labels)
    assert (failures or 0) == (STRANGERS.free if then == "throttled" else 0)
    assert await attempt(tools) == then
    assert [entry.event for entry in await trail(tools)].count(Event.LOGIN_LOCK) == locks


async def test_who_hangs_up_while_the_failure_is_stored_has_guessed(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators count guesses by what was evaluated, however quick those who make them are gone."""
    stored = asyncio.Event()

    async def store_slowly(*arguments: Any) -> None:
        await count_as_failed(*arguments)
        stored.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(proof, "count_as_failed", store_slowly)
    task = asyncio.create_task(attempt(tools, username="nobody", password="a guess"))
    await stored.wait()
    task.cancel()
    await asyncio.wait([task])
    labels = {"outcome": "failure", "reason": "unknown_user"}
    assert tools.metrics.registry.get_sample_value("watchword_logins_total", labels) == 1


async def test_what_a_killed_process_has_charged_counts(tools: Tools, clock: FakeClock) -> None:
    """A charge that is never settled takes its room at once, and is a failure soon after, whose wait ends (row 84)."""
    await add_user(tools)
    await attempts(tools, ["alice"] * (STRANGERS.free - 1), "a guess")
    clock.advance(1)
    lost = Statement("UPDATE tallies SET young = 1 WHERE failures = 9")
    await tools.store.write(lambda connection: connection.fetch(lost))
    brief = Hasher(tools.hasher.parameters, threads=1, max_wait=0.1)
    assert "in flight" in await attempt(replace(tools, hasher=brief), password="a guess", network=ELSEWHERE)
    brief.close()
    clock.advance(2 * LEASE)
    for _ in range(3):  # also if somebody asks again and again
        assert await attempt(tools) == "throttled"
        clock.advance(STRANGERS.first_wait // 3)
    assert await attempt(tools) == "right"


async def test_who_hangs_up_while_a_login_cannot_be_stored_is_not_charged(tools: Tools) -> None:
    """A right password of which nothing comes is no failure, whether or not somebody waits for it."""
    await add_user(tools)
    proven = asyncio.Event()

    class Telling(Hasher):
        async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
            verified = await super().verify(password, stored, place=place)
            proven.set()
            return verified

    hasher = Telling(tools.hasher.parameters, threads=1, max_wait=5.0)
    away, back = Statement("ALTER TABLE sessions RENAME TO away"), Statement("ALTER TABLE away RENAME TO sessions")
    await tools.store.write(lambda connection: connection.fetch(away))
    for _ in range(STRANGERS.free + 5):
        proven.clear()
        task = asyncio.create_task(attempt(replace(tools, hasher=hasher), network=HOME))
        await proven.wait()
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        await tools.store.settle()
        await tools.throttle.errands_done()
    hasher.close()
    assert await number(tools, COUNT) == 0
    await tools.store.write(lambda connection: connection.fetch(back))
    assert await attempt(tools) == "right"


async def test_a_charge_is_taken_back_when_the_database_is_there_again(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right passwords that were proven just before it went away for seconds are no failures."""
    monkeypatch.setattr(throttle, "TRY_AGAIN", 0.02)
    await add_user(tools)
    away, back = Statement("ALTER TABLE tallies RENAME TO away"), Statement("ALTER TABLE away RENAME TO tallies")

    class Losing(Hasher):
        async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
            verified = await super().verify(password, stored, place=place)
            await tools.store.write(lambda connection: connection.fetch(away))
            return verified

    losing = Losing(tools.hasher.parameters, threads=1, max_wait=5.0)
    assert "Unavailable" in await attempt(replace(tools, hasher=losing))
    losing.close()
    await asyncio.sleep(0.05)
    await tools.store.write(lambda connection: connection.fetch(back))
    while await number(tools, COUNT):
        await asyncio.sleep(0.01)


async def test_who_cannot_be_looked_up_is_not_charged(tools: Tools) -> None:
    """A fault of the table of users, which may be locked for a minute, makes no failures of right passwords."""
    await add_user(tools)
    away, back = Statement("ALTER TABLE users RENAME TO away"), Statement("ALTER TABLE away RENAME TO users")
    await tools.store.write(lambda connection: connection.fetch(away))
    for _ in range(STRANGERS.free + 5):
        with pytest.raises(Unavailable):
            await log_in(tools, username="alice", password=PASSWORD, asker=an_asker(tools, network=HOME))
    assert await number(tools, COUNT) == 0
    await tools.store.write(lambda connection: connection.fetch(back))
    assert await attempt(tools) == "right"


async def test_without_a_database_nothing_is_evaluated(tools: Tools) -> None:
    """While nothing can be charged nobody logs in, with the right password or another: unavailable."""
    await add_user(tools)
    away, back = Statement("ALTER TABLE tallies RENAME TO away"), Statement("ALTER TABLE away RENAME TO tallies")
    await tools.store.write(lambda connection: connection.fetch(away))
    for password in (PASSWORD, "a guess"):
        with pytest.raises(Unavailable):
            await log_in(tools, username="alice", password=password, asker=an_asker(tools, network=HOME))
    await tools.store.write(lambda connection: connection.fetch(back))
    assert await attempt(tools) == "right"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_may_be_settled_is_not_settled_again(tools: Tools) -> None:
    """A server that goes away while it commits a login leaves the charge, which becomes a failure if it is still there.

    Given back twice, the second one would have been somebody else's guess.
    """
    await add_user(tools)
    for statement in CUT_AT_COMMIT:
        await tools.store.write(methodcaller("fetch", statement))
    assert "Unconfirmed" in await attempt(tools)
    assert [entry.detail for entry in await trail(tools) if entry.event == Event.LOGIN_FAIL] == ["unconfirmed"]
    await tools.throttle.errands_done()
    assert await number(tools, IN_FLIGHT) == 1
    assert await number(tools, Statement("SELECT count(*) FROM sessions")) == 0


async def test_what_may_be_given_back_is_not_given_back_again(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a charge's return could be tried, one that may be done is the last: the next is somebody else's."""
    await add_user(tools)
    monkeypatch.setattr(throttle, "TRY_AGAIN", 0.01)
    tries: list[str] = []

    async def lose_the_answer(story: Any, **_: object) -> None:
        tries.append(story.func.__name__)  # audit events are written too
        raise Unconfirmed("the answer is lost")

    class Failing(Hasher):
        async def verify(self, password: str, stored: str | None, *, place: Place) -> Verified:
            monkeypatch.setattr(tools.store, "write", lose_the_answer)
            raise Overloaded("no memory")

    failing = Failing(tools.hasher.parameters, threads=1, max_wait=5.0)
    assert "Overloaded" in await attempt(replace(tools, hasher=failing))
    failing.close()
    await asyncio.sleep(0.1)
    assert tries.count("give_back") == 1


async def test_a_clock_that_was_put_back_locks_nobody_out(tools: Tools, clock: FakeClock) -> None:
    """A wait begins again and is over in its own time, not when the clock has caught up (row F15)."""
    await add_user(tools)
    await attempts(tools, ["alice"] * 11, "a guess")
    clock.advance(-3600)
    assert await attempt(tools) == "throttled"
    clock.advance(STRANGERS.first_wait)
    assert await attempt(tools) == "right"
