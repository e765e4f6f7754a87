"""The throttle's rules: so many guesses and no more, waits that grow and end, and clocks that are put another time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import TooManyAttempts
from watchword.limits import FAMILIAR, LEASE, NETWORK, STRANGERS, InFlight, Rule, Tally

NOW = 1_800_000_000
DAY = 86_400
RULES = st.sampled_from(
    [STRANGERS, FAMILIAR, NETWORK, Rule("account", by="few", free=3, first_wait=5, forgotten_after=1000)]
)
BRIEFLY = st.integers(0, 3)
AT_LENGTH = st.integers(0, 400)


def guessing(rule: Rule, *, seconds: int, tally: Tally | None = None) -> int:
    """How many wrong guesses are evaluated if one is made at every chance."""
    tally, now, evaluated = tally or Tally(), NOW, 0
    while True:
        try:
            tally = tally.charged(rule, now=now)
        except TooManyAttempts as refusal:
            now += refusal.retry_after
            if now > NOW + seconds:
                return evaluated
            continue
        tally = tally.failed(rule, now=now, lease=tally.lease)
        evaluated += 1


def failed(rule: Rule, times: int, *, now: int = NOW) -> Tally:
    """A tally of so many failures, however long the waits between were."""
    tally = Tally()
    for _ in range(times):
        tally = tally.noted(rule, now=now)
    return tally


@pytest.mark.parametrize(
    ("rule", "evaluated"),
    [
        (STRANGERS, {0: 10, 600: 14, DAY: 21, 365 * DAY: 38, 6 * 365 * DAY: 99}),
        (FAMILIAR, {0: 20, 600: 24, DAY: 31, 365 * DAY: 48}),
        (NETWORK, {0: 100, 3600: 115, DAY: 391}),
    ],
)
def test_guessing_at_every_chance_comes_to_an_end(rule: Rule, evaluated: dict[int, int]) -> None:
    """So many guesses at one thing are evaluated at once, in a day, in a year, as the page has it (rows 80 and 81)."""
    assert evaluated == {seconds: guessing(rule, seconds=seconds) for seconds in evaluated}


@given(RULES, st.lists(st.tuples(st.sampled_from(["charge", "settle", "lose"]), BRIEFLY | AT_LENGTH), max_size=400))
def test_no_interleaving_gets_more(rule: Rule, steps: list[tuple[str, int]]) -> None:
    """However guesses overlap or are lost with their process, no more than one by one are evaluated (row 83)."""
    tally, now, charged, evaluated = Tally(), NOW, list[int](), 0
    for step, seconds in steps:
        now += seconds
        if step == "charge":
            try:
                tally = tally.charged(rule, now=now)
            except (TooManyAttempts, InFlight):
                continue
            charged.append(tally.lease)
            evaluated += 1
        elif charged and step == "settle":
            tally = tally.failed(rule, now=now, lease=charged.pop(0))
        elif charged:
            charged.pop()
        assert tally.young >= 0
        assert tally.old >= 0
    assert evaluated <= guessing(rule, seconds=now - NOW + 1) + (now - NOW) // rule.forgotten_after + 1


@given(RULES, st.integers(1, 500))
def test_at_once_no_more_are_in_flight_than_there_is_room(rule: Rule, guesses: int) -> None:
    """Before any of them is settled, so many are let in and the rest waits (row 83)."""
    tally, let_in = Tally(), 0
    for _ in range(guesses):
        try:
            tally = tally.charged(rule, now=NOW)
            let_in += 1
        except InFlight:
            pass
    assert let_in == tally.in_flight == min(guesses, rule.free)


@given(RULES, st.integers(0, 200))
def test_waits_grow_and_end(rule: Rule, failures: int) -> None:
    """A failure more never waits for less, and when the wait is over a guess is let in, whatever happened (row 82)."""
    assert 0 <= rule.wait_after(failures) <= rule.wait_after(failures + 1)
    tally = failed(rule, failures)
    wait = rule.wait_after(failures)
    if wait:
        with pytest.raises(TooManyAttempts) as refusal:
            tally.charged(rule, now=NOW)
        assert refusal.value.retry_after == wait
        with pytest.raises(TooManyAttempts):
            tally.charged(rule, now=NOW + wait - 1)
    assert tally.charged(rule, now=NOW + wait).in_flight == 1


@given(RULES, st.integers(1, 100_000))
def test_no_wait_outlives_its_failures(rule: Rule, failures: int) -> None:
    """Also of a burst: what overlapped is counted to the last, and would double the wait for each (row 82)."""
    tally = Tally()._with_failures(failures, rule, now=NOW)
    wait = rule.wait_after(failures)
    assert tally.until == (NOW + wait if wait else 0)
    assert tally.as_of(rule, now=NOW + (failures + 1) * rule.forgotten_after).is_blank
    assert tally.over_at(rule) == NOW + failures * rule.forgotten_after


@given(st.sampled_from([STRANGERS, FAMILIAR]), st.integers(1, 20))
def test_a_wait_is_half_a_minute_longer_than_the_guessing(rule: Rule, doublings: int) -> None:
    """Who guesses for an hour keeps strangers out for an hour more and no longer."""
    guessing_took = sum(rule.wait_after(failures) for failures in range(rule.free + doublings))
    assert rule.wait_after(rule.free + doublings) == guessing_took + rule.first_wait


@given(RULES, st.integers(0, 50), st.integers(0, 50))
def test_a_right_guess_takes_back_itself_and_what_was_before(rule: Rule, before: int, meanwhile: int) -> None:
    """Failures that were counted when it was charged are forgiven, those of meanwhile stay (rows 83 and 90)."""
    tally = failed(rule, before)
    now = max(NOW, tally.until)
    known = tally.as_of(rule, now=now).failures
    tally = tally.charged(rule, now=now)
    lease = tally.lease
    for _ in range(meanwhile):
        tally = tally.noted(rule, now=now)
    tally = tally.succeeded(rule, now=now, lease=lease, forgiven=known)
    assert (tally.failures, tally.in_flight) == (meanwhile, 0)
    assert tally.is_blank == (not meanwhile)
    assert (tally.until > now) == (rule.wait_after(meanwhile) > 0)


@given(RULES)
def test_what_was_never_made_leaves_no_trace(rule: Rule) -> None:
    """A guess that is given back leaves the tally as it was."""
    tally = Tally().charged(rule, now=NOW)
    assert tally.returned(rule, now=NOW + 5, lease=tally.lease).is_blank


@given(RULES, st.integers(1, 20), st.integers(0, LEASE - 1))
def test_what_a_killed_process_had_in_flight_becomes_a_failure(rule: Rule, guesses: int, offset: int) -> None:
    """After one to two leases, and not before one; settling it after all counts nothing twice (row 84)."""
    tally, now = Tally(), NOW + offset
    guesses = min(guesses, rule.free)
    for _ in range(guesses):
        tally = tally.charged(rule, now=now)
    lease = tally.lease
    assert tally.as_of(rule, now=now + LEASE).failures == 0
    lost = tally.as_of(rule, now=now + 2 * LEASE)
    assert (lost.failures, lost.in_flight) == (guesses, 0)
    assert lost.until == ((lease + 2) * LEASE + rule.wait_after(guesses) if guesses >= rule.free else 0)
    assert lost.failed(rule, now=now + 2 * LEASE, lease=lease).failures == guesses
    assert lost.succeeded(rule, now=now + 2 * LEASE, lease=lease, forgiven=0).failures == guesses - 1
    assert lost.returned(rule, now=now + 2 * LEASE, lease=lease).failures == guesses - 1


@given(
    RULES,
    st.integers(0, 20),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.lists(st.integers(0, 4 * LEASE) | st.integers(0, 3 * DAY), min_size=2, max_size=6),
)
def test_nobody_waits_longer_for_having_looked(
    rule: Rule, failures: int, lost: tuple[int, int], looks: list[int]
) -> None:
    """A wait for what was never settled ends when the first look at it said, though nothing is stored of a look.

    Nor is anybody counted otherwise where something was.
    """
    old, young = lost
    tally = failed(rule, failures)._replace(lease=NOW // LEASE, old=old, young=young)
    looked = tally
    for seconds in sorted(looks):
        looked, at_once = looked.as_of(rule, now=NOW + seconds), tally.as_of(rule, now=NOW + seconds)
        assert looked._replace(until=0) == at_once._replace(until=0)
        assert looked.until <= at_once.until  # the wait for fewer failures is shorter
    ends = []
    for seconds in sorted(looks):
        try:
            tally.admit(rule, now=NOW + 2 * LEASE + seconds)
        except TooManyAttempts as refusal:
            ends.append(NOW + 2 * LEASE + seconds + refusal.retry_after)
    assert ends == sorted(ends, reverse=True)
    over = tally.over_at(rule)
    assert tally.as_of(rule, now=over).is_blank
    assert tally.as_of(rule, now=over).until <= over


@given(RULES, st.integers(1, 60), st.integers(1, 10))
def test_failures_are_forgotten_one_by_one(rule: Rule, failures: int, forgotten: int) -> None:
    """One for each period that passes; when all are, the tally is over."""
    tally = failed(rule, failures)
    later = tally.as_of(rule, now=NOW + forgotten * rule.forgotten_after)
    assert later.failures == max(0, failures - forgotten)
    assert tally.as_of(rule, now=tally.over_at(rule)).charged(rule, now=tally.over_at(rule)).failures == 0


@given(RULES, st.integers(0, 40), st.integers(1, 400 * DAY))
def test_a_clock_that_is_put_back_locks_nobody_out(rule: Rule, failures: int, step: int) -> None:
    """The wait begins again at most, and what is in flight is settled as ever (row F15)."""
    tally = failed(rule, failures)
    wait = rule.wait_after(failures)
    now = NOW - step
    if wait:
        with pytest.raises(TooManyAttempts) as refusal:
            tally.charged(rule, now=now)
        assert refusal.value.retry_after <= wait
    assert tally.is_ahead(rule, now=now) == (wait > 0)
    stored = tally.as_of(rule, now=now)
    assert not stored.is_ahead(rule, now=now)
    assert stored.charged(rule, now=now + wait).in_flight == 1
    early = Tally().charged(rule, now=NOW)
    assert early.failed(rule, now=now, lease=early.lease).failures == 1
    assert early.succeeded(rule, now=now, lease=early.lease, forgiven=0).is_blank
    assert early.as_of(rule, now=now).as_of(rule, now=now + 3 * LEASE).in_flight == 0


@given(st.integers(10, 40), st.integers(1, DAY))
def test_a_clock_that_is_put_forward_opens_what_that_time_would_have(failures: int, step: int) -> None:
    """At most one guess of a stranger more for a step of up to a day, for the next wait is whole again (row F15)."""
    tally = failed(STRANGERS, failures)
    now, let_in = NOW + step, 0
    try:
        while True:
            tally = tally.charged(STRANGERS, now=now)
            let_in += 1
            tally = tally.failed(STRANGERS, now=now, lease=tally.lease)
    except TooManyAttempts:
        pass
    assert let_in == (step >= STRANGERS.wait_after(failures))


@pytest.mark.parametrize("skew", [-30, 30])
def test_nodes_whose_clocks_differ_count_the_same(skew: int) -> None:
    """A guess that one node charges and settles is neither lost nor doubled by another's clock (row F15)."""
    for offset in range(LEASE):
        here, there = NOW + offset, NOW + offset + skew
        one = Tally().charged(STRANGERS, now=here)
        two = one.charged(STRANGERS, now=there)
        settled = two.failed(STRANGERS, now=there, lease=one.lease)
        settled = settled.failed(STRANGERS, now=here, lease=two.lease)
        assert (settled.failures, settled.in_flight) == (2, 0), offset


@pytest.mark.parametrize("others", [0, 1, 7, 40])
def test_a_network_that_becomes_familiar_takes_over_what_others_have_used(others: int) -> None:
    """Its own right guess is none of it, and as many right ones as were counted leave nothing behind."""
    tally = Tally(young=1 + others, lease=NOW // LEASE).made_familiar(now=NOW)
    assert tally.failures == min(others, STRANGERS.free)
    for _ in range(others):
        tally = tally.more_familiar(now=NOW)
    assert tally == Tally(lease=tally.lease)
