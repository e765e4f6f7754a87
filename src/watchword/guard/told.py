"""What an operator is told of a login service that is in trouble: each reason once, and when it is over."""

import logging
from typing import Final

_log: Final = logging.getLogger("watchword.guard")


class Told:
    """What has been said about one thing that goes wrong again and again.

    Args:
        issuer: the login service.
        trouble: the line, in which ``%s`` stands for the service and then for the reason.
        over: the line when it is over, in which ``%s`` stands for the service.
    """

    def __init__(self, issuer: str, *, trouble: str, over: str) -> None:
        self._issuer = issuer
        self._trouble = trouble
        self._over = over
        self._said: set[str] = set()

    def say(self, reason: str, *, unforeseen: Exception | None = None) -> None:
        """Say a reason, unless it was said since all was well."""
        if reason not in self._said:
            self._said.add(reason)
            _log.warning(self._trouble, self._issuer, reason, exc_info=unforeseen)

    def is_over(self) -> None:
        """Say that all is well again, if it was not."""
        if self._said:
            self._said.clear()
            _log.info(self._over, self._issuer)
