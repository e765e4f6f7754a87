"""The one place that asks what time it is; everybody else is told."""

import time
from typing import Final

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def system_clock() -> int:
    """Whole seconds since the epoch."""
    return int(time.time())  # noqa: TID251


def utc_milliseconds() -> int:
    """The time to the millisecond since the epoch, for log lines."""
    return time.time_ns() // 1_000_000


def since_boot() -> float:
    """Seconds on a clock that nobody can set, and that goes on while the machine is suspended, where there is one.

    By one that stands still meanwhile news of before would seem to be fresh, and a token to live on.
    """
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
