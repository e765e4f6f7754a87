"""PostgreSQL, or whatever speaks its protocol: a pool of connections, shared by several machines' services.

A small pool more is for what the service itself must know in time: in the other's queue stands whoever asks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Self, TypeVar

import asyncpg

from watchword.database_urls import each_host, unread_file
from watchword.errors import SchemaRefused, Unavailable, Unconfirmed
from watchword.store import PATIENCE, Observer, Store, Story
from watchword.store.connection import Row, Statement
from watchword.store.sequences import NUMBERED

T = TypeVar("T")

_POOL_SIZE: Final = 10
_WATCHERS: Final = 2
"""One for the news of ended sessions and one for the keys: a lock on either table must not make the other's old."""
_ASKED_FOR: Final = {
    # Who has waited for a turn must see what was done in the turns before, whatever the operator's default.
    "default_transaction_isolation": "read committed",
    "lock_timeout": "1800",
    "statement_timeout": "1900",
    "idle_in_transaction_session_timeout": f"{PATIENCE * 1000:.0f}",
}
"""What a connection is opened with, as ``pg_settings`` shows it. Times are milliseconds; that of a statement includes
its wait for a lock. Both are a little less than we wait, as the connection then lives on, and of one that is cut the
server would notice nothing until it is done."""
_ON_NUMBERS: Final = frozenset(f"{table}_pkey" for table in NUMBERED)
"""Constraints on numbers that the database gives: no story breaks them, but a sequence that is behind the rows does."""


class _Pool(NamedTuple):
    """Connections, and the turns of those who use them.

    Attributes:
        connections: asyncpg's. It would let who leaves take the connection along that is just being opened.
        turns: as many as there are connections, so that only here is there a queue, which anybody may leave.
    """

    connections: Any
    turns: asyncio.Semaphore


@dataclass(slots=True)
class _Caller:
    """Who waits for what a story returns.

    Attributes:
        is_there: whether they still do.
    """

    is_there: bool = True


