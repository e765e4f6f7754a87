"""Bar charts as SVG files that need nothing else: a bar is the median, its whisker runs from lowest to highest."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10
from typing import Final

from benchmarks.results import Spread

_WIDTH: Final = 760
_LABELS: Final = 270
_NUMBERS: Final = 90
_BAR: Final = 20
_STEP: Final = 34
_TOP: Final = 48
_FLOOR: Final = 0.1
"""Where a logarithmic axis begins that has a nought to show."""

_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 15px }
.bar { fill: #9aa7b4 } .ours { fill: #2f6fb7 } .whisker { stroke: #24292f; stroke-width: 1.5 }
.mark { stroke: #b3423a; stroke-width: 1.5; stroke-dasharray: 5 3 } .note { fill: #b3423a }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 5 }
@media (prefers-color-scheme: dark) {
 text { fill: #d5dbe1 } .bar { fill: #66727e } .ours { fill: #5b9be0 } .whisker { stroke: #d5dbe1 }
 .mark { stroke: #f0837a } .note { fill: #f0837a } .value { stroke: #0d1117 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``ours`` are drawn in colour."""

    label: str
    spread: Spread
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that the bars are held against."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        title: what is shown, with the unit.
        bars: from top to bottom.
        form: how a value is written.
        mark: the budget.
        logarithmic: by powers of ten, from the one below the least, for values that lie far apart.
    """

    title: str
    bars: Sequence[Bar]
    form: str
    mark: Mark | None = None
    logarithmic: bool = False

    def svg(self) -> str:
        """The file's text."""
        height = _TOP + _STEP * len(self.bars) + (26 if self.mark else 8)
        parts = [f'<text class="title" x="12" y="26">{escape(self.title)}</text>']
        if self.mark:
            x = f"{self._x(self.mark.value):.1f}"
            parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 22}"/>')
            label = f'<text class="note" x="{x}" y="{height - 7}" text-anchor="middle">'
            parts.append(f"{label}{escape(self.mark.label)}</text>")
        for number, bar in enumerate(self.bars):
            parts += self._row(bar, _TOP + _STEP * number)
        body = "\n".join(parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            f' aria-label="{escape(self.title)}">\n<style>{_STYLE}</style>\n{body}\n</svg>\n'
        )

    def _row(self, bar: Bar, top: int) -> list[str]:
        middle = top + _BAR / 2
        start, end = self._x(0), self._x(bar.spread.median)
        low, high = self._x(bar.spread.lowest), self._x(bar.spread.highest)
        number = escape(self.form.format(bar.spread.median))
        return [
            f'<text x="{_LABELS - 10}" y="{middle + 4:.0f}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{"ours" if bar.ours else "bar"}" x="{start:.1f}" y="{top}"'
            f' width="{end - start:.1f}" height="{_BAR}" rx="2"/>',
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text class="value" x="{max(high, end) + 8:.1f}" y="{middle + 4:.0f}">{number}</text>',
        ]

    def _x(self, value: float) -> float:
        marks = [self.mark.value] if self.mark else []
        largest = max([*(bar.spread.highest for bar in self.bars), *marks])
        room = _WIDTH - _LABELS - _NUMBERS
        if not self.logarithmic:
            return _LABELS + room * value / (largest or 1)
        smallest = min([*(bar.spread.lowest for bar in self.bars), *marks])
        floor = 10.0 ** (ceil(log10(smallest)) - 1) if smallest > 0 else _FLOOR
        decades = log10(max(largest, 10 * floor) / floor)
        return _LABELS + room * log10(max(value, floor) / floor) / decades
