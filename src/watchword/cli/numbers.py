"""Numbers that a command is told."""

import math
from typing import Any

import click


class NumberRange(click.FloatRange):
    """As click's, without NaN, which is neither under nor over any bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number within the bounds."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("NaN is not a number.", param, ctx)
        return number
