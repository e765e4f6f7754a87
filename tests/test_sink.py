"""The sink of the log: nobody waits for it, what waits is bounded, what is lost is counted, no line is half a line."""

import errno
import subprocess
import sys
import threading
from select import PIPE_BUF

import pytest

from watchword.sink import Sink

SECONDS = 10.0


class Disk:
    """A file that takes so many bytes and then has no space, until there is more."""

    def __init__(self, space: int) -> None:
        self.space = space
        self.held = b""

    def write(self, data: bytes) -> int:
        """Take what there is space for."""
        if not self.space:
            raise OSError(errno.ENOSPC, "no space")
        taken = data[: self.space]
        self.space -= len(taken)
        self.held += taken
        return len(taken)


class Stuck(Disk):
    """A file that makes its writer wait."""

    def __init__(self) -> None:
        super().__init__(space=1000)
        self.is_asked = threading.Event()
        self.goes_on = threading.Event()

    def write(self, data: bytes) -> int:
        """Wait, then take it."""
        self.is_asked.set()
        assert self.goes_on.wait(SECONDS)
        return super().write(data)


class Busy(Disk):
    """A file that would make its writer wait and has been told not to, as a pipe that somebody made non-blocking."""

    def __init__(self) -> None:
        super().__init__(space=1000)
        self._refusals = 2

    def write(self, data: bytes) -> int:
        """Take nothing at first."""
        self._refusals -= 1
        return super().write(data) if self._refusals < 0 else 0


def test_nobody_waits_for_a_file_that_is_stuck() -> None:
    """Lines are taken up to a bound while one is being written; those beyond are counted, the others come in order."""
    file = Stuck()
    sink = Sink(file, most=10)
    sink.put(b"1\n")
    assert file.is_asked.wait(SECONDS)
    for line in (b"2\n3\n", b"4\n", b"5\n6\n", b"7\n"):
        sink.put(line)
    assert sink.lost == 2
    file.goes_on.set()
    sink.drain()
    assert file.held == b"1\n2\n3\n4\n7\n"
    sink.put(b"8\n")
    sink.drain()
    assert file.held.endswith(b"7\n8\n")
    assert sink.lost == 2


def test_a_process_can_end_beside_a_file_that_is_stuck() -> None:
    """Draining gives up after a moment."""
    file = Stuck()
    sink = Sink(file)
    sink.put(b"1\n")
    sink.drain()
    assert file.held == b""
    file.goes_on.set()
    sink.drain()
    assert file.held == b"1\n"


def test_a_full_disk_loses_whole_lines() -> None:
    """A line that was begun is ended before the next, and none comes twice once there is space."""
    file = Disk(space=6)
    sink = Sink(file)
    for line in (b"one\n", b"two\nthree\n", b"four\n"):
        sink.put(line)
        sink.drain()
    assert file.held == b"one\ntw"
    assert sink.lost == 3
    file.space = 1000
    sink.put(b"five\n")
    sink.drain()
    assert file.held == b"one\ntw\nfive\n"
    assert sink.lost == 3


def test_a_disk_that_is_full_between_two_lines_leaves_no_empty_one() -> None:
    """What was lost was lost from a line's beginning."""
    file = Disk(space=4)
    sink = Sink(file)
    for line in (b"one\n", b"two\n"):
        sink.put(line)
        sink.drain()
    file.space = 1000
    sink.put(b"three\n")
    sink.drain()
    assert file.held == b"one\nthree\n"
    assert sink.lost == 1


def test_a_file_that_does_not_block_is_asked_again() -> None:
    """A write that took nothing is no loss."""
    file = Busy()
    sink = Sink(file)
    sink.put(b"one\n")
    sink.drain()
    assert (file.held, sink.lost) == (b"one\n", 0)


def test_a_thread_that_cannot_start_does_so_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that nobody could write are counted, whoever logs is told nothing, and the next line tries again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    file = Disk(space=1000)
    sink = Sink(file)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        sink.put(b"1\n2\n")
        sink.put(b"3\n")
    assert sink.lost == 3
    sink.put(b"4\n")
    sink.drain()
    assert (file.held, sink.lost) == (b"4\n", 3)


class Piecewise(Disk):
    """A file that remembers in which pieces it was written."""

    def __init__(self) -> None:
        super().__init__(space=1 << 20)
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take all of it."""
        self.pieces.append(data)
        return super().write(data)


def test_no_more_is_written_at_once_than_a_pipe_takes_in_one_piece() -> None:
    """In whole lines: workers share a pipe, and would write into what it took in two. A longer line is alone."""
    file = Piecewise()
    sink = Sink(file)
    lines = b"".join(b"%d %s\n" % (number, b"x" * (number % 300)) for number in range(200)) + b"y" * 9000 + b"\nz\n"
    sink.put(lines)
    sink.drain()
    assert file.held == lines
    assert all(piece.endswith(b"\n") for piece in file.pieces)
    assert [len(piece) for piece in file.pieces if len(piece) > PIPE_BUF] == [9001]


_FORKED = """
import os, signal, sys, threading
from io import FileIO
from watchword.sink import Sink

sink = Sink(FileIO(1, "w", closefd=False))
other = threading.Thread(target=sink.put, args=[b"parent\\n"])
start, is_held, goes_on, parent = threading.Thread.start, threading.Event(), threading.Event(), os.getpid()

def start_late(thread):
    if thread.name == "log" and os.getpid() == parent:
        is_held.set()
        goes_on.wait(30)
    start(thread)

def log_meanwhile():
    threading.Thread.start = start_late
    other.start()
    is_held.wait(30)

def log_before():
    other.start()
    other.join()
    sink.drain()

{log}()
if child := os.fork():
    _, status = os.waitpid(child, 0)
    goes_on.set()
    other.join()
    sink.drain()
    sys.exit(status != 0)
signal.alarm(10)
sink.put(b"child\\n")
sink.drain()
os._exit(sink.lost)
"""


@pytest.mark.parametrize("log", ["log_before", "log_meanwhile"])
def test_a_process_that_was_forked_logs(log: str) -> None:
    """It lost every line if its parent had logged before, and hung at the first if a thread there was just doing so."""
    program = [sys.executable, "-W", "ignore", "-c", _FORKED.format(log=log)]
    done = subprocess.run(program, stdout=subprocess.PIPE, timeout=SECONDS * 3, check=True)
    assert sorted(done.stdout.splitlines()) == [b"child", b"parent"]
