"""The SQLite file that we have open, and whether it is still the one that a new process would find.

SQLite looks at neither again: what it commits to a file or a log that has lost its name is told as done, and nowhere.
"""

import os
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from watchword.errors import Unavailable
from watchword.store.lanes import KIND_OF_CODE

_MODE: Final = slice(18, 20)
"""Where in the file SQLite says whether it has a log (https://sqlite.org/fileformat.html §1.3.3); VACUUM INTO: none."""
_WAL: Final = b"\x02\x02"
_TAKES_NO_WRITES: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""What SQLite says where it cannot make a log: the first of a folder's mode, the other of a read-only file system."""


class SqliteFile:
    """One file and the log beside it, to be asked in any thread.

    It is open longer than all connections, also those of others in this process: whoever closes a descriptor of a file
    drops the locks that SQLite has on it in the same process, and with these a command that ends may remove the log of
    a service that runs.

    Args:
        path: to the file, or to a symlink to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = _log_of(path)
        self._one_looks = threading.Lock()
        self._descriptor = -1
        self._ids: dict[Path, tuple[int, int]] = {}
        self._is_in_wal_mode = False
        self._is_overwritten = False
        self._trouble = ""

    def open(self) -> None:
        """Open it, before the first connection.

        Raises:
            OSError: it cannot be.
        """
        self._descriptor = _DESCRIPTORS.take(self._path)

    def note(self) -> None:
        """Keep in mind which files these are; to be called when a connection has read.

        SQLite makes the log when the first connection reads in WAL mode, and removes it when the last one is closed: so
        one that was there before we read may go with whoever made it.
        """
        with self._one_looks:
            for file in (self._path, *(self._log if self._is_in_wal_mode else ())):
                if file not in self._ids and (found := _identity(file)) is not None:
                    self._ids[file] = found

    def look(self) -> None:
        """See whether they are still there.

        Raises:
            OSError: the file cannot be read.
        """
        with self._one_looks:
            is_in_wal_mode = os.pread(self._descriptor, _MODE.stop, 0)[_MODE] == _WAL
            # While connections are open nobody can take it out of WAL mode. A checkpoint may hide that it is ruined.
            self._is_overwritten |= self._is_in_wal_mode and not is_in_wal_mode
            self._is_in_wal_mode = is_in_wal_mode
            found = {file: _identity(file) for file in self._ids}
            changed = [file for file, known in self._ids.items() if found[file] != known]
            wal, shm = self._log
            # Whoever opens another file that is there now would play the old one's log into it.
            remedy = f"stop the service, remove {wal} and {shm}, put the file there again, and start"
            if self._path in changed and found[self._path] is None:
                # Its log has what it lacks, also when we end: SQLite moves nothing into a file that it does not find.
                self._trouble = _gone(self._path, wal, shm)
            elif self._path in changed:
                came_back = "if it is the one that was gone, only stop the service and start"
                self._trouble = f"{self._path} was replaced; {remedy}; {came_back}"
            elif self._is_overwritten:
                self._trouble = f"{self._path} was overwritten; {remedy}"
            elif changed:
                # Who has the old log open as the last one moves it into the file.
                self._trouble = f"{changed[0]} was replaced or removed; stop the service, but do not kill it, and start"
            else:
                self._trouble = ""

    def expect(self) -> None:
        """See that all was well at the last look: whoever goes on makes it worse.

        Raises:
            Unavailable: it was not.
        """
        if self._trouble:
            raise Unavailable(self._trouble)

    def close(self) -> None:
        """Close it, after the last connection."""
        if self._descriptor >= 0:
            _DESCRIPTORS.give_back(self._descriptor)
            self._descriptor = -1


def expect_no_log_alone(path: Path) -> None:
    """See that a file that is not there has left no log: a new file would be opened with it, and use it up.

    Raises:
        Unavailable: it has.
    """
    wal, shm = _log_of(path)
    if not path.exists() and wal.exists() and wal.stat().st_size:
        raise Unavailable(_gone(path, wal, shm))


def expect_room_for_a_log(path: Path, fault: BaseException | None) -> None:
    """See that a log can be made: without one SQLite does not even read a file in WAL mode, and does not say why.

    Args:
        path: to the file.
        fault: what has come instead, of SQLite or of a file; if it cannot be of a log, nothing is looked at.

    Raises:
        Unavailable: the folder takes no writes.
    """
    folder = _log_of(path)[0].parent
    may_be_of_it = getattr(fault, "sqlite_errorcode", 0) & KIND_OF_CODE in _TAKES_NO_WRITES
    if (may_be_of_it or isinstance(fault, OSError)) and not os.access(folder, os.W_OK):
        raise Unavailable(f"{folder} takes no writes, and SQLite needs to write there even to read")


def _gone(path: Path, wal: Path, shm: Path) -> str:
    remedy = "stop the service, but do not kill it, put the file back and start, and nothing is lost"
    return f"{path} is gone; {remedy}; before another is put there, or made, remove {wal} and {shm}"


def _log_of(path: Path) -> tuple[Path, Path]:
    """The two files of the log, which SQLite has beside what a symlink leads to."""
    real = os.path.realpath(path)
    return Path(f"{real}-wal"), Path(f"{real}-shm")


class _Descriptors:
    """One for each file that is open in this process, however many have it open."""

    def __init__(self) -> None:
        self._one_counts = threading.Lock()
        self._of: dict[tuple[int, int] | None, int] = {}
        self._users: Counter[int] = Counter()

    def take(self, path: Path) -> int:
        """The file's, which is opened if need be; raises OSError where it cannot be."""
        with self._one_counts:
            key = _identity(path)
            if key not in self._of:
                self._of[key] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # nobody may ever write to a pipe
            self._users[self._of[key]] += 1
            return self._of[key]

    def give_back(self, descriptor: int) -> None:
        """Close it, if nobody has it any more."""
        with self._one_counts:
            self._users[descriptor] -= 1
            if not self._users[descriptor]:
                del self._users[descriptor]
                self._of = {key: each for key, each in self._of.items() if each != descriptor}
                os.close(descriptor)


_DESCRIPTORS: Final = _Descriptors()


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file is at a path, by device and number; None where there is none. Raises OSError if that is not known."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
