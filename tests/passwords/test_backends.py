"""Claims about the Argon2 libraries: they agree, the fastest is taken, and one that fails stops nobody."""

import faulthandler
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import argon2
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2d, Argon2i, Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.errors import UnreadableHash
from watchword.passwords import Parameters, backends
from watchword.passwords.backends import BackEnd, derive_with
from watchword.passwords.encoded import DIGEST_BYTES, SALT_BYTES, Variant

TINY = Parameters(memory_kib=8, passes=1)
REFERENCE: dict[str, type[Argon2id | Argon2i | Argon2d]] = {
    "argon2id": Argon2id,
    "argon2i": Argon2i,
    "argon2d": Argon2d,
}


def reference(password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
    """What a third library computes."""
    computer = REFERENCE[parameters.variant](
        salt=salt,
        length=length,
        iterations=parameters.passes,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    )
    return computer.derive(password)


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """Let the test, and after it the next one, look again for what is available."""
    backends.available.cache_clear()
    yield
    backends.available.cache_clear()


def test_both_libraries_are_here() -> None:
    """What the project depends on is found and runs on this machine."""
    assert [backend.name for backend in backends.available()] == ["argon2-cffi", "PyNaCl"]


@settings(deadline=None)
@given(
    password=st.binary(max_size=80),
    salt=st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES),
    memory_kib=st.integers(8, 80),
    passes=st.integers(1, 3),
    length=st.integers(16, 96),
)
def test_all_libraries_write_the_same_bytes(
    password: bytes, salt: bytes, memory_kib: int, passes: int, length: int
) -> None:
    """Whichever back end a machine chose, its hashes are those of any other, NUL bytes and odd memory included."""
    parameters = Parameters(memory_kib=memory_kib, passes=passes)
    expected = reference(password, salt, parameters, length)
    for backend in backends.available():
        assert backend.derive(password, salt, parameters, length) == expected


@pytest.mark.parametrize("backend", backends.available(), ids=lambda backend: backend.name)
@pytest.mark.parametrize("variant", ["argon2id", "argon2i", "argon2d"])
@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize("salt", [b"s" * 8, b"s" * 16, b"s" * 48])
def test_what_one_library_cannot_do_another_does(backend: BackEnd, variant: Variant, lanes: int, salt: bytes) -> None:
    """Whichever back end was chosen, every readable hash can be computed, and rightly."""
    parameters = Parameters(memory_kib=32, passes=1, lanes=lanes, variant=variant)
    assert derive_with(backend, b"password", salt, parameters, 32) == reference(b"password", salt, parameters, 32)


