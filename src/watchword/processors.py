"""The processors of this machine that are ours: those that we may run on, unless a container's quota is worth fewer."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Final

_OWN_CGROUP: Final = Path("/proc/self/cgroup")
_CGROUPS: Final = Path("/sys/fs/cgroup")


def cores() -> int:
    """How many processors this process may use: those that it may run on, or as many as its CPU quota is worth."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([count, *(worth for limit in _cpu_limits() if (worth := cores_worth(limit)) is not None)])


def cores_worth(limit: str) -> int | None:
    """How many processors a quota keeps busy, from a ``cpu.max`` of cgroup v2; None where it sets no limit."""
    parts = re.fullmatch(r"([0-9]+) ([1-9][0-9]*)\n?", limit)
    return max(1, ceil(int(parts[1]) / int(parts[2]))) if parts else None


def _cpu_limits() -> Iterator[str]:
    """What is set for our control group and for those around it; nothing where that cannot be read."""
    with suppress(OSError, ValueError):
        (own,) = re.findall(r"^0::/(.*)$", _OWN_CGROUP.read_text(encoding="utf-8"), re.MULTILINE)
        for folder in (PurePosixPath(own), *PurePosixPath(own).parents):
            with suppress(OSError):
                yield (_CGROUPS / folder / "cpu.max").read_text(encoding="utf-8")
