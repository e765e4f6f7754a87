"""The raw limit: how many hashes a second this machine computes when it does nothing else.

As many threads as cores, of the fastest back end, in a process of their own. It is probed just before and just after
each phase, because what a machine gives changes from minute to minute; a phase's rate counts as a share of it.
"""

import math
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Final, Self

from benchmarks.people import PARAMETERS
from watchword.passwords import Parameters, backends
from watchword.processors import cores

_TRIES: Final = 7
_FRESH_SECONDS: Final = 1.5


class Probe:
    """Probes for so many seconds at a time."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.backend, self.milliseconds = self._process.submit(_fastest).result()
        self._last = (-math.inf, PARAMETERS, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def limit(self, parameters: Parameters = PARAMETERS) -> float:
        """Hashes a second, now."""
        rate = self._process.submit(_rate, self.backend, parameters, self._seconds).result()
        self._last = (time.monotonic(), parameters, rate)
        return rate

    def just_now(self, parameters: Parameters = PARAMETERS) -> float:
        """The same; what was found a moment ago, after another phase, is still good."""
        when, of, rate = self._last
        fresh = of == parameters and time.monotonic() - when < _FRESH_SECONDS
        return rate if fresh else self.limit(parameters)


def _fastest() -> tuple[str, float]:
    fastest, *_ = backends.time_backends(PARAMETERS, tries=_TRIES)
    return fastest.backend.name, 1000 * fastest.seconds


def _rate(backend_name: str, parameters: Parameters, seconds: float) -> float:
    (backend,) = (backend for backend in backends.available() if backend.name == backend_name)

    def one_thread(_: int) -> float:
        hashes, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds:
            backend.derive(b"nobody's password", b"a salt of sorts.", parameters, 32)
            hashes += 1
        return hashes / passed

    threads = cores()
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(one_thread, range(threads)))