def test_what_no_library_can_do_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyNaCl is alone, a hash of another variant is UnreadableHash."""
    [nacl] = [backend for backend in backends.available() if backend.name == "PyNaCl"]
    monkeypatch.setattr(backends, "available", lambda: (nacl,))
    assert len(derive_with(nacl, b"p", b"s" * 16, TINY, 32)) == 32
    for parameters, salt in (
        (Parameters(8, 1, variant="argon2d"), b"s" * 16),
        (Parameters(16, 1, lanes=2), b"s" * 16),
        (TINY, b"s" * 8),
    ):
        with pytest.raises(UnreadableHash):
            derive_with(nacl, b"p", salt, parameters, 32)


def test_the_fastest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back ends are ordered by their best try here, the first two uncounted, and one that does not fit is left out."""
    slow_steps, quick_steps = [0, 1, 1, 2, 2, 32, 32, 41], [50, 51, 51, 52, 52, 59, 60, 110]  # 1, 1, 30, 9; 1, 1, 7, 50
    steps = iter([*slow_steps, *quick_steps])  # by perf_counter
    monkeypatch.setattr(backends, "time", SimpleNamespace(perf_counter=lambda: next(steps)))

    def derive(password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
        assert (len(salt), parameters, length) == (SALT_BYTES, TINY, DIGEST_BYTES)
        return password

    slow, quick = (BackEnd(name, derive, lambda _parameters, _salt_bytes: True) for name in ("slow", "quick"))
    unfit = BackEnd("unfit", derive, lambda _parameters, _salt_bytes: False)
    monkeypatch.setattr(backends, "available", lambda: (slow, unfit, quick))
    timings = backends.time_backends(TINY)
    assert [(timing.backend.name, timing.seconds) for timing in timings] == [("quick", 7), ("slow", 9)]


@pytest.mark.usefixtures("asked_anew")
def test_a_library_that_is_not_installed_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either library alone is enough; without both the message says what to install."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "argon2.low_level", None)
        assert [backend.name for backend in backends.available()] == ["PyNaCl"]
    backends.available.cache_clear()
    monkeypatch.setitem(sys.modules, "nacl.pwhash", None)
    assert [backend.name for backend in backends.available()] == ["argon2-cffi"]
    backends.available.cache_clear()
    monkeypatch.setitem(sys.modules, "argon2.low_level", None)
    with pytest.raises(RuntimeError, match="argon2-cffi or PyNaCl"):
        backends.available()


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("end", [signal.SIGILL, signal.SIGSEGV, None], ids=["illegal", "segment", "error"])
def test_a_build_for_another_cpu_does_not_stop_the_service(
    monkeypatch: pytest.MonkeyPatch, end: signal.Signals | None
) -> None:
    """A library whose code this CPU cannot run dies in a child process and is done without."""

    def hash_secret_raw(*_: object, **__: object) -> bytes:
        if end is None:
            raise OSError
        faulthandler.disable()  # or the child's end would be told as the tests'
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), end)
        raise AssertionError

    monkeypatch.setattr("argon2.low_level.hash_secret_raw", hash_secret_raw)
    assert [backend.name for backend in backends.available()] == ["PyNaCl"]


_FORKED_AT_ANY_MOMENT = """
import sys, threading
from watchword.passwords import Hasher, Parameters

loaded = []


class Watch:
    def find_spec(name, *_):
        if threading.current_thread() is not threading.main_thread():
            loaded.append(name)


sys.meta_path.insert(0, Watch)
assert Hasher(Parameters(memory_kib=8, passes=1), threads=1, max_wait=1).backend
assert not loaded, loaded
"""


def test_the_thread_that_times_them_loads_nothing() -> None:
    """A process forked while it did would wait for ever at the same import: a worker of an application made before."""
    subprocess.run([sys.executable, "-c", _FORKED_AT_ANY_MOMENT], check=True)


_STARVED = """
import resource
from watchword.errors import Overloaded
from watchword.passwords import Parameters, backends

available = backends.available()
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
for backend in available:
    try:
        backend.derive(b"password", b"s" * 16, Parameters(memory_kib=2**20, passes=1), 32)
    except Overloaded:
        print(backend.name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its address space")
def test_a_lack_of_memory_is_an_overload() -> None:
    """A machine that cannot give a hash its memory is overloaded; no error of a library escapes."""
    ran = subprocess.run([sys.executable, "-c", _STARVED], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [backend.name for backend in backends.available()]


def test_the_reference_of_these_tests_is_argon2() -> None:
    """The third library's bytes are those of the reference implementation's own encoder."""
    encoded = argon2.low_level.hash_secret(b"password", b"s" * 16, 1, 8, 1, 32, argon2.Type.ID).decode()
    digest = derive_with(backends.available()[0], b"password", b"s" * 16, TINY, 32)
    assert reference(b"password", b"s" * 16, TINY, 32) == digest
    assert argon2.PasswordHasher().verify(encoded, "password")


def test_no_module_comes_between_the_two_ends_of_a_fork() -> None:
    """The one whose lock each fork takes and releases is there before; else another thread would lose it."""
    script = "import sys, watchword.passwords.backends; print('concurrent.futures.thread' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "True\n"
