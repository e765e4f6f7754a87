"""A flood: one network sends ten times the logins that can be hashed, and people elsewhere log in meanwhile.

All passwords are right, or the throttle would stop the flood; so it is the queue for hashes that has to be fair.
"""

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import Final

from benchmarks.peers import ours, set_up
from benchmarks.people import PARAMETERS, write_import_file
from benchmarks.phases import Bench, Figures, warm_up
from benchmarks.processes import HOST
from watchword.bench.engine import Request
from watchword.bench.measurement import nearest_rank

TIMES_THE_LIMIT: Final = 10
_FLOODING: Final = IPv4Address("203.0.113.9")
_FIRST_OF_THE_OTHERS: Final = IPv4Address("10.0.0.0")


def measure_flood(bench: Bench) -> Iterator[Figures]:
    """Round by round, on two workers behind one proxy, which tells where each login comes from."""
    program = ours(bench.work / "flood", TRUSTED_PROXIES=HOST)
    set_up(program, write_import_file(bench.work / "flood.jsonl", users=bench.plan.users))
    logins = [program.login(number) for number in range(bench.plan.users)]
    half = len(logins) // 2
    flooding = [_sent_from(_FLOODING, login) for login in logins[:half]]
    others = [_sent_from(_FIRST_OF_THE_OTHERS + number, login) for number, login in enumerate(logins[half:])]
    with program.started(bench.work) as server:
        warm_up(bench, server, others)
        for _ in range(bench.plan.rounds):
            rate = TIMES_THE_LIMIT * bench.probe.just_now(PARAMETERS)
            flood, people = bench.generator.flood(server.port, flooding, others, rate=rate, seconds=bench.plan.flood)
            good = sorted(sample.seconds for sample in people.samples if sample.status == HTTPStatus.OK)
            yield {
                "flood /s": len(flood.samples) / bench.plan.flood,
                "flood let in /s": sum(each.status == HTTPStatus.OK for each in flood.samples) / bench.plan.flood,
                "others ok share": len(good) / len(people.samples),
                "others p99 s": nearest_rank(good, 0.99),
            }


def _sent_from(network: IPv4Address, login: Request) -> Request:
    return replace(login, headers=(*login.headers, ("X-Forwarded-For", str(network))))
