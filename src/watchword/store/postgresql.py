"""PostgreSQL, or whatever speaks its protocol: a pool of connections, shared by several machines' services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, TypeVar

import asyncpg
import databases

from watchword.errors import Unavailable
from watchword.store import PATIENCE, Observer, Store
from watchword.store.connection import Connection, Row, Statement

T = TypeVar("T")

_POOL_SIZE: Final = 10
_STATEMENT_TIMEOUT: Final = 5.0


class PostgresqlStore(Store):
    """A store on a server."""

    dialect = "postgresql"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._database = databases.Database(
            url,
            min_size=0,
            max_size=_POOL_SIZE,
            timeout=PATIENCE,
            command_timeout=_STATEMENT_TIMEOUT,
            reset=_keep_as_it_is,
            server_settings={
                "application_name": "watchword",
                "lock_timeout": f"{PATIENCE}s",
                "idle_in_transaction_session_timeout": f"{_STATEMENT_TIMEOUT}s",
            },
            **_tls_options(url),
        )

    async def open(self) -> Self:
        """Make the pool and see that the server answers."""
        with _translated():
            await self._database.connect()
        try:
            async with self._reading() as connection:
                await connection.fetch(Statement("SELECT 1"))
        except BaseException:
            await self._release()
            raise
        return self

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with self._borrowed() as connection:
            yield connection

    async def _transact(self, story: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._borrowed() as connection, connection.raw.transaction():
            return await story(connection)

    async def _release(self) -> None:
        await self._database.disconnect()

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator["_PostgresqlConnection"]:
        # Our own deadline: asyncpg's timeouts do not cover the wait for a place in the pool.
        held = self._database.connection()
        with _translated():
            async with asyncio.timeout(PATIENCE):
                await held.__aenter__()
            try:
                yield _PostgresqlConnection(held.raw_connection)
            finally:
                await held.__aexit__()


class _PostgresqlConnection:
    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        rows: list[Row] = await self.raw.fetch(statement.numbered, *(values[name] for name in statement.names))
        return rows


async def _keep_as_it_is(_: object) -> None:
    """Skip asyncpg's reset, a round trip for each request: we leave no session state behind."""


def _tls_options(url: str) -> dict[str, Any]:
    mode = databases.DatabaseURL(url).options.get("sslmode")
    return {} if mode is None else {"ssl": mode}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError:
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as fault:  # TimeoutError is an OSError
        raise Unavailable(f"the database answers: {fault or type(fault).__name__}") from fault
