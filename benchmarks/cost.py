"""CPU for each request: ours beside an application that does nothing, both on one plain Hypercorn."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.peers import one_hypercorn
from benchmarks.phases import Bench, Figures, cpu_microseconds, guarded
from watchword.bench.engine import Request


def measure_cost(bench: Bench) -> Iterator[Figures]:
    """Round by round; `GET /me` beside a bare Quart route, `GET /forward-auth` beside a raw ASGI application."""
    instance = bench.work / "watchword"
    ours = one_hypercorn("watchword-alone", "watchword.asgi:create_app()", instance)
    quart = one_hypercorn("bare-quart", "bare_quart:app", instance)
    asgi = one_hypercorn("raw-asgi", "raw_asgi:app", instance)
    logins = [ours.login(number) for number in range(32)]
    bare = [Request("GET", "/bare")]
    with (
        ours.started(bench.work) as our_server,
        quart.started(bench.work) as bare_quart,
        asgi.started(bench.work) as raw,
    ):
        asked = guarded(bench, our_server, "/forward-auth", logins=logins)
        targets = {
            "bare Quart µs": (bare_quart, bare),
            "me µs": (our_server, guarded(bench, our_server, "/me", logins=logins)),
            "raw ASGI µs": (raw, bare),
            "raw headers µs": (raw, [replace(request, path="/headers") for request in asked]),
            "forward-auth µs": (our_server, asked),
        }
        for server, requests in targets.values():
            cpu_microseconds(bench, server, requests, seconds=bench.plan.cost)  # unused: it warms up
        for _ in range(bench.plan.cost_rounds):
            figures = {
                name: cpu_microseconds(bench, server, requests, seconds=bench.plan.cost)
                for name, (server, requests) in targets.items()
            }
            figures["me ÷ bare Quart"] = figures["me µs"] / figures["bare Quart µs"]
            figures["forward-auth ÷ raw ASGI"] = figures["forward-auth µs"] / figures["raw ASGI µs"]
            figures["forward-auth ÷ raw headers"] = figures["forward-auth µs"] / figures["raw headers µs"]
            yield figures
