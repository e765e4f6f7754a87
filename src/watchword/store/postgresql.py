"""PostgreSQL, or whatever speaks its protocol: a pool of connections, shared by several machines' services.

A small pool more is for what the service itself must know in time: to the other comes whoever asks, and asyncpg lets
newcomers overtake those who wait.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from watchword.errors import Unavailable, Unconfirmed
from watchword.store import PATIENCE, Observer, Store, Story
from watchword.store.connection import Row, Statement

T = TypeVar("T")

_POOL_SIZE: Final = 10
_WATCHERS: Final = 2
"""One for the news of ended sessions and one for the keys: a lock on either table must not make the other's old."""
_SERVER_PATIENCE: Final = 1.8
"""Seconds for which the server waits for a lock: a little less than we do, as the connection then lives on."""
_URL_OPTIONS: Final = frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey"})


class PostgresqlStore(Store):
    """A store on a server."""

    dialect = "postgresql"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._url = url
        self._pool: Any = None
        self._watchers: Any = None

    async def open(self) -> Self:
        """Make the pools and see that the server answers."""
        with _translated():
            self._pool = await self._make_pool(_POOL_SIZE)
            self._watchers = await self._make_pool(_WATCHERS)
        try:
            await self.read(lambda connection: connection.fetch(_ANYTHING))
        except BaseException:
            await self._release()
            raise
        return self

    async def _make_pool(self, size: int) -> Any:
        return await asyncpg.create_pool(
            with_known_options(self._url),
            min_size=0,
            max_size=size,
            timeout=PATIENCE,
            command_timeout=PATIENCE,
            reset=_keep_as_it_is,
            server_settings={
                "application_name": "watchword",
                # Who has waited for a turn must see what was done in the turns before, whatever the operator's default.
                "default_transaction_isolation": "read committed",
                "lock_timeout": f"{_SERVER_PATIENCE}s",
                "idle_in_transaction_session_timeout": f"{PATIENCE}s",
            },
        )

    def _begin_read(self, story: Story[T]) -> Awaitable[T]:
        return self._tell(story, self._pool)

    def _begin_watch(self, story: Story[T]) -> Awaitable[T]:
        return self._tell(story, self._watchers)

    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        return asyncio.ensure_future(self._tell_in_a_transaction(story))

    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        return asyncio.ensure_future(self._tell(story, self._pool))

    async def _tell(self, story: Story[T], pool: Any) -> T:
        async with self._borrowed(pool) as connection:
            return await story(connection)

    async def _tell_in_a_transaction(self, story: Story[T]) -> T:
        is_told = False
        try:
            async with self._borrowed(self._pool) as connection, connection.raw.transaction():
                result = await story(connection)
                is_told = True
        except Unavailable as fault:
            if is_told:
                raise Unconfirmed(f"{fault}; whether it was done is not known") from fault
            raise
        return result

    async def _release(self) -> None:
        pools = [pool for pool in (self._pool, self._watchers) if pool is not None]
        with suppress(TimeoutError):  # on which asyncpg cuts what is left
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(pool.close() for pool in pools))

    @asynccontextmanager
    async def _borrowed(self, pool: Any) -> AsyncIterator["_PostgresqlConnection"]:
        """A connection, for PATIENCE seconds from now, the wait for it included; then it is cut.

        Cut and not asked to stop: whether it would hear that, and how soon, is what nobody knows of a slow network.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        with _translated():
            try:
                raw = await pool.acquire(timeout=PATIENCE)
            except UnicodeError as fault:  # the resolver's, of what can be no host name
                raise Unavailable(f"the database answers: {fault}") from fault
            too_late = asyncio.Event()
            cut = loop.call_at(deadline, _cut, raw, too_late)
            try:
                yield _PostgresqlConnection(raw)
            # AttributeError: asyncpg's, where the cut comes just as an answer has come that it would go on from.
            except (asyncpg.PostgresError, asyncpg.InterfaceError, AttributeError) as fault:
                if not too_late.is_set():
                    raise
                raise TimeoutError from fault
            except asyncpg.InternalClientError:  # the driver has lost its place, as when the server gives up unasked
                raw.terminate()
                raise
            except asyncio.CancelledError:
                raw.terminate()  # to give it back is to wait for the server, whose silence would become the error
                raise
            finally:
                cut.cancel()
                await pool.release(raw)


class _PostgresqlConnection:
    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        rows: list[Row] = await self.raw.fetch(statement.numbered, *(values[name] for name in statement.names))
        return rows


def with_known_options(url: str) -> str:
    """The URL for asyncpg, without what other programs like to read in one, which it would take for server settings."""
    parts = urlsplit(url)
    options = [(name, value) for name, value in parse_qsl(parts.query) if name in _URL_OPTIONS]
    return parts._replace(query=urlencode(options)).geturl()


_ANYTHING: Final = Statement("SELECT 1")


async def _keep_as_it_is(_: object) -> None:
    """Skip asyncpg's reset, a round trip for each request: we leave no session state behind."""


def _cut(raw: Any, too_late: asyncio.Event) -> None:
    too_late.set()
    raw.terminate()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError:
        raise
    except TimeoutError as fault:
        raise Unavailable(f"the database has not answered within {PATIENCE:g} s") from fault
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as fault:
        said, _, _ = str(fault).partition("\n")  # details and a hint follow
        raise Unavailable(f"the database answers: {said or type(fault).__name__}") from fault
