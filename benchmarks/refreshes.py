"""Refreshes: how many a core gives when each client exchanges its own token again and again, on either database.

A core's worth is a second of CPU time of Watchword's processes, for the load generator and PostgreSQL sit on the same
cores. What the database spends for each is told beside it.
"""

from collections.abc import Iterator

from benchmarks.growth import DatabaseUnderTest, durable_postgresql
from benchmarks.peers import Program, ours, set_up
from benchmarks.people import write_import_file
from benchmarks.phases import Bench, Figures
from benchmarks.processes import Server
from watchword.bench.measurement import nearest_rank

_CLIENTS = 16


def refresh_on_sqlite(bench: Bench) -> Iterator[Figures]:
    """Round by round, on SQLite."""
    yield from _refresh(bench, ours(bench.work / "refresh-sqlite"), None)


def refresh_on_postgresql(bench: Bench) -> Iterator[Figures]:
    """The same on PostgreSQL."""
    with durable_postgresql() as fresh, fresh() as database:
        yield from _refresh(bench, ours(bench.work / "refresh-postgresql", DATABASE_URL=database.url), database)


def _refresh(bench: Bench, program: Program, database: DatabaseUnderTest | None) -> Iterator[Figures]:
    set_up(program, write_import_file(bench.work / "refreshing.jsonl", users=_CLIENTS))
    with program.started(bench.work) as server:
        logins = [program.login(number) for number in range(_CLIENTS)]
        tokens = [answer["refresh_token"] for answer in bench.generator.answers(server.port, logins)]
        _, tokens = bench.generator.refreshes(server.port, tokens, seconds=bench.plan.cost)  # unused: it warms up
        for _ in range(bench.plan.rounds):
            figures, tokens = _round(bench, server, tokens, database)
            yield figures


def _round(
    bench: Bench, server: Server, tokens: list[str], database: DatabaseUnderTest | None
) -> tuple[Figures, list[str]]:
    spent, spent_by_database = server.cpu_seconds(), database.cpu_seconds() if database else 0.0
    seconds, tokens = bench.generator.refreshes(server.port, tokens, seconds=bench.plan.refresh)
    spent = server.cpu_seconds() - spent
    figures = {
        "refresh /s": len(seconds) / bench.plan.refresh,
        "refresh /s/core": len(seconds) / spent,
        "refresh p99 ms": 1000 * nearest_rank(sorted(seconds), 0.99),
    }
    if database is not None:
        figures["database µs/refresh"] = (database.cpu_seconds() - spent_by_database) / len(seconds) * 1e6
    return figures, tokens
