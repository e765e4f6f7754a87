"""How well a number tells two kinds apart: the area under the ROC curve, and how sure that is; pure statistics."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import Final, Self

CHANCE: Final = 0.5
"""The area where nothing can be told."""

_DEVIATIONS: Final = 1.96
"""On either side of what was found, for 95 %."""


@dataclass(frozen=True, slots=True)
class Auc:
    """The chance that a random sample is larger than a random one of the reference; of two equal ones each is so half.

    Attributes:
        area: Mann and Whitney's U, divided by the number of pairs.
        low: with ``high``, where the true one is in 95 of 100 measurements (DeLong's variance, no shape is assumed).
            Where no pair is the wrong way round the two meet, however few there are.
        high: the other end.
    """

    area: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float], reference: Sequence[float]) -> Self:
        """Compare two kinds, of each at least two."""
        over = list(_shares_below(samples, reference))
        under = list(_shares_below(reference, samples))
        area = fmean(over)
        reach = _DEVIATIONS * sqrt(variance(over) / len(over) + variance(under) / len(under))
        return cls(area, max(0.0, area - reach), min(1.0, area + reach))

    @property
    def off(self) -> float:
        """How far it is from chance, to whichever side."""
        return abs(self.area - CHANCE)


def _shares_below(values: Sequence[float], others: Sequence[float]) -> Iterator[float]:
    """For each value the share of the others that are smaller; equal ones count half."""
    ordered = sorted(others)
    for value in values:
        yield (bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 / len(ordered)
