"""The statistics say what counting by hand says."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.bench.measurement import (
    BUSY,
    LATE,
    Outcome,
    Phase,
    Sample,
    Times,
    generator_limits,
    histogram,
    nearest_rank,
    summarise,
    timeline,
)

times = st.floats(0, 20, allow_nan=False) | st.sampled_from([0.0, 1.0, 2.0])
final_statuses = st.sampled_from([0, 200, 204, 301, 400, 401, 404, 500, 502])
refusals = st.sampled_from([429, 503])


@st.composite
def pieces_of_work(draw: st.DrawFn) -> list[Sample]:
    """The tries of one piece of work: refusals, then an answer unless it stayed refused."""
    statuses = draw(st.lists(refusals, max_size=4))
    if not statuses or draw(st.booleans()):
        statuses.append(draw(final_statuses))
    at = draw(times)
    tries = []
    for retry, status in enumerate(statuses):
        seconds = draw(times)
        tries.append(Sample(at, seconds, status, retry))
        at += seconds + draw(times)
    return tries


works = st.lists(pieces_of_work(), max_size=30)


def a_phase(*samples: Sample, seconds: float = 10.0, cpu: float = 0.1, late: float = 0.0) -> Phase:
    """A phase of these samples."""
    return Phase("logins", seconds, samples, generator_cpu=cpu, late=late)


@given(works, st.floats(0.5, 30), times)
def test_a_summary_is_what_counting_gives(work: list[list[Sample]], seconds: float, bound: float) -> None:
    """Statuses, rates, times, refusals and the time over retries, against the pieces of work one by one."""
    samples = [sample for tries in work for sample in tries]
    summary = summarise(a_phase(*samples, seconds=seconds), bound)

    good = [sample for sample in samples if sample.status in {200, 204}]
    in_time = [sample for sample in good if sample.started + sample.seconds <= seconds]
    assert summary.statuses == Counter(sample.status for sample in samples)
    assert list(summary.statuses) == sorted(summary.statuses)
    assert summary.rate == len(in_time) / seconds
    assert summary.goodput == len([sample for sample in in_time if sample.seconds <= bound]) / seconds
    assert summary.times == Times.of(sample.seconds for sample in good)
    assert summary.refusals == Times.of(sample.seconds for sample in samples if sample.status in {429, 503})
    served = [tries for tries in work if tries[-1].status in {200, 204}]
    assert summary.over_retries == Times.of(
        tries[-1].started + tries[-1].seconds - tries[0].started for tries in served
    )
    assert summary.unfinished == len([tries for tries in work if tries[-1].status in {429, 503}])
    assert (summary.name, summary.seconds, summary.generator_cpu, summary.late) == ("logins", seconds, 0.1, 0.0)


@given(st.lists(times, min_size=1, max_size=300), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_the_smallest_that_covers_its_share(values: list[float], share: float) -> None:
    """At least that share of all are no greater, and of no smaller value could that be said."""
    ordered = sorted(values)
    found = nearest_rank(ordered, share)
    needed = math.ceil(share * len(ordered))
    assert found in ordered
    assert sum(value <= found for value in ordered) >= needed
    assert sum(value < found for value in ordered) < needed


def test_percentiles_of_a_hundred() -> None:
    """Of 1 to 100, p50 is 50, p90 is 90, p99 is 99."""
    assert Times.of(map(float, range(100, 0, -1))) == Times(100, 50.0, 90.0, 99.0, 100.0)
    assert Times.of([]) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, Outcome.LOST),
        (200, Outcome.GOOD),
        (299, Outcome.GOOD),
        (302, Outcome.FAULTY),
        (401, Outcome.FAULTY),
        (429, Outcome.REFUSED),
        (500, Outcome.BROKEN),
        (503, Outcome.REFUSED),
        (504, Outcome.BROKEN),
    ],
)
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    """Refusals are told from server errors, and both from answers that were never given."""
    assert Outcome.of(status) is outcome


@given(works, st.floats(0.5, 700))
def test_a_timeline_has_everything_that_came_in_time(work: list[list[Sample]], seconds: float) -> None:
    """Each answer is in the bin of the moment it came; those after the last bin are in none; bins are few."""
    samples = [sample for tries in work for sample in tries]
    line = timeline(a_phase(*samples, seconds=seconds))
    assert 1 <= len(line.bins) <= 30
    assert line.width * len(line.bins) <= seconds * 1.0001
    assert line.width * (len(line.bins) + 1) > seconds
    for position, counts in enumerate(line.bins):
        here = [
            Outcome.of(sample.status)
            for sample in samples
            if int((sample.started + sample.seconds) / line.width) == position
        ]
        assert counts == Counter(here)


@given(st.lists(times, max_size=100), st.lists(times, min_size=2, max_size=12, unique=True))
def test_a_histogram_counts_each_once(values: list[float], edges: list[float]) -> None:
    """Between two edges count those from the lower up to the upper; what lies outside counts at the ends."""
    edges.sort()
    expected = [0] * (len(edges) - 1)
    for value in values:
        expected[min(max(sum(edge <= value for edge in edges) - 1, 0), len(expected) - 1)] += 1
    assert histogram(values, edges) == expected


def test_a_generator_that_was_the_limit_is_told() -> None:
    """Too busy or too late is one sentence each that names the phase; else there is nothing to say."""
    assert generator_limits([a_phase(cpu=BUSY * 0.99, late=LATE * 0.99)]) == []
    busy, late = generator_limits([a_phase(cpu=0.87), a_phase(late=0.042)])
    assert "logins" in busy
    assert "87 %" in busy
    assert "42 ms" in late
    assert len(generator_limits([a_phase(cpu=0.9, late=1)])) == 2