class PostgresqlStore(Store):
    """A store on a server."""

    dialect = "postgresql"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._url = url
        self._pool: _Pool
        self._watchers: _Pool
        self._pools: tuple[_Pool, ...] = ()
        self._tellings: set[asyncio.Task[Any]] = set()

    async def open(self) -> Self:
        """Make the pools, and see that the server answers and does as it was asked.

        Raises:
            Unavailable: it does not answer.
            SchemaRefused: what the connection was opened with has not come to it, or the server answers before it has
                written down what was done.
        """
        with _translated():
            hosts = Hosts(self._url, seconds=PATIENCE)
            self._pool = await self._make_pool(_POOL_SIZE, hosts)
            self._watchers = await self._make_pool(_WATCHERS, hosts)
            self._pools = (self._pool, self._watchers)
        try:
            self._expect_what_was_asked_for(await self.read(lambda connection: connection.fetch(_SETTINGS)))
        except BaseException as fault:
            await self._release()
            # PgBouncer's words: "unsupported startup parameter".
            if isinstance(fault.__cause__, asyncpg.ProtocolViolationError):
                raise SchemaRefused(f"WATCHWORD_DATABASE_URL: {fault}; {_POOLERS}") from fault
            raise
        return self

    @staticmethod
    def _expect_what_was_asked_for(settings: list[Row]) -> None:
        found: dict[str, str] = dict(settings)
        if lost := ", ".join(name for name, value in _ASKED_FOR.items() if found.get(name) != value):
            told = f"a pooler in between drops {lost}, with which connections are opened"
            raise SchemaRefused(f"WATCHWORD_DATABASE_URL: {told}; {_POOLERS}")
        if found.get("synchronous_commit") == "off":
            raise SchemaRefused(
                "WATCHWORD_DATABASE_URL: synchronous_commit is off, and a crash of the server would undo logouts that"
                " were answered; ALTER ROLE … SET synchronous_commit = on"
            )

    @staticmethod
    async def _make_pool(size: int, hosts: "Hosts") -> _Pool:
        connections = await asyncpg.create_pool(
            connect=hosts.connect,
            min_size=0,
            max_size=size,
            command_timeout=PATIENCE,
            reset=_keep_as_it_is,
            server_settings={"application_name": "watchword", **_ASKED_FOR},
        )
        return _Pool(connections, asyncio.Semaphore(size))

    def _begin_read(self, story: Story[T]) -> Awaitable[T]:
        return self._tell(story, self._pool)

    def _begin_watch(self, story: Story[T]) -> Awaitable[T]:
        return self._tell(story, self._watchers)

    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        return asyncio.ensure_future(self._tell_in_a_transaction(story))

    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        return asyncio.ensure_future(self._tell(story, self._pool))

    async def _tell_in_a_transaction(self, story: Story[T]) -> T:
        is_told = False

        async def whole(connection: "_PostgresqlConnection") -> T:
            nonlocal is_told
            async with connection.raw.transaction():
                result = await story(connection)
                connection.go_on()
                is_told = True
            return result

        try:
            return await self._tell(whole, self._pool)
        except Unavailable as fault:
            if is_told:
                raise Unconfirmed(f"{fault}; whether it was done is not known") from fault
            raise

    async def _tell(self, story: "Callable[[_PostgresqlConnection], Coroutine[Any, Any, T]]", pool: _Pool) -> T:
        """Run a story, and hear of it for PATIENCE seconds from now, the wait for a connection included.

        It is told in a task of its own, which opens its connection if need be and keeps it until the server has
        answered, whoever has left meanwhile. Were it cut, the server would go on with letting it in, or waiting for a
        lock, and the pool would open another: who opens and drops requests would take all connections that the server
        has.
        """
        with _translated():
            async with asyncio.timeout(PATIENCE):
                await pool.turns.acquire()
                caller = _Caller()
                telling = asyncio.create_task(_tell_to_the_end(story, caller, pool.connections))
                self._tellings.add(telling)
                telling.add_done_callback(partial(self._told, pool))
                try:
                    return await asyncio.shield(telling)
                finally:
                    caller.is_there = False

    def _told(self, pool: _Pool, telling: "asyncio.Task[Any]") -> None:
        pool.turns.release()
        self._tellings.discard(telling)
        if not telling.cancelled():
            telling.exception()  # its caller, if still there, tells

    async def _release(self) -> None:
        with suppress(TimeoutError):  # on which asyncpg cuts what is left
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(pool.connections.close() for pool in self._pools))
        if self._tellings:
            await asyncio.wait(self._tellings)


class _PostgresqlConnection:
    """A connection while one story is told on it; it is cut where the server does not answer within PATIENCE.

    Cut and not asked to stop: whether it would hear that, and how soon, is what nobody knows of a slow network.

    Attributes:
        raw: the driver's.
        is_cut: whether the server has taken too long.
    """

    def __init__(self, raw: Any, caller: _Caller) -> None:
        self.raw = raw
        self.is_cut = False
        self._caller = caller
        self._loop = asyncio.get_running_loop()
        self._asked_at = self._loop.time()
        self._looking = self._loop.call_later(PATIENCE, self._look)

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        self.go_on()
        rows: list[Row] = await self.raw.fetch(statement.numbered, *(values[name] for name in statement.names))
        return rows

    def go_on(self) -> None:
        """Let the server be asked for one thing more, which it has PATIENCE for.

        Raises:
            TimeoutError: nobody hears of it; who was told that nothing was done must be right, and others wait.
        """
        if not self._caller.is_there:
            raise TimeoutError
        self._asked_at = self._loop.time()

    def done(self) -> None:
        """Let nothing cut it any more."""
        self._looking.cancel()

    def _look(self) -> None:
        """Cut it, or look again when the server will have had its time for what it was asked last."""
        if self._asked_at + PATIENCE > self._loop.time():
            self._looking = self._loop.call_at(self._asked_at + PATIENCE, self._look)
        else:
            self.is_cut = True
            self.raw.terminate()


