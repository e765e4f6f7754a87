"""SQLite: a few threads with a connection each for reading, one for writing, in WAL mode.

One thread more reads what the service itself must know in time: to the others people's reads come one after the other.
One writer leaves no lock to fight over inside the process; between processes BEGIN IMMEDIATE waits its turn.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from watchword.errors import Unavailable
from watchword.store import PATIENCE, Observer, Store, Story
from watchword.store.checkpoints import Checkpoints
from watchword.store.commits import Commits
from watchword.store.lanes import Lane, ReadingConnection, WritingConnection, translated
from watchword.store.sqlite_file import SqliteFile, expect_no_log_alone, expect_room_for_a_log

T = TypeVar("T")

_READERS: Final = 2


class SqliteStore(Store):
    """A store in one file on this machine."""

    dialect = "sqlite"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._path = Path(url.removeprefix("sqlite:///")).absolute()  # messages shall say which folder's
        self._readers = Lane(self._path, ReadingConnection, count=_READERS)
        self._watcher = Lane(self._path, ReadingConnection, count=1)
        self._writer = Lane(self._path, WritingConnection, count=1)
        self._checkpoints = Lane(self._path, ReadingConnection, count=1)
        # The writer first, as it sees to WAL mode: the others then open the log together with the file.
        self._lanes: tuple[Lane[Any], ...] = (self._writer, self._readers, self._watcher, self._checkpoints)
        self._file = SqliteFile(self._path)
        self._commits = Commits(self._writer, Checkpoints(self._checkpoints), self._file)

    async def open(self) -> Self:
        """See that the file is there and is a database, and open it."""
        with translated():
            expect_no_log_alone(self._path)
            if not self._path.exists():  # SQLite would make an empty file and call it a database
                raise Unavailable(f"there is no database at {self._path}; run `watchword init`")
            try:
                self._file.open()
                for lane in self._lanes:
                    lane.open()
                self._file.note()
                self._file.look()
            except BaseException as fault:
                with suppress(RuntimeError):  # no thread is left to wait in either
                    await self._release()
                expect_room_for_a_log(self._path, fault)
                raise
        return self

    def _begin_read(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._begin_in(self._readers, story)

    def _begin_watch(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._begin_in(self._watcher, story, look=True)

    def _begin_in(self, lane: Lane[ReadingConnection], story: Story[T], *, look: bool = False) -> "asyncio.Future[T]":
        deadline = time.monotonic() + PATIENCE

        def job(connection: ReadingConnection) -> T:
            with translated():
                if look:
                    self._file.look()
                self._file.expect()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Unavailable("all connections to the database are busy")
                connection.wait_for_locks(left)
                result = connection.tell(story)
                if look:
                    self._file.note()
                return result

        return lane.run(job)

    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._commits.begin(story, is_whole=True)

    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._commits.begin(story, is_whole=False)

    async def _release(self) -> None:
        try:
            await asyncio.gather(*(lane.close() for lane in self._lanes))
        finally:
            self._file.close()
