"""Numbers as people read them."""

from typing import Final

from watchword.bench.measurement import Outcome

_THREE_DIGITS: Final = 100.0
_TWO_DIGITS: Final = 10.0


def duration(seconds: float) -> str:
    """A time with its unit and two or three digits: 0.31 ms, 7.4 ms, 243 ms, 1.32 s."""
    if seconds >= 1:
        return f"{_digits(seconds)} s"
    return f"{_digits(seconds * 1000)} ms"


def tick(seconds: float) -> str:
    """A round time on an axis."""
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def rate(per_second: float) -> str:
    """How many a second."""
    return f"{per_second:,.0f}" if per_second >= _THREE_DIGITS else _digits(per_second)


def share(part: float) -> str:
    """A part of a whole; neither nothing nor all unless it is."""
    if 0 < part < 0.001:  # noqa: PLR2004
        return "< 0.1 %"
    if 0.999 < part < 1:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{part * 100:.3g} %"


def status(code: int) -> str:
    """A status as a label."""
    return Outcome.LOST.value if Outcome.of(code) is Outcome.LOST else str(code)


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= _THREE_DIGITS else f"{number:.1f}" if number >= _TWO_DIGITS else f"{number:.2f}"
