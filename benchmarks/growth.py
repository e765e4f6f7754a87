"""Growth: logins with a multitude of users beside logins with few, and what the database writes for each login.

The two take many short turns, and each turn is a life of its own: started, measured, stopped, with the other not there.
Two servers that are the same in everything differ by up to a fifth for as long as they live, by the memory that their
hash threads were given, and the one that is started first is mostly the faster.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.peers import Program, ours, set_up
from benchmarks.people import write_import_file
from benchmarks.phases import LOGIN_CLIENTS, Bench, Figures, warm_up
from benchmarks.processes import cpu_seconds
from tests.postgresql import fresh_database, postgresql
from watchword.bench.engine import Request
from watchword.bench.measurement import summarise

_OK: Final = 200

# The server of the tests forgets what a crash would cost; this one is as durable as PostgreSQL comes.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class DatabaseUnderTest:
    """A database of a PostgreSQL server that does nothing else meanwhile."""

    url: str

    def wal_bytes(self) -> int:
        """What the server has written to its log so far."""
        return int(_query(self.url, "SELECT pg_current_wal_lsn() - '0/0'"))

    def cpu_seconds(self) -> float:
        """User and system time of the server's processes so far."""
        postmaster = Path(_query(self.url, "SHOW data_directory")) / "postmaster.pid"
        return cpu_seconds(int(postmaster.read_text().split()[0]))


@dataclass(frozen=True, slots=True)
class _Instance:
    program: Program
    users: int
    database: DatabaseUnderTest | None = None


def grow_on_sqlite(bench: Bench) -> Iterator[Figures]:
    """Turn by turn, on SQLite."""
    few = _Instance(ours(bench.work / "sqlite-few"), bench.plan.users)
    many = _Instance(ours(bench.work / "sqlite-many"), bench.plan.multitude)
    yield from _grow(bench, few, many)


def grow_on_postgresql(bench: Bench) -> Iterator[Figures]:
    """The same on PostgreSQL, with what a login costs the server."""

    def instance(name: str, database: DatabaseUnderTest, users: int) -> _Instance:
        return _Instance(ours(bench.work / f"postgresql-{name}", DATABASE_URL=database.url), users, database)

    with durable_postgresql() as fresh, fresh() as few, fresh() as many:
        yield from _grow(bench, instance("few", few, bench.plan.users), instance("many", many, bench.plan.multitude))


@contextmanager
def durable_postgresql() -> Iterator[Callable[[], AbstractContextManager[DatabaseUnderTest]]]:
    """A server that forgets nothing; what is yielded makes a new database on it."""

    @contextmanager
    def fresh() -> Iterator[DatabaseUnderTest]:
        with fresh_database(server) as url:
            yield DatabaseUnderTest(url)

    with postgresql() as server:
        for setting in _DURABLE:
            _query(server, f"ALTER SYSTEM SET {setting} = on")
        _query(server, "SELECT pg_reload_conf()")
        yield fresh


def _grow(bench: Bench, few: _Instance, many: _Instance) -> Iterator[Figures]:
    _import(bench, few)
    seconds = _import(bench, many)
    yield {"import s": seconds, "import users/s": many.users / seconds}
    instances = [few, many]
    for turn in range(1, bench.plan.growth_turns + 1):
        instances.reverse()  # so that what a first or a second finds is found by both
        found, limit = bench.within_limits(partial(_take_turns, bench, instances, turn=turn))
        yield {
            "few login share": found[few.users]["login /s"] / limit,
            "many login share": found[many.users]["login /s"] / limit,
            "many ÷ few": found[many.users]["login /s"] / found[few.users]["login /s"],
            **{name: value for name, value in found[many.users].items() if name.startswith("database")},
        }


def _take_turns(bench: Bench, instances: Sequence[_Instance], *, turn: int) -> dict[int, Figures]:
    """What one turn finds of each, by its number of users."""
    return {instance.users: _log_in(bench, instance, turn=turn) for instance in instances}


def _import(bench: Bench, instance: _Instance) -> float:
    file = write_import_file(bench.work / "users.jsonl", users=instance.users)
    seconds = set_up(instance.program, file)
    file.unlink()
    if instance.database:
        # As after every large import, so that it does not come in the midst of a measurement.
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            _query(instance.database.url, statement)
    return seconds


def _log_in(bench: Bench, instance: _Instance, *, turn: int) -> Figures:
    database, logins = instance.database, _logins(bench, instance, turn=turn)
    with instance.program.started(bench.work) as server:
        warm_up(bench, server, logins)
        bytes_before, cpu_before = (database.wal_bytes(), database.cpu_seconds()) if database else (0, 0.0)
        login = summarise(bench.generator.crowd(server.port, logins, clients=LOGIN_CLIENTS, seconds=bench.plan.growth))
        figures = {"login /s": login.rate}
        if database:
            figures["database WAL bytes/login"] = (database.wal_bytes() - bytes_before) / login.statuses[_OK]
            figures["database µs/login"] = (database.cpu_seconds() - cpu_before) / login.statuses[_OK] * 1e6
    return figures


def _logins(bench: Bench, instance: _Instance, *, turn: int) -> Sequence[Request]:
    """As many accounts of the many as of the few, spread over all, and others in each turn if there are others."""
    every = instance.users // bench.plan.users
    return [instance.program.login(number * every + turn % every) for number in range(bench.plan.users)]


def _query(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())
