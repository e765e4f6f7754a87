"""What a phase of load amounts to; pure statistics over the samples that were taken.

Percentiles are nearest ranks: a time that some request really took, never one between two.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

GOODPUT_BOUND: Final = 2.0
"""Seconds; an answer that took longer came too late for a person who waits."""
BUSY: Final = 0.75
"""Share of one core from which on the generator has no room left for bursts."""
LATE: Final = 0.005
"""Seconds of lateness from which on the generator shows in the times that it takes."""

TRY_LATER: Final = frozenset({429, 503})
"""Statuses that refuse a request for now."""

TIMELINE_BINS: Final = 30
BIN_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Attributes:
        started: when it was sent or, in an open loop, due: seconds since the phase began.
        seconds: from then to the end of its answer.
        status: the answer's; 0 if there was none.
        retry: how many times this piece of work was refused before.
    """

    started: float
    seconds: float
    status: int
    retry: int


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of one kind of load.

    Attributes:
        name: what a person calls it.
        seconds: for how long requests were sent; the last answers may have come later.
        samples: every request; the tries of one piece of work follow one another.
        generator_cpu: the share of one core that the generator's process used.
        late: the 99th percentile, in seconds, of how late the generator got to what an open loop had due.
    """

    name: str
    seconds: float
    samples: Sequence[Sample]
    generator_cpu: float
    late: float


class Outcome(Enum):
    """What a status means to who loads a server."""

    GOOD = "answered"
    REFUSED = "told to try later"
    FAULTY = "other answers"
    BROKEN = "server errors"
    LOST = "no answer"

    @classmethod
    def of(cls, status: int) -> "Outcome":
        """The outcome that a status stands for; 0 is no answer."""
        if status in TRY_LATER:
            return cls.REFUSED
        return {0: cls.LOST, 2: cls.GOOD, 5: cls.BROKEN}.get(status // 100, cls.FAULTY)


@dataclass(frozen=True, slots=True)
class Times:
    """How long many took, in seconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Times | None":
        """The times of all that is given, or None of nothing."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        p50, p90, p99 = (nearest_rank(ordered, share) for share in (0.5, 0.9, 0.99))
        return cls(len(ordered), p50, p90, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class Summary:
    """A phase in a few numbers.

    Attributes:
        name: the phase's.
        seconds: how long it was.
        statuses: how many answers of each status; 0 counts those that never came.
        rate: good answers a second, of those that came within the phase.
        goodput: the same, of those that took no longer than the bound.
        times: of good answers.
        refusals: of answers that said to try later.
        over_retries: from the first try of a piece of work to its good answer.
        unfinished: pieces of work that were still refused at the end.
        generator_cpu: as the phase has it.
        late: as the phase has it.
    """

    name: str
    seconds: float
    statuses: Mapping[int, int]
    rate: float
    goodput: float
    times: Times | None
    refusals: Times | None
    over_retries: Times | None
    unfinished: int
    generator_cpu: float
    late: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Answers over time.

    Attributes:
        width: of a bin, in seconds.
        bins: how many answers of each outcome came in each.
    """

    width: float
    bins: Sequence[Mapping[Outcome, int]]


def summarise(phase: Phase, bound: float = GOODPUT_BOUND) -> Summary:
    """Count a phase.

    Args:
        phase: what was measured.
        bound: the longest time, in seconds, that still counts for the goodput.
    """
    good = [sample for sample in phase.samples if Outcome.of(sample.status) is Outcome.GOOD]
    refused = [sample for sample in phase.samples if Outcome.of(sample.status) is Outcome.REFUSED]
    timely = [sample for sample in good if sample.started + sample.seconds <= phase.seconds]
    last_tries = [(tries[0], tries[-1]) for tries in _pieces_of_work(phase.samples)]
    return Summary(
        name=phase.name,
        seconds=phase.seconds,
        statuses=dict(sorted(Counter(sample.status for sample in phase.samples).items())),
        rate=len(timely) / phase.seconds,
        goodput=sum(sample.seconds <= bound for sample in timely) / phase.seconds,
        times=Times.of(sample.seconds for sample in good),
        refusals=Times.of(sample.seconds for sample in refused),
        over_retries=Times.of(
            last.started + last.seconds - first.started
            for first, last in last_tries
            if Outcome.of(last.status) is Outcome.GOOD
        ),
        unfinished=sum(Outcome.of(last.status) is Outcome.REFUSED for _, last in last_tries),
        generator_cpu=phase.generator_cpu,
        late=phase.late,
    )


def timeline(phase: Phase) -> Timeline:
    """When the answers came, in bins of a round width; what came after the phase is left out."""
    width = next((width for width in BIN_SECONDS if phase.seconds / width <= TIMELINE_BINS), phase.seconds)
    bins: list[Counter[Outcome]] = [Counter() for _ in range(max(1, int(phase.seconds / width)))]
    for sample in phase.samples:
        position = int((sample.started + sample.seconds) / width)
        if position < len(bins):
            bins[position][Outcome.of(sample.status)] += 1
    return Timeline(width, bins)


def histogram(seconds: Iterable[float], edges: Sequence[float]) -> list[int]:
    """How many fall between each two neighbours of the ascending edges; what lies outside counts at the ends."""
    counts = [0] * (len(edges) - 1)
    ordered = sorted(seconds)
    position = 0
    for value in ordered:
        while position < len(counts) - 1 and value >= edges[position + 1]:
            position += 1
        counts[position] += 1
    return counts


def generator_limits(phases: Iterable[Phase]) -> list[str]:
    """What says that the generator, and not the server, was the limit: sentences for people, or none."""
    sentences = []
    for phase in phases:
        if phase.generator_cpu >= BUSY:
            sentences.append(f"{phase.name}: the generator used {phase.generator_cpu * 100:.0f} % of a core.")
        if phase.late >= LATE:
            sentences.append(f"{phase.name}: 1 % of the requests went out {phase.late * 1000:.0f} ms late or more.")
    return sentences


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed; the values come in ascending order."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _pieces_of_work(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    tries: list[Sample] = []
    for sample in samples:
        if sample.retry == 0 and tries:
            yield tries
            tries = []
        tries.append(sample)
    if tries:
        yield tries
