"""The one place that asks what time it is; everybody else is told."""

import time


def system_clock() -> int:
    """Whole seconds since the epoch."""
    return int(time.time())  # noqa: TID251


def utc_milliseconds() -> int:
    """The time to the millisecond since the epoch, for log lines."""
    return time.time_ns() // 1_000_000
