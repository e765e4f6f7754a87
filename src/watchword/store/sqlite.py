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
        self._commits = Commits(self._writer, Checkpoints(self._checkpoints))
        self._file: tuple[int, int] | None = None
        self._is_there = True

    async def open(self) -> Self:
        """See that the file is there and is a database, and open it."""
        with translated():
            if not self._path.exists():  # SQLite would make an empty file and call it a database
                raise Unavailable(f"there is no database at {self._path}; run `watchword init`")
            try:
                for lane in self._lanes:
                    lane.open()
                self._file = self._find()
            except BaseException:
                with suppress(RuntimeError):  # no thread is left to wait in either
                    await self._release()
                raise
        return self

    def _begin_read(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._begin_in(self._readers, story)

    def _begin_watch(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._begin_in(self._watcher, story, look=True)

    def _begin_in(self, lane: Lane[ReadingConnection], story: Story[T], *, look: bool = False) -> "asyncio.Future[T]":
        deadline = time.monotonic() + PATIENCE

        def job(connection: ReadingConnection) -> T:
            if look:
                self._is_there = self._find() == self._file
            self._expect_the_file()
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("all connections to the database are busy")
            with translated():
                connection.wait_for_locks(left)
                return connection.tell(story)

        return lane.run(job)

    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        self._expect_the_file()
        return self._commits.begin(story, is_whole=True)

    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        self._expect_the_file()
        return self._commits.begin(story, is_whole=False)

    def _find(self) -> tuple[int, int] | None:
        """Which file is at our path, by device and number; None where there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _expect_the_file(self) -> None:
        """See that it was still ours when the watcher last looked: else a write would be told and be nowhere.

        Raises:
            Unavailable: it was not.
        """
        if not self._is_there:
            # Whoever opens the file that is there now would play the old one's log into it.
            remedy = f"stop the service, remove {self._path}-wal and {self._path}-shm, put the file there again"
            raise Unavailable(f"{self._path} was replaced or removed; {remedy}, and start")

    async def _release(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self._lanes))
