"""Commits to an SQLite file: the writes that wait at the same time are one transaction, and are told when it is over.

A commit costs more than what most stories write in it, and so does each hand-over to the thread that writes; and it is
what other processes wait for. Laws of this file:

1. What a story has written is undone if it fails, and nobody else's with it.
2. Nobody is told before the commit, nor before it is seen that it went to the file that others would find. If the
   commit fails, nothing has been written for anybody, and all are told so.
3. Each waits for a lock for as long as it may, and not for those before it too.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from watchword.errors import Unavailable, Unconfirmed
from watchword.store import PATIENCE, Story
from watchword.store.checkpoints import Checkpoints
from watchword.store.lanes import KIND_OF_CODE, Lane, WritingConnection, translated
from watchword.store.sqlite_file import SqliteFile

T = TypeVar("T")

_NAP_SECONDS: Final = 0.001
"""Between two tries for the lock. SQLite's own handler naps for up to a tenth of a second, and so finds the lock taken
again and again where another process writes one commit after the other."""
_NAP: Final = threading.Event()  # never set; a sleep fails where libfaketime plays with the clock


@dataclass(slots=True, eq=False)
class _Write:
    """A story that writes, and in the end what it returned or raised.

    Attributes:
        story: it.
        is_whole: whether all of it happens or nothing; else each statement is whole by itself.
        deadline: until when it may wait.
        told: who waits for it.
    """

    story: Story[Any]
    is_whole: bool
    deadline: float
    told: "asyncio.Future[Any]"
    result: Any = None
    fault: BaseException | None = None

    @property
    def left(self) -> float:
        """Seconds that it may still wait."""
        return max(0.0, self.deadline - time.monotonic())


class Commits:
    """The one writer of a process.

    Args:
        lane: one thread.
        checkpoints: are told how much has been written.
        file: where it should be.
    """

    def __init__(self, lane: Lane[WritingConnection], checkpoints: Checkpoints, file: SqliteFile) -> None:
        self._lane = lane
        self._file = file
        self._checkpoints = checkpoints
        self._rows = 0
        self._waiting: deque[_Write] = deque()
        self._is_called = False

    def begin(self, story: Story[T], *, is_whole: bool) -> "asyncio.Future[T]":
        """Queue a story; see ``_Write``.

        Raises:
            Unavailable: the file was seen to be no longer what others would find.
        """
        self._file.expect()
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        write = _Write(story, is_whole, time.monotonic() + PATIENCE, told)
        self._waiting.append(write)
        if not self._is_called:
            self._is_called = True
            try:
                self._lane.run(self._write).add_done_callback(self._tell)
            except BaseException:  # it is closed, say: who comes next must call again
                self._waiting.remove(write)
                self._is_called = False
                raise
        return told

    def _write(self, connection: WritingConnection) -> list[_Write]:
        """Do what waits, in the thread."""
        self._is_called = False  # before anything is taken: who comes after the last of it calls again
        writes, waiting = self._taken(), []
        for write in writes:
            if write.left:
                waiting.append(write)
            else:
                write.fault = Unavailable("all connections to the database are busy")
        while waiting:
            waiting = _commit(connection, waiting)
        try:
            with translated():
                self._file.look()
                self._file.expect()
        except Unavailable as trouble:
            for write in writes:
                write.fault = write.fault or Unconfirmed(str(trouble))
        self._rows = connection.total_changes
        return writes

    def _tell(self, writing: "asyncio.Future[list[_Write]]") -> None:
        """Tell all who waited, on the loop."""
        if writing.cancelled():
            for write in self._taken():
                write.told.cancel()
        elif (fault := writing.exception()) is not None:  # there was no connection
            self._is_called = False
            for write in self._taken():
                write.told.set_exception(fault)
        else:
            for write in writing.result():
                if write.fault is None:
                    write.told.set_result(write.result)
                else:
                    write.told.set_exception(write.fault)
        self._checkpoints.see(self._rows)  # last: whatever comes of it, all have been told

    def _taken(self) -> list[_Write]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


def _commit(connection: WritingConnection, writes: list[_Write]) -> list[_Write]:
    """Do writes in one transaction.

    Returns:
        Those that are still to be done.
    """
    try:
        with translated():
            _begin(connection, writes[0])
    except Unavailable as fault:
        writes[0].fault = fault
        return writes[1:]
    try:
        for number, write in enumerate(writes, start=1):
            _do(connection, write, savepoint=write.is_whole)
            if not connection.in_transaction:  # as when the disk is full: SQLite has undone what came before too
                for undone in writes[: number - 1]:
                    undone.fault = undone.fault or Unavailable(f"the database answers: {write.fault}")
                return writes[number:]
        connection.execute("COMMIT")
    except BaseException as fault:  # of the commit, or of undoing a story alone
        for write in writes:
            write.fault = write.fault or Unavailable(f"the database answers: {str(fault) or type(fault).__name__}")
        with suppress(sqlite3.Error, MemoryError):  # then the next one does it
            connection.rollback()
    return []


def _begin(connection: WritingConnection, write: _Write) -> None:
    """Take the lock of all processes; one that is taken later, after a read, fails at once when busy."""
    connection.rollback()  # what there was no memory to undo
    connection.go_into_wal_mode()  # if somebody stood in the way until now
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & KIND_OF_CODE != sqlite3.SQLITE_BUSY or not write.left:
                raise
            _NAP.wait(_NAP_SECONDS)
        else:
            return


def _do(connection: WritingConnection, write: _Write, *, savepoint: bool = False) -> None:
    try:
        with translated():
            if savepoint:
                connection.execute("SAVEPOINT story")
            write.result = connection.tell(write.story)
            if savepoint:
                connection.execute("RELEASE story")
    except BaseException as fault:
        write.fault = fault
        if savepoint and connection.in_transaction:
            connection.execute("ROLLBACK TO story")
            connection.execute("RELEASE story")
