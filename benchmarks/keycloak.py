"""Logins per core at the cost of a hash that Keycloak sizes its machines for."""

from collections.abc import Iterator
from typing import Final

from benchmarks.peers import login_as_json, ours, set_up
from benchmarks.people import write_import_file
from benchmarks.phases import Bench, Figures, measure_login, warm_up
from watchword.passwords import Parameters
from watchword.processors import cores

COST: Final = Parameters(memory_kib=7_168, passes=5)


def measure_at_keycloaks_cost(bench: Bench) -> Iterator[Figures]:
    """Round by round, ours alone."""
    program = ours(bench.work / "keycloak", HASH_MEMORY_KIB=str(COST.memory_kib), HASH_PASSES=str(COST.passes))
    file = write_import_file(bench.work / "keycloak.jsonl", users=bench.plan.users, parameters=COST)
    set_up(program, file)
    logins = [login_as_json(number) for number in range(bench.plan.users)]
    with program.started(bench.work) as server:
        warm_up(bench, server, logins)
        for _ in range(bench.plan.rounds):
            figures = measure_login(bench, server, logins, COST)
            yield {"login /s/core": figures["login /s"] / cores(), "login share": figures["login share"]}
