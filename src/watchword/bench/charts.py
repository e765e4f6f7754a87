"""Pictures of phases as inline SVG: colours come from the page's style sheet, numbers are told when pointed at."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from watchword.bench import words
from watchword.bench.measurement import Outcome, Phase, Times, histogram, timeline
from watchword.markup import Markup, tag

WIDTH: Final = 860
GUTTER: Final = 44
"""Room for the numbers of a vertical axis."""
EDGE: Final = 22
"""Room for half of the last number of a horizontal axis."""
AXIS: Final = 24
"""Room for the numbers of a horizontal axis."""

BINS_PER_DECADE: Final = 25
SHORTEST: Final = 1e-6
"""Seconds; a logarithmic axis has no nothing."""
TIMED: Final = (Outcome.GOOD, Outcome.REFUSED)

_ROW: Final = 112
_CAPTION: Final = 34
_PLOT: Final = 66

_PANEL_WIDTH: Final = 420
_PANEL_HEIGHT: Final = 190

_CODE_ROW: Final = 74
_CODE_BAR: Final = 16

_Scale = Callable[[float], float]


def legend(phases: Sequence[Phase], outcomes: Iterable[Outcome] = Outcome) -> Markup:
    """What the colours mean, of those that occur."""
    seen = {Outcome.of(sample.status) for phase in phases for sample in phase.samples}
    entries = (tag("span", tag("i", class_=_colour(outcome)), outcome.value) for outcome in outcomes if outcome in seen)
    return tag("p", *entries, class_="legend")


def distribution(phases: Sequence[Phase]) -> Markup:
    """How long answers took: a row for each phase, all of them on one logarithmic axis."""
    times = [sample.seconds for phase in phases for sample in phase.samples if Outcome.of(sample.status) in TIMED]
    if not times:
        return tag("p", "There was no answer to draw.")
    first, last = _round_down(max(min(times), SHORTEST)), _round_up(max(max(times) * 1.01, 2 * SHORTEST))
    decades = math.log10(last / first)
    bins = math.ceil(decades * BINS_PER_DECADE)
    edges = [first * (last / first) ** (number / bins) for number in range(bins + 1)]
    height = _ROW * len(phases) + AXIS

    def x(seconds: float) -> float:
        return GUTTER + (WIDTH - GUTTER - EDGE) * math.log10(max(seconds, first) / first) / decades

    rows = (_distribution_row(phase, edges, x, top=_ROW * number) for number, phase in enumerate(phases))
    axis = _time_axis(first, last, x, bottom=height - AXIS)
    return _picture("How long answers took", WIDTH, height, *axis, *rows)


def throughput(phase: Phase, *, top_rate: float) -> Markup:
    """Answers a second over time.

    Args:
        phase: what was measured.
        top_rate: how many a second the axis must hold, so that two panels can be compared.
    """
    line = timeline(phase)
    rates = _even_values(max(top_rate, 1.0), at_most=4)
    rates.append(rates[-1] + rates[1])
    top = rates[-1]
    bottom = _PANEL_HEIGHT - AXIS

    def x(seconds: float) -> float:
        return GUTTER + (_PANEL_WIDTH - GUTTER - EDGE) * seconds / phase.seconds

    def y(rate: float) -> float:
        return bottom - (bottom - _CAPTION) * rate / top

    parts = [tag("text", phase.name, x=0, y=14, class_="name")]
    parts.append(tag("text", "answers/s", x=_PANEL_WIDTH - EDGE, y=14, class_="tick end"))
    for rate in rates:
        parts.append(tag("line", x1=GUTTER, x2=_PANEL_WIDTH - EDGE, y1=y(rate), y2=y(rate), class_="grid"))
        parts.append(tag("text", f"{rate:,.10g}", x=GUTTER - 8, y=y(rate) + 4, class_="tick end"))
    for seconds in _even_values(phase.seconds, at_most=6):
        parts.append(tag("text", f"{seconds:.4g} s", x=x(seconds), y=_PANEL_HEIGHT - 7, class_="tick middle"))
    for position, counts in enumerate(line.bins):
        begin = position * line.width
        parts.extend(_stack(counts, line.width, left=x(begin), right=x(begin + line.width), y=y, begin=begin))
    return _picture(f"Answers a second over time, {phase.name}", _PANEL_WIDTH, _PANEL_HEIGHT, *parts)


def top_rate(phases: Sequence[Phase]) -> float:
    """The most answers a second that any bar of these phases shows."""
    return max(sum(counts.values()) / line.width for line in map(timeline, phases) for counts in line.bins)


def statuses(phases: Sequence[Phase]) -> Markup:
    """Which answers came, as parts of the whole."""
    rows = (_status_row(phase, top=_CODE_ROW * number) for number, phase in enumerate(phases))
    return _picture("Answers by status", WIDTH, _CODE_ROW * len(phases), *rows)


def _distribution_row(phase: Phase, edges: Sequence[float], x: _Scale, *, top: float) -> Markup:
    base = top + _CAPTION + _PLOT
    parts = [
        tag("line", x1=GUTTER, x2=WIDTH - EDGE, y1=base, y2=base, class_="base"),
        tag("text", phase.name, x=0, y=top + 16, class_="name"),
    ]
    taken = {
        outcome: [sample.seconds for sample in phase.samples if Outcome.of(sample.status) is outcome]
        for outcome in TIMED
    }
    total = sum(map(len, taken.values()))
    bars = {outcome: histogram(seconds, edges) for outcome, seconds in taken.items()}
    highest = max(max(counts) for counts in bars.values())
    if not total:
        return tag("g", *parts, tag("text", "no answer", x=WIDTH - EDGE, y=top + 16, class_="tick end"))
    for outcome, counts in bars.items():
        for (begin, end), count in zip(pairwise(edges), counts, strict=True):
            if count:
                height = max(1.0, _PLOT * count / highest)
                told = f"{words.duration(begin)} – {words.duration(end)}: {count:,} {outcome.value}"
                parts.append(_bar(x(begin), x(end), base - height, height, outcome, told))
    parts.append(
        tag("text", f"{highest / total:.0%}".replace("%", " %"), x=GUTTER - 8, y=base - _PLOT + 8, class_="tick end")
    )
    parts.append(tag("text", "0", x=GUTTER - 8, y=base, class_="tick end"))
    times = Times.of(taken[Outcome.GOOD])
    if times:
        for name, value in (("p50", times.p50), ("p99", times.p99)):
            marker = tag("title", f"{name}: {words.duration(value)}")
            at = x(value)
            parts.append(tag("line", marker, x1=at, x2=at, y1=base - _PLOT - 4, y2=base, class_=f"mark {name}"))
        figures = (("p50", times.p50), ("p90", times.p90), ("p99", times.p99), ("max", times.max))
        caption = "   ".join(f"{name} {words.duration(value)}" for name, value in figures)
        parts.append(tag("text", caption, x=WIDTH - EDGE, y=top + 16, class_="figures end"))
    return tag("g", *parts)


def _time_axis(first: float, last: float, x: _Scale, *, bottom: float) -> Iterator[Markup]:
    for value in _round_values(first, last):
        yield tag("line", x1=x(value), x2=x(value), y1=_CAPTION - 8, y2=bottom, class_="grid")
        yield tag("text", words.tick(value), x=x(value), y=bottom + 16, class_="tick middle")


def _stack(
    counts: Mapping[Outcome, int], width: float, *, left: float, right: float, y: _Scale, begin: float
) -> Iterator[Markup]:
    below = 0.0
    for outcome in Outcome:
        if count := counts.get(outcome, 0):
            rate = count / width
            told = f"{begin:g} – {begin + width:g} s: {rate:,.1f}/s {outcome.value}"
            yield _bar(left, right, y(below + rate), y(below) - y(below + rate), outcome, told)
            below += rate


def _status_row(phase: Phase, *, top: float) -> Markup:
    counts = Counter(sample.status for sample in phase.samples)
    ordered = sorted(counts.items(), key=lambda item: (list(Outcome).index(Outcome.of(item[0])), item[0]))
    total = len(phase.samples)
    parts = [tag("text", phase.name, x=0, y=top + 14, class_="name")]
    caption = "   ".join(f"{words.status(code)} × {count:,} ({words.share(count / total)})" for code, count in ordered)
    parts.append(tag("text", caption or "nothing was sent", x=0, y=top + 54, class_="figures"))
    left = 0.0
    for code, count in ordered:
        right = left + WIDTH * count / total
        told = f"{words.status(code)}: {count:,} of {total:,}"
        parts.append(_bar(left, max(right, left + 2), top + 22, _CODE_BAR, Outcome.of(code), told))
        left = right
    return tag("g", *parts)


def _bar(left: float, right: float, top: float, height: float, outcome: Outcome, told: str) -> Markup:
    gap = 1.0 if right - left > 3 else 0.0  # noqa: PLR2004
    title = tag("title", told)
    return tag("rect", title, x=left, y=top, width=right - left - gap, height=height, class_=_colour(outcome))


def _picture(title: str, width: float, height: float, *parts: str) -> Markup:
    return tag("svg", tag("title", title), *parts, viewBox=f"0 0 {width:g} {height:g}", role="img")


def _colour(outcome: Outcome) -> str:
    return outcome.name.lower()


def _round_values(first: float, last: float) -> Iterator[float]:
    for exponent in range(math.floor(math.log10(first)) - 1, math.ceil(math.log10(last)) + 1):
        for digit in (1, 2, 5):
            value = float(f"{digit}e{exponent}")
            if first * 0.999 <= value <= last * 1.001:
                yield value


def _even_values(last: float, *, at_most: int) -> list[float]:
    """0 and its multiples of a round step up to the last value, so many steps at most."""
    step = _round_up(last / at_most)
    return [step * number for number in range(math.floor(last / step * 1.0001) + 1)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, … that is not smaller."""
    return next(round_ for round_ in _round_values(value, value * 10) if round_ >= value)


def _round_down(value: float) -> float:
    return max(round_ for round_ in _round_values(value / 10, value) if round_ <= value)