async def _tell_to_the_end(
    story: Callable[[_PostgresqlConnection], Coroutine[Any, Any, T]], caller: _Caller, pool: Any
) -> T:
    """Take a connection, which the pool opens within PATIENCE or not at all, run a story and give it back."""
    try:
        raw = await pool.acquire()
    except ValueError as fault:  # of what can be no host name, or no file's
        raise _unavailable(fault) from fault
    connection = _PostgresqlConnection(raw, caller)
    try:
        if not caller.is_there:
            raise TimeoutError
        return await story(connection)
    # AttributeError: asyncpg's, where the cut comes just as an answer has come that it would go on from.
    except (asyncpg.PostgresError, asyncpg.InterfaceError, AttributeError) as fault:
        if not connection.is_cut:
            raise
        raise TimeoutError from fault
    except asyncpg.InternalClientError:  # the driver has lost its place, as when the server gives up unasked
        raw.terminate()
        raise
    except asyncio.CancelledError:  # the loop ends
        raw.terminate()  # to give it back is to wait for the server, whose silence would become the error
        raise
    finally:
        connection.done()
        await pool.release(raw, timeout=PATIENCE)


class Hosts:
    """The servers that a URL names, of which the first that will do is taken.

    asyncpg has one time limit for all of them, so that one that says nothing would leave none to the next.

    Args:
        url: the setting.
        seconds: in which a connection is opened, whichever will do, or not at all.
    """

    def __init__(self, url: str, *, seconds: float) -> None:
        self._seconds = seconds
        self._urls = each_host(url)

    async def connect(self, _: None = None, **options: Any) -> Any:
        """Connect as asyncpg does, each host having its share of the seconds that are left.

        One that was silent is asked last from then on. One that refuses costs nothing, and keeps its place.

        Raises:
            asyncpg.TargetServerAttributeNotMatched: all are standbys.
            Exception: what asyncpg says of the last that is none.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        fault: Exception | None = None
        for left, url in zip(range(len(self._urls), 0, -1), self._urls.copy(), strict=True):
            try:
                return await asyncpg.connect(url, timeout=(end - loop.time()) / left, **options)
            except asyncpg.TargetServerAttributeNotMatched:
                continue  # a standby, as there should be; what is wrong with another says more
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as failed:
                fault = failed
                if isinstance(failed, (FileNotFoundError, PermissionError)) and (option := unread_file(url)):
                    fault = OSError(f"the file that {option} names cannot be read")
                if isinstance(failed, TimeoutError):
                    self._urls.remove(url)
                    self._urls.append(url)
        raise fault or asyncpg.TargetServerAttributeNotMatched


_SETTINGS: Final = Statement(  # with times in one unit, as SHOW has them not
    f"SELECT name, setting FROM pg_settings WHERE name IN {('synchronous_commit', *_ASKED_FOR)}"
)
_POOLERS: Final = "connect to PostgreSQL itself, or by a session pooler that hands on startup parameters"


async def _keep_as_it_is(_: object) -> None:
    """Skip asyncpg's reset, a round trip for each request: we leave no session state behind."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as fault:
        if fault.constraint_name in _ON_NUMBERS:
            raise Unavailable("the database gives a number that a row has; `watchword doctor` says more") from fault
        if isinstance(fault, asyncpg.NotNullViolationError):  # of a number again, or a column that is not ours
            wanting = f"{fault.table_name}.{fault.column_name}"
            raise Unavailable(f"the database has no value for {wanting}; `watchword doctor` says more") from fault
        raise
    except TimeoutError as fault:
        raise Unavailable(f"the database has not answered within {PATIENCE:g} s") from fault
    except asyncpg.TargetServerAttributeNotMatched as fault:
        raise Unavailable(
            "none of the hosts is what target_session_attrs asks for; are all of them standbys?"
        ) from fault
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as fault:
        raise _unavailable(fault) from fault


def _unavailable(fault: Exception) -> Unavailable:
    said, _, _ = str(fault).partition("\n")  # details and a hint follow
    return Unavailable(f"the database answers: {said or type(fault).__name__}")
