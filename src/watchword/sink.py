"""Where log lines leave the process: a thread of its own writes them, for who writes to a full pipe has to wait.

Laws of this file:

1. Nobody who logs ever waits. What cannot be written in time is lost, and counted.
2. What waits is bounded, so that a log that nobody reads does not become a process without memory.
3. A lost line is lost whole: a file that took half of one gets a line end before the next. And no more is written at
   once than a pipe takes in one piece: where workers share one, the half of a line would end in that of another's.
4. A process that was forked begins anew: what waited is its parent's to write.
"""

import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from select import PIPE_BUF
from typing import Final, Protocol
from weakref import WeakSet

MOST: Final = 1 << 20
"""Bytes that may wait: some 5,000 lines."""

_LAST_SECONDS: Final = 1.0
"""How long a process that ends waits for a sink that takes nothing."""


_PAUSE: Final = 0.05
_BREATH: Final = 0.005
"""Seconds to wait between two writes: to wake this thread costs whoever logs more than the line does."""


class Writable(Protocol):
    """What takes bytes, and may take fewer than it was given, as a raw file does."""

    def write(self, data: bytes, /) -> int | None:
        """Write some of it and return how many bytes that was."""
        ...


class Sink:
    """Writes to a file from a thread.

    Args:
        file: where to; unbuffered, as what a buffer holds when the disk is full would be written again later.
        most: bytes that may wait.
    """

    def __init__(self, file: Writable, *, most: int = MOST) -> None:
        self._file = file
        self._most = most
        self._begin()
        _SINKS.add(self)

    def _begin(self) -> None:
        self._blocks: SimpleQueue[bytes] = SimpleQueue()
        self._changed = threading.Condition()
        self._waiting = 0
        self._lost = 0
        self._is_torn = False
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> int:
        """Lines that were not written."""
        return self._lost

    def put(self, lines: bytes) -> None:
        """Take whole lines, their ends included, from any thread; what becomes of them is never raised here."""
        with self._changed:
            if self._waiting + len(lines) > self._most or not self._is_begun():
                self._lost += lines.count(b"\n")
                return
            self._waiting += len(lines)
        self._blocks.put(lines)

    def drain(self) -> None:
        """Wait until all is written, but not for long: a log that is stuck keeps no process from ending."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout=_LAST_SECONDS)

    def _is_begun(self) -> bool:
        """Whether there is a thread that writes; where there is no room for one, the next lines try again."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            blocks = [self._blocks.get()]
            with suppress(Empty):
                while True:
                    blocks.append(self._blocks.get_nowait())
            lines = b"".join(blocks)
            lost = self._write(lines)
            with self._changed:
                self._lost += lost
                self._waiting -= len(lines)
                self._changed.notify_all()
                self._changed.wait(_BREATH)

    def _write(self, lines: bytes) -> int:
        """Write lines; return how many were lost."""
        at = 0
        try:
            if self._is_torn:
                self._write_some(b"\n")
                self._is_torn = False
            while at < len(lines):
                end = lines.rfind(b"\n", at, at + PIPE_BUF) + 1 or lines.find(b"\n", at) + 1 or len(lines)
                at += self._write_some(lines[at:end])
        except (OSError, ValueError):  # no space, nobody reads any more, closed
            if at:
                self._is_torn = not lines.endswith(b"\n", 0, at)
            return lines.count(b"\n", at)
        return 0

    def _write_some(self, data: bytes) -> int:
        while not (written := self._file.write(data)):
            time.sleep(_PAUSE)  # somebody who shares the file has asked not to be made to wait, which goes for us too
        return written


_SINKS: Final[WeakSet[Sink]] = WeakSet()


def _begin_anew() -> None:
    """In a process that was forked: the thread is the parent's, and so may be who holds the condition, for ever."""
    for sink in _SINKS:
        sink._begin()


os.register_at_fork(after_in_child=_begin_anew)
