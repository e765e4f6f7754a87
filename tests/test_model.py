"""The rules of a session, without a database: what a token is by its count, and how long anything lasts."""

import pytest

from tests.builders import a_session, a_user
from watchword.errors import InvalidRequest
from watchword.model import MAX_SCOPE, Presented, scope_from

NOW = 1_800_000_000
SESSION = a_session(a_user(), counter=5)


@pytest.mark.parametrize(
    ("counter", "age", "grace", "expected"),
    [
        (5, 0, 10, Presented.CURRENT),
        (5, 600_000, 0, Presented.CURRENT),
        (4, 0, 10, Presented.PREDECESSOR),
        (4, 9, 10, Presented.PREDECESSOR),
        (4, 10, 10, Presented.REUSED),
        (4, -30, 10, Presented.PREDECESSOR),
        (4, 0, 0, Presented.REUSED),
        (4, -30, 0, Presented.REUSED),
        (3, 0, 10, Presented.REUSED),
        (0, 0, 300, Presented.REUSED),
        (6, 0, 10, Presented.AHEAD),
    ],
)
def test_what_a_token_is_by_its_count(counter: int, age: int, grace: int, expected: Presented) -> None:
    """Only the one just before the newest has a grace, which ends and may be none; a clock behind gives no more."""
    assert SESSION.presented(counter, now=NOW + age, grace=grace) is expected


def test_a_refresh_begins_the_idle_time_anew_and_never_extends_the_whole() -> None:
    """Row 73: however often it is refreshed, a session ends when it would have ended."""
    refreshed = SESSION.refreshed(now=NOW + 100, idle=1000)
    assert (refreshed.counter, refreshed.refreshed_at, refreshed.ends_at) == (6, NOW + 100, NOW + 1100)
    late = refreshed.refreshed(now=SESSION.expires_at - 10, idle=1000)
    assert (late.ends_at, late.expires_at) == (SESSION.expires_at, SESSION.expires_at)


def test_a_clock_that_was_put_back_makes_nothing_younger() -> None:
    """The time of the last refresh never goes back."""
    refreshed = SESSION.refreshed(now=NOW - 5000, idle=1000)
    assert (refreshed.refreshed_at, refreshed.ends_at) == (NOW, NOW + 1000)


def test_a_token_lives_no_longer_than_its_session_and_is_remembered_for_the_longest() -> None:
    """The latest expiry of all tokens counts, and none is later than the end."""
    assert SESSION.with_token(now=NOW + 100, lifetime=900).token_expires_at == NOW + 1000
    assert SESSION.with_token(now=NOW - 100, lifetime=900).token_expires_at == SESSION.token_expires_at
    assert SESSION.with_token(now=SESSION.ends_at - 1, lifetime=900).token_expires_at == SESSION.ends_at


def test_it_is_over_in_the_second_of_its_end() -> None:
    """As a token is in the second of its exp."""
    assert not SESSION.is_over(now=SESSION.ends_at - 1)
    assert SESSION.is_over(now=SESSION.ends_at)


def test_a_scope_ends_at_its_bound() -> None:
    """All scopes and the spaces between them count, and what is named twice counts once."""
    longest = ["s" * (MAX_SCOPE - 2), "t", "t"]
    assert len(scope_from(longest)) == MAX_SCOPE
    with pytest.raises(InvalidRequest, match=f"at most {MAX_SCOPE} characters in all"):
        scope_from([*longest, "u"])


def test_the_salt_is_not_shown() -> None:
    """Half of what makes refresh tokens does not reach a log by way of a repr."""
    assert str(SESSION.salt) not in repr(SESSION)
