"""What an operator is told of something that goes wrong again and again: each reason once, and when it is over."""

import asyncio
import logging
from typing import Final

CALM: Final = 5.0
"""Seconds without trouble after which it is over: of a database that fails every second time both would be told each
time."""

_MOST_REASONS: Final = 20
"""Of words that name a number or a moment each is another, and they would fill the log; types of faults are few."""


class Told:
    """What has been said about one trouble since all was well. It is told on one event loop.

    Args:
        log: where it is said.
        trouble: what goes wrong.
        meanwhile: what follows from it; the reason is said between the two.
        over: what is said when all has been well again for ``CALM`` seconds.
        foreseen: faults whose words are the reason; of any other the reason is its type, and it is shown whole.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        trouble: str,
        meanwhile: str,
        over: str,
        foreseen: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        self._log = log
        self._trouble = trouble
        self._meanwhile = meanwhile
        self._over = over
        self._foreseen = foreseen
        self._said: set[str] = set()
        self._end: asyncio.TimerHandle | None = None

    def say(self, fault: Exception) -> None:
        """Say why it goes wrong, unless that was said."""
        self.close()
        is_foreseen = isinstance(fault, self._foreseen)
        reason = str(fault) if is_foreseen else type(fault).__name__
        if reason not in self._said and (len(self._said) < _MOST_REASONS or not is_foreseen):
            self._said.add(reason)
            shown = None if is_foreseen else fault
            self._log.warning("%s: %s; %s", self._trouble, reason, self._meanwhile, exc_info=shown)

    def is_over(self) -> None:
        """Say that all is well again, if it was not and stays so."""
        if self._said and self._end is None:
            self._end = asyncio.get_running_loop().call_later(CALM, self._forget)

    def close(self) -> None:
        """Say nothing of an end that has not lasted long enough yet."""
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _forget(self) -> None:
        self._end = None
        self._said.clear()
        self._log.info("%s", self._over)
