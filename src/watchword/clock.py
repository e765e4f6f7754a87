"""The one place that asks what time it is; everybody else is told."""

import time
from datetime import UTC, datetime


def system_clock() -> int:
    """Whole seconds since the epoch."""
    return int(time.time())  # noqa: TID251


def utc_now() -> datetime:
    """The time to the microsecond, for log lines."""
    return datetime.now(UTC)  # noqa: TID251
