"""CPU for each request: ours beside an application that does nothing, both on one plain Hypercorn."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.peers import one_hypercorn, service_token
from benchmarks.phases import Bench, Figures, cpu_microseconds, guarded
from watchword.bench.engine import Request


def measure_cost(bench: Bench) -> Iterator[Figures]:
    """Round by round; each of ours beside an application that does nothing."""
    instance = bench.work / "watchword"
    # The address that its tokens name is the one at which the application with a guard finds it.
    ours = one_hypercorn("watchword-alone", "watchword.asgi:create_app()", instance, ISSUER="http://127.0.0.1:{port}")
    quart = one_hypercorn("bare-quart", "bare_quart:app", instance)
    asgi = one_hypercorn("raw-asgi", "raw_asgi:app", instance)
    token = service_token(instance)
    logins = [ours.login(number) for number in range(32)]
    bare = [Request("GET", "/bare")]
    with ExitStack() as servers:
        our_server, bare_quart, raw = (
            servers.enter_context(program.started(bench.work)) for program in (ours, quart, asgi)
        )
        issuer = f"http://127.0.0.1:{our_server.port}"
        elsewhere = servers.enter_context(
            one_hypercorn("guarded-quart", "guarded_quart:app", instance, ISSUER=issuer, SERVICE_TOKEN=token).started(
                bench.work
            )
        )
        asked = guarded(bench, our_server, "/forward-auth", logins=logins)
        targets = {
            "bare Quart µs": (bare_quart, bare),
            "me µs": (our_server, [replace(request, path="/me") for request in asked]),
            "raw ASGI µs": (raw, bare),
            "raw headers µs": (raw, [replace(request, path="/headers") for request in asked]),
            "forward-auth µs": (our_server, asked),
            "elsewhere bare µs": (elsewhere, [replace(request, path="/bare") for request in asked]),
            "elsewhere guarded µs": (elsewhere, [replace(request, path="/guarded") for request in asked]),
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
            figures["guarded ÷ bare"] = figures["elsewhere guarded µs"] / figures["elsewhere bare µs"]
            yield figures
