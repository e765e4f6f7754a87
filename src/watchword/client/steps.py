"""What a story asks for while it is told (to send a request, to take a turn, to wait, to announce), and its errand."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import httpx

MOST_WAITS: Final = 10
"""Waits of one request. httpx counts every answer to an authentication as a redirect, and gives up after twenty."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """A step: take one's turn, waiting at most so many seconds; is answered whether that succeeded."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Announce:
    """A step: tell the owner of the session its new refresh token."""

    refresh_token: str = field(repr=False)


Step = httpx.Request | TakeTurn | Wait | Announce
"""What is to be done; a request is answered with its response, which has been read unless it is the caller's."""

Story = Generator[Step, Any, T]


@dataclass(slots=True)
class Patience:
    """What one request may still wait: for how many seconds, and how often."""

    seconds: float
    waits: int = MOST_WAITS

    def bears(self, seconds: float) -> bool:
        """Whether there is enough of it."""
        return self.waits > 0 and seconds <= self.seconds

    def spend(self, seconds: float) -> None:
        """Have less of it, after a wait."""
        self.seconds = max(0.0, self.seconds - seconds)

    def wait(self, seconds: float) -> Story[None]:
        """Wait, where that can be borne."""
        self.waits -= 1
        self.spend(seconds)
        yield Wait(seconds)


class Turn(Protocol):
    """The lock of those who log in or refresh; which kind is the flow's business, as is taking it."""

    def release(self) -> None:
        """Let the next one have it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One request of the caller's, and what it brings along.

    Attributes:
        request: the caller's.
        turn: to be taken before logging in or refreshing.
        patience: what the request may still wait.
    """

    request: httpx.Request
    turn: Turn
    patience: Patience
