"""The libraries that compute Argon2, and which of them this machine should use.

Both write the same bytes. argon2-cffi is the faster where its C part was built for this CPU (``make setup`` does
that where a compiler is) and the slower as a wheel; PyNaCl chooses its instructions at run time but maps fresh
memory for each hash. So they are timed, and neither is trusted to be fast, or even to run, before that.
"""

import concurrent.futures.thread  # noqa: F401  # before anybody forks: see _survives
import contextlib
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

from watchword.errors import Overloaded, UnreadableHash
from watchword.passwords.encoded import DIGEST_BYTES, SALT_BYTES, Parameters

Derive = Callable[[bytes, bytes, Parameters, int], bytes]
"""(password, salt, parameters, digest length) to digest."""

_WARM_UPS: Final = 2
"""Hashes that are not timed: argon2-cffi's first two pay for memory that all later ones find mapped already."""

_SMALLEST: Final = Parameters(memory_kib=8, passes=1)


@dataclass(frozen=True, slots=True)
class BackEnd:
    """One library.

    Attributes:
        name: as its package is called.
        derive: computes a digest and lets other threads run meanwhile.
        covers: whether it can compute these parameters with a salt of so many bytes.
    """

    name: str
    derive: Derive
    covers: Callable[[Parameters, int], bool]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a back end takes for one hash, in seconds: the least of a few tries, as noise only adds."""

    backend: BackEnd
    seconds: float


def load() -> None:
    """Import the libraries, before a thread times them.

    Were it to load them, a process that is forked meanwhile would find them locked for ever, by a thread of its parent.
    """
    for library in ("argon2.low_level", "nacl.pwhash"):
        with contextlib.suppress(ImportError):
            import_module(library)


def time_backends(parameters: Parameters, *, tries: int = 2) -> Sequence[Timing]:
    """Time every back end that runs on this CPU, fastest first."""
    fitting = (backend for backend in available() if backend.covers(parameters, SALT_BYTES))
    timings = [Timing(backend, _least(backend, parameters, tries)) for backend in fitting]
    return sorted(timings, key=lambda timing: timing.seconds)


@cache
def available() -> tuple[BackEnd, ...]:
    """The back ends that can be imported and run on this CPU.

    Raises:
        RuntimeError: there is none.
    """
    found = tuple(backend for backend in (_argon2_cffi(), _pynacl()) if backend is not None)
    if not found:
        raise RuntimeError("no Argon2 library works on this machine: install argon2-cffi or PyNaCl")
    return found


def derive_with(backend: BackEnd, password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
    """Compute a digest with this back end or, where it cannot, with one that can.

    Raises:
        UnreadableHash: no back end on this machine covers the parameters.
        Overloaded: there is no memory for it now.
    """
    for candidate in (backend, *available()):
        if candidate.covers(parameters, len(salt)):
            return candidate.derive(password, salt, parameters, length)
    raise UnreadableHash("no back end computes these parameters")


def _least(backend: BackEnd, parameters: Parameters, tries: int) -> float:
    def one() -> float:
        started = time.perf_counter()
        backend.derive(b"the time it takes", b"s" * SALT_BYTES, parameters, DIGEST_BYTES)
        return time.perf_counter() - started

    for _ in range(_WARM_UPS):
        one()
    return min(one() for _ in range(tries))


def _argon2_cffi() -> BackEnd | None:
    try:
        from argon2.exceptions import HashingError
        from argon2.low_level import Type, hash_secret_raw
    except ImportError:
        return None
    variants = {"argon2id": Type.ID, "argon2i": Type.I, "argon2d": Type.D}

    def derive(password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
        try:
            return hash_secret_raw(
                password,
                salt,
                time_cost=parameters.passes,
                memory_cost=parameters.memory_kib,
                parallelism=parameters.lanes,
                hash_len=length,
                type=variants[parameters.variant],
            )
        except HashingError as fault:  # all that is left to go wrong within our bounds is memory
            raise Overloaded("no memory for a hash") from fault

    backend = BackEnd("argon2-cffi", derive, covers=lambda _parameters, _salt_bytes: True)
    return backend if _survives(backend) else None


def _pynacl() -> BackEnd | None:
    try:
        from nacl.exceptions import RuntimeError as NaClError
        from nacl.pwhash import argon2id
    except ImportError:
        return None

    def derive(password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
        memory_bytes = parameters.memory_kib * 1024
        try:
            return argon2id.kdf(length, password, salt, opslimit=parameters.passes, memlimit=memory_bytes)
        except NaClError as fault:
            raise Overloaded("no memory for a hash") from fault

    def covers(parameters: Parameters, salt_bytes: int) -> bool:
        return parameters.variant == "argon2id" and parameters.lanes == 1 and salt_bytes == SALT_BYTES

    return BackEnd("PyNaCl", derive, covers)


def _survives(backend: BackEnd) -> bool:
    """Compute one tiny hash in a forked child, so that a build for another CPU kills the child and not the service."""
    # concurrent.futures has a lock that each fork takes before and releases behind it, once the module is loaded. If
    # another thread loaded it in between, the lock would be released while that thread holds it.
    if not hasattr(os, "fork"):
        return True  # Windows, where only the wheels are, which run on any CPU
    with warnings.catch_warnings():
        # Python 3.12 warns of threads that a child could wait for; this one waits for none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            backend.derive(b"p", b"s" * SALT_BYTES, _SMALLEST, DIGEST_BYTES)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return status == 0
