"""The figures of a run, and what rounds come to."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Self:
        """Of at least one round."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Results:
    """All that a run measured and where.

    Attributes:
        facts: about the machine and the versions, by name.
        rounds: the figures of each round, by whose they are: a program's, ``cost``, ``growth on …``.
    """

    facts: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, owner: str, figures: dict[str, float]) -> None:
        """Keep what one round measured."""
        self.rounds.setdefault(owner, []).append(figures)

    def values(self, owner: str, figure: str) -> list[float]:
        """A figure, round by round; empty if it was not measured."""
        return [figures[figure] for figures in self.rounds.get(owner, []) if figure in figures]

    def spread(self, owner: str, figure: str) -> Spread | None:
        """A figure over all rounds; None if it was not measured."""
        values = self.values(owner, figure)
        return Spread.over(values) if values else None

    def save(self, file: Path) -> None:
        """Write all of it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what ``save`` wrote."""
        return cls(**json.loads(file.read_text()))
