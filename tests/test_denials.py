"""Which sessions have ended: remembered while a token could live, by a clock that nobody sets, and no longer."""

from dataclasses import replace

import pytest

from tests.builders import Stopwatch
from watchword.denials import MAX_STALENESS, Denials, news_in
from watchword.errors import InvalidToken, Unavailable
from watchword.model import Revocation
from watchword.tokens import CLOCK_SKEW

NOW = 1_800_000_000


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The clock of the denials."""
    return Stopwatch()


@pytest.fixture
def denials(stopwatch: Stopwatch) -> Denials:
    """Denials with news of this moment."""
    denials = Denials(monotonic=stopwatch)
    denials.learnt_all(seq=0, asked_at=stopwatch.seconds, now=NOW)
    return denials


def ended(session_id: str = "s", *, revoked_at: int = NOW, expires_at: int = NOW + 900) -> Revocation:
    """The end of a session."""
    return Revocation(seq=1, session_id=session_id, revoked_at=revoked_at, expires_at=expires_at)


def is_denied(denials: Denials, session_id: str = "s") -> bool:
    """Whether a session is refused."""
    try:
        denials.check(session_id)
    except InvalidToken:
        return True
    return False


def pass_time(denials: Denials, stopwatch: Stopwatch, seconds: float, *, now: int) -> None:
    """Let time pass on the one clock, and be told that nothing happened."""
    stopwatch.seconds += seconds
    denials.learnt_all(seq=denials.seq, asked_at=stopwatch.seconds, now=now)


def test_an_ended_session_is_refused_and_no_other(denials: Denials) -> None:
    """At once, and by its id."""
    assert not is_denied(denials)
    denials.learn([ended()], now=NOW)
    assert is_denied(denials)
    assert not is_denied(denials, "another")


def test_it_is_remembered_while_a_token_could_live_and_no_longer(denials: Denials, stopwatch: Stopwatch) -> None:
    """Until the last token has expired by any clock that is not further off than the skew."""
    denials.learn([ended()], now=NOW)
    pass_time(denials, stopwatch, 900 + CLOCK_SKEW - 1, now=NOW + 929)
    assert is_denied(denials)
    pass_time(denials, stopwatch, 1, now=NOW + 930)
    assert not is_denied(denials)


@pytest.mark.parametrize("step", [-86_400, -1, 0, 3600, 86_400])
def test_a_wall_clock_that_is_set_revives_nothing(denials: Denials, stopwatch: Stopwatch, step: int) -> None:
    """Put forward or back, for as long as the token could have lived the end is remembered."""
    denials.learn([ended()], now=NOW)
    pass_time(denials, stopwatch, 900, now=NOW + 900 + step)
    assert is_denied(denials)


def test_a_clock_that_was_put_back_has_everything_asked_for_again(denials: Denials) -> None:
    """Tokens that had expired live again, so what was forgotten is to be learnt again from the table."""
    assert not denials.is_to_reload(now=NOW)
    assert not denials.is_to_reload(now=NOW + 5000)
    assert denials.is_to_reload(now=NOW - 1)


@pytest.mark.parametrize(("passed", "back", "is_noticed"), [(1000, 1000, True), (1000, 10, True), (1000, 1, False)])
def test_a_clock_put_back_while_there_were_no_news(
    denials: Denials, stopwatch: Stopwatch, passed: int, back: int, is_noticed: bool
) -> None:
    """It is not behind where it was, but behind where it should be; the whole seconds that it tells are forgiven."""
    stopwatch.seconds += passed
    assert denials.is_to_reload(now=NOW + passed - back) is is_noticed


def test_what_is_loaded_late_is_kept_until_its_token_has_expired(denials: Denials, stopwatch: Stopwatch) -> None:
    """After a clock was put back by an hour, a token of the hour before has an hour more."""
    denials.learn([ended()], now=NOW - 3600)
    pass_time(denials, stopwatch, 3600 + 900, now=NOW + 900)
    assert is_denied(denials)


def test_learnt_twice_the_longer_memory_counts(denials: Denials, stopwatch: Stopwatch) -> None:
    """A process's own revocation comes back from the table, and one of them must not end the other's memory."""
    denials.learn([ended()], now=NOW)
    stopwatch.seconds += 0.3
    denials.learn([ended()], now=NOW)
    denials.learn([ended(expires_at=NOW + 10)], now=NOW)
    pass_time(denials, stopwatch, 900 + CLOCK_SKEW - 0.1, now=NOW + 930)
    assert is_denied(denials)
    pass_time(denials, stopwatch, 0.2, now=NOW + 931)
    assert not is_denied(denials)


def test_without_news_for_too_long_nobody_passes(denials: Denials, stopwatch: Stopwatch) -> None:
    """Up to the bound who is not known to have ended passes; beyond it the answer is that nobody knows."""
    stopwatch.seconds += MAX_STALENESS
    denials.check("s")
    assert denials.staleness == MAX_STALENESS
    stopwatch.seconds += 0.1
    with pytest.raises(Unavailable) as refusal:
        denials.check("s")
    assert refusal.value.retry_after >= 1
    pass_time(denials, stopwatch, 0, now=NOW)
    denials.check("s")


def test_before_the_first_news_nobody_passes(stopwatch: Stopwatch) -> None:
    """A process that knows nothing yet does not guess."""
    denials = Denials(monotonic=stopwatch)
    assert denials.is_to_reload(now=NOW)
    with pytest.raises(Unavailable):
        denials.check("s")


def test_what_is_known_to_have_ended_is_refused_whatever_the_news(stopwatch: Stopwatch) -> None:
    """A refusal needs no more news."""
    denials = Denials(monotonic=stopwatch)
    denials.learn([ended()], now=NOW)
    with pytest.raises(InvalidToken):
        denials.check("s")


def test_nothing_is_kept_for_ever(denials: Denials, stopwatch: Stopwatch) -> None:
    """A thousand ends later, and their time passed, the memory is as empty as at first."""
    denials.learn([ended(str(number), expires_at=NOW + number) for number in range(1000)], now=NOW)
    pass_time(denials, stopwatch, 500 + CLOCK_SKEW, now=NOW + 530)
    assert [is_denied(denials, str(number)) for number in (500, 501)] == [False, True]
    pass_time(denials, stopwatch, 500, now=NOW + 1030)
    assert (denials._until, denials._order) == ({}, [])


def test_what_is_told_again_and_again_takes_no_more_memory(denials: Denials, stopwatch: Stopwatch) -> None:
    """One place each, however often a feed repeats it; and it is remembered for as long as the latest end says."""
    for later in range(100):
        denials.learn([ended(expires_at=NOW + 900 + later)], now=NOW)
    assert denials.count == len(denials._order) == 1
    pass_time(denials, stopwatch, 900 + CLOCK_SKEW + 98, now=NOW + 1028)
    assert is_denied(denials)
    pass_time(denials, stopwatch, 1, now=NOW + 1029)
    assert not is_denied(denials)
    assert denials.count == len(denials._order) == 0


KNOWN = Revocation(seq=7, session_id="s", revoked_at=NOW, expires_at=NOW + 900)


@pytest.mark.parametrize(
    "first",
    [replace(KNOWN, session_id="t"), replace(KNOWN, revoked_at=NOW + 1), replace(KNOWN, expires_at=NOW + 901)],
    ids=["another session", "ended again", "with a younger token"],
)
def test_what_was_known_is_known_by_all_of_it(first: Revocation) -> None:
    """Restored, a session lives again and may end under its old number, but later, and with tokens that live longer."""
    after = replace(KNOWN, seq=8, session_id="u")
    assert news_in([KNOWN, after], seq=7, newest=KNOWN) == [after]
    assert news_in([first, after], seq=7, newest=KNOWN) is None
    assert news_in([after], seq=7, newest=None) is None
    assert news_in([], seq=7, newest=KNOWN) is None
    assert news_in([], seq=-7, newest=None) == []
