"""What is measured of a login service: each phase turns a running program into figures.

A round measures every program once, so that a slow minute of the machine meets all of them and not one. Rates count
as shares of the raw limit, which is probed just before and just after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.load import Generator
from benchmarks.peers import Program
from benchmarks.people import PARAMETERS
from benchmarks.plan import Plan
from benchmarks.probe import Probe
from benchmarks.processes import Server
from watchword.bench.engine import Phase, Request
from watchword.bench.measurement import Summary, Times, summarise
from watchword.passwords import Parameters

T = TypeVar("T")

Figures = dict[str, float]
"""One round's figures of one program by name; the name ends with the unit, if there is one."""

LOGIN_CLIENTS: Final = 32
OVERLOAD_CLIENTS: Final = 256

_OK: Final = 200
_FAULT: Final = 500
_BEARERS: Final = 32
_ME_CLIENTS: Final = 8
_WARM_UP_SECONDS: Final = 0.5
_NONE: Final = Times(0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs at hand."""

    plan: Plan
    work: Path
    generator: Generator
    probe: Probe

    def within_limits(self, load: Callable[[], T], parameters: Parameters = PARAMETERS) -> tuple[T, float]:
        """Run a load; return with what it gave the raw limit around it."""
        before = self.probe.just_now(parameters)
        result = load()
        return result, (before + self.probe.limit(parameters)) / 2


def measure_program(bench: Bench, program: Program) -> Figures:
    """One round of one program: started, sent everything, stopped."""
    logins = [program.login(number) for number in range(bench.plan.users)]
    with program.started(bench.work) as server:
        bearers = guarded(bench, server, program.me, logins=logins[:_BEARERS], token=program.token)
        warm_up(bench, server, logins)
        return {
            "start s": server.start_seconds,
            **measure_login(bench, server, logins),
            "memory MB": server.pss_bytes() / 1e6,
            "me µs": cpu_microseconds(bench, server, bearers, seconds=bench.plan.me),
            **_measure_mixed(bench, server, logins, bearers),
            **_measure_overload(bench, server, logins),
        }


def measure_login(
    bench: Bench, server: Server, logins: Sequence[Request], parameters: Parameters = PARAMETERS
) -> Figures:
    """32 clients log in as fast as they are answered."""

    def load() -> Phase:
        return bench.generator.crowd(server.port, logins, clients=LOGIN_CLIENTS, seconds=bench.plan.login)

    phase, limit = bench.within_limits(load, parameters)
    login = summarise(phase)
    return {
        "login limit /s": limit,
        "login /s": login.rate,
        "login share": login.rate / limit,
        "login p99 ms": _milliseconds(login.times).p99,
        "login generator share": login.generator_cpu,
    }


def cpu_microseconds(bench: Bench, server: Server, requests: Sequence[Request], *, seconds: float) -> float:
    """CPU of the server's processes for each request, with a few clients that keep their connections.

    Raises:
        RuntimeError: not every answer was a 200.
    """
    before = server.cpu_seconds()
    phase = bench.generator.crowd(server.port, requests, clients=_ME_CLIENTS, seconds=seconds)
    spent = server.cpu_seconds() - before
    if any(sample.status != _OK for sample in phase.samples):
        raise RuntimeError(f"{requests[0].path} answers {summarise(phase).statuses}")
    return spent / len(phase.samples) * 1e6


def guarded(
    bench: Bench, server: Server, path: str, *, logins: Sequence[Request], token: str = "token"
) -> list[Request]:
    """Requests of a guarded path, each by a bearer who logged in for it."""
    tokens = [answer[token] for answer in bench.generator.answers(server.port, logins)]
    return [Request("GET", path, (("Authorization", f"Bearer {token}"),)) for token in tokens]


def warm_up(bench: Bench, server: Server, logins: Sequence[Request]) -> None:
    """A moment of logins, so that every worker has its threads and connections."""
    bench.generator.crowd(server.port, logins, clients=LOGIN_CLIENTS, seconds=_WARM_UP_SECONDS)


def _measure_mixed(bench: Bench, server: Server, logins: Sequence[Request], bearers: Sequence[Request]) -> Figures:
    """Steady guarded requests, alone and then while 32 clients log in."""

    def load() -> tuple[Phase, Phase]:
        return bench.generator.both(server.port, logins, bearers, clients=LOGIN_CLIENTS, seconds=bench.plan.mixed)

    idle = summarise(bench.generator.steady(server.port, bearers, seconds=bench.plan.idle))
    (crowd, steady), limit = bench.within_limits(load)
    login, me = summarise(crowd), summarise(steady)
    idle_times, times = _milliseconds(idle.times), _milliseconds(me.times)
    return {
        "idle p50 ms": idle_times.p50,
        "idle p99 ms": idle_times.p99,
        "mixed p50 ms": times.p50,
        "mixed p99 ms": times.p99,
        "mixed max ms": times.max,
        "mixed p99 ÷ idle": times.p99 / idle_times.p99 if idle_times.p99 else 0.0,
        "mixed ok share": _ok_share(me),
        "mixed login share": login.rate / limit,
        "mixed late ms": me.late * 1000,
        "mixed generator share": me.generator_cpu,
    }


def _measure_overload(bench: Bench, server: Server, logins: Sequence[Request]) -> Figures:
    """256 clients log in, far more than can be served."""

    def load() -> Phase:
        return bench.generator.crowd(server.port, logins, clients=OVERLOAD_CLIENTS, seconds=bench.plan.overload)

    phase, limit = bench.within_limits(load)
    overload = summarise(phase)
    return {
        "overload good share": overload.goodput / limit,
        "overload refused p99 ms": _milliseconds(overload.refusals).p99,
        "overload retried p99 s": (overload.over_retries or _NONE).p99,
        "overload unfinished": overload.unfinished,
        "overload faults": overload.statuses.get(_FAULT, 0),
        "overload unanswered": overload.statuses.get(0, 0),
        "overload generator share": overload.generator_cpu,
    }


def _ok_share(summary: Summary) -> float:
    return summary.statuses.get(_OK, 0) / max(1, sum(summary.statuses.values()))


def _milliseconds(times: Times | None) -> Times:
    times = times or _NONE
    return Times(times.count, *(1000 * seconds for seconds in (times.p50, times.p90, times.p99, times.max)))
