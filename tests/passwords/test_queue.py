"""Claims about who may wait for a hash: by the wait alone, those who come back first, and no network for another."""

import pytest

from watchword.errors import Overloaded
from watchword.passwords.queue import Queue

NOW = 1_000.0


def queue(*, threads: int = 1, max_wait: float = 9.0, job_seconds: float = 1.0, inside: int = 0) -> Queue:
    """A queue with so many inside, of no network in particular."""
    made = Queue(threads=threads, max_wait=max_wait, job_seconds=job_seconds)
    for number in range(inside):
        made.enter(f"inside {number}", "", now=NOW)
    return made


def refused(queue: Queue, claimant: str, network: str = "", *, now: float = NOW) -> int:
    """Send one away who wants to enter; the seconds that it is told."""
    with pytest.raises(Overloaded) as refusal:
        queue.enter(claimant, network, now=now)
    return refusal.value.retry_after or 0


def is_turned_away(queue: Queue, network: str, *, now: float = NOW) -> bool:
    """Whether somebody of a network is refused unasked."""
    try:
        queue.turn_away(network, now=now)
    except Overloaded as refusal:
        return bool(refusal.retry_after)
    return False


def test_the_wait_grows_with_the_backlog() -> None:
    """It is that of whoever comes next, and all threads share it."""
    waiting = queue(threads=2, max_wait=60.0, job_seconds=10.0)
    waits = []
    for number in range(6):
        waits.append(waiting.expected_wait)
        waiting.enter(str(number), "", now=NOW)
    assert waits == [0, 0, 5, 10, 15, 20]


def test_who_was_sent_away_is_let_in_before_newcomers() -> None:
    """While somebody is expected back, newcomers fill only a part of the queue, and who comes back takes the rest."""
    full = queue(inside=10)
    refused(full, "patient")
    full.leave("")
    full.leave("")
    refused(full, "newcomer")  # eight are inside: within nine seconds, beyond the newcomers' part of them
    full.enter("patient", "", now=NOW)
    assert full.depth == 9


def test_nothing_is_kept_for_nobody() -> None:
    """When all who were sent away have come back, newcomers may fill the whole queue again."""
    full = queue(inside=10)
    refused(full, "patient")
    full.leave("")
    full.leave("")
    full.enter("patient", "", now=NOW)
    full.enter("newcomer", "", now=NOW)
    assert full.depth == 10


def test_who_stays_away_is_not_waited_for() -> None:
    """Twice the time that somebody was told, and then newcomers may fill the whole queue again."""
    full = queue(inside=10)
    told = refused(full, "impatient")
    full.leave("")
    refused(full, "newcomer", now=NOW + 2 * told)
    full.enter("another", "", now=NOW + 2 * told + 2 * refused(full, "one more", now=NOW + 2 * told) + 1)
    assert full.depth == 10


def test_the_advice_counts_those_who_were_told_to_come_back() -> None:
    """Each who is sent away is told a later time than those before, up to half a minute."""
    full = queue(max_wait=2.0, inside=3)
    assert [refused(full, f"outside {number}") for number in range(40)] == [min(30, 3 + n) for n in range(40)]
    assert full.depth == 3


def test_who_was_told_a_short_time_is_not_waited_for_longer_than_others() -> None:
    """Whoever stays away is forgotten when its own time is over, whatever those were told who came before."""
    full = queue(max_wait=9.0)
    for number in range(10):
        full.enter(f"inside {number}", "flood", now=NOW)
    assert max(refused(full, f"outside {number}", "flood") for number in range(50)) == 30
    for number in range(5):
        full.enter(f"inside {number}", "office", now=NOW)
    told = refused(full, "impatient", "office")
    assert told < 30
    full.leave("office")
    refused(full, "newcomer", "office", now=NOW + 2 * told)
    full.enter("another", "office", now=NOW + 4 * told + 3)


def test_a_flood_of_names_fills_no_memory() -> None:
    """However many are sent away, only so many are remembered, and of one network a tenth of them."""
    full = queue(max_wait=0.5, inside=1)
    for number in range(2_000):
        refused(full, f"outside {number}")
    assert len(full._expected_back) == 1_000
    for number in range(20_000):
        refused(full, f"outside {number}", str(number % 40))
    assert len(full._expected_back) == 10_000


def test_of_a_network_that_floods_nobody_is_heard_for_a_while() -> None:
    """Row 91: refused a hundred times within a second, it is turned away unasked while it is full, and no other is."""
    full = queue(max_wait=0.5)
    full.enter("inside", "flood", now=NOW)
    for number in range(100):
        assert not is_turned_away(full, "flood")
        refused(full, f"outside {number}", "flood")
    assert is_turned_away(full, "flood")
    assert not is_turned_away(full, "elsewhere")
    assert not is_turned_away(full, "flood", now=NOW + 1)
    full.leave("flood")
    assert not is_turned_away(full, "flood")


def test_nothing_is_kept_from_newcomers_for_another_network() -> None:
    """Row 91: however many of a flood were told to come back, who comes from elsewhere is not kept out for them."""
    full = queue(max_wait=1.0)
    for number in range(2):
        full.enter(str(number), "flood", now=NOW)
    for number in range(100):
        refused(full, f"more {number}", "flood")
    full.enter("somebody", "elsewhere", now=NOW)
    assert refused(full, "somebody else", "elsewhere") == 3
