"""What password hashing costs on this machine, for the parameters that the field's guides allow."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from watchword.passwords import Parameters
from watchword.passwords.backends import BackEnd, time_backends
from watchword.passwords.encoded import DIGEST_BYTES, SALT_BYTES
from watchword.passwords.guides import GUIDES
from watchword.settings import most_passes

_TRIES: Final = 7
_PASSWORD: Final = b"a password of usual length"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one parameter set costs here.

    Attributes:
        parameters: memory and passes.
        allowed_by: whose guide has the set, or a weaker one with as much memory.
        backend: what computed the hashes: the fastest library of this machine.
        milliseconds: of one hash by itself, the median.
        logins_per_second: with every thread hashing; what the whole machine can prove.
        pool_mib: memory of a full pool: one block for each thread.
        threads: how many hash at once.
    """

    parameters: Parameters
    allowed_by: str
    backend: str
    milliseconds: float
    logins_per_second: float
    pool_mib: float
    threads: int


def calibrate(*, threads: int, seconds: float, target_ms: float | None) -> Iterator[Calibration]:
    """Measure every set, one by one.

    Args:
        threads: how many hash at once, usually the number of cores.
        seconds: for how long all threads hash, for each set.
        target_ms: raise each set's passes until one hash takes about as long; None for the fewest passes.
    """
    for memory_kib, passes, allowed_by in GUIDES:
        parameters = Parameters(memory_kib=memory_kib, passes=passes)
        backend = time_backends(parameters)[0].backend
        if target_ms is not None:
            parameters = raise_passes(parameters, milliseconds=_milliseconds(backend, parameters), target_ms=target_ms)
        yield Calibration(
            parameters=parameters,
            allowed_by=allowed_by,
            backend=backend.name,
            milliseconds=_milliseconds(backend, parameters),
            logins_per_second=_rate(backend, parameters, threads=threads, seconds=seconds),
            pool_mib=threads * memory_kib / 1024,
            threads=threads,
        )


def raise_passes(parameters: Parameters, *, milliseconds: float, target_ms: float) -> Parameters:
    """As many passes as fit into the target time and the settings take, and never fewer than there were.

    Time grows with the passes.
    """
    per_pass = milliseconds / parameters.passes
    fitting = min(int(target_ms / per_pass), most_passes(parameters.memory_kib))
    return replace(parameters, passes=max(parameters.passes, fitting))


def _milliseconds(backend: BackEnd, parameters: Parameters) -> float:
    return 1000 * median(_time_one(backend, parameters) for _ in range(_TRIES))


def _time_one(backend: BackEnd, parameters: Parameters) -> float:
    started = time.perf_counter()
    backend.derive(_PASSWORD, bytes(SALT_BYTES), parameters, DIGEST_BYTES)
    return time.perf_counter() - started


def _rate(backend: BackEnd, parameters: Parameters, *, threads: int, seconds: float) -> float:
    started = time.perf_counter()

    def hash_until_the_end() -> int:
        done = 0
        while time.perf_counter() - started < seconds:
            backend.derive(_PASSWORD, bytes(SALT_BYTES), parameters, DIGEST_BYTES)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as executor:
        hashes = sum(executor.map(lambda _: hash_until_the_end(), range(threads)))
    return hashes / (time.perf_counter() - started)
