"""The load generator in a process of its own, so that its garbage and its clock disturb nobody else's."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from itertools import cycle
from multiprocessing import get_context
from typing import Any, Final, Self, TypeVar

import uvloop

from benchmarks.processes import HOST
from watchword.bench.engine import Phase, Request, closed_loop, once, open_loop
from watchword.bench.http import Answer, Line

T = TypeVar("T")

STEADY_RATE: Final = 100.0
"""Requests a second of a steady load."""

OTHERS_RATE: Final = 10.0
"""Logins a second of those who have nothing to do with a flood."""

_FLOODING_CONNECTIONS: Final = 256
_OTHER_CONNECTIONS: Final = 64
_LONGEST_BESIDE: Final = 600.0
_OK: Final = 200


class Generator:
    """Sends requests to ports of this machine; each method returns when its load has ended."""

    def __init__(self) -> None:
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def crowd(self, port: int, requests: Sequence[Request], *, clients: int, seconds: float) -> Phase:
        """Clients, each of whom sends its next request when it has the last answer, or when a refusal says."""
        return self._run(_crowd, port, requests, clients, seconds)

    def steady(self, port: int, requests: Sequence[Request], *, seconds: float) -> Phase:
        """So many requests a second, whether or not they are answered."""
        return self._run(_steady, port, requests, seconds)

    def both(
        self, port: int, crowd: Sequence[Request], steady: Sequence[Request], *, clients: int, seconds: float
    ) -> tuple[Phase, Phase]:
        """The two at once."""
        return self._run(_both, port, crowd, steady, clients, seconds)

    def flood(
        self, port: int, flooding: Sequence[Request], others: Sequence[Request], *, rate: float, seconds: float
    ) -> tuple[Phase, Phase]:
        """Requests at a high rate, and others at a low one, whether or not they are answered."""
        return self._run(_flood, port, flooding, others, rate, seconds)

    def answers(self, port: int, requests: Iterable[Request]) -> list[Any]:
        """What JSON comes back for each of a few requests.

        Raises:
            RuntimeError: one was not answered with a 200.
        """
        return self._run(_answers, port, list(requests))

    def one_by_one(
        self, port: int, requests: Iterable[Request], *, others: Sequence[Request] = (), rate: float = 0.0
    ) -> list[tuple[float, Answer]]:
        """Requests on one connection, each when the last is answered, while others are sent at a rate.

        Returns:
            The seconds that each took, and its answer.

        Raises:
            RuntimeError: one of the others was not answered with a 200.
        """
        return self._run(_one_by_one, port, list(requests), others, rate)

    def refreshes(self, port: int, tokens: Sequence[str], *, seconds: float) -> tuple[list[float], list[str]]:
        """Clients, each of whom exchanges its refresh token for the next one as fast as it is answered.

        Returns:
            How long each exchange took, in seconds, and the tokens that the clients have in the end.

        Raises:
            RuntimeError: one was refused.
        """
        return self._run(_refreshes, port, list(tokens), seconds)

    def _run(self, load: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        return self._process.submit(_on_a_loop, load, arguments).result()


def _on_a_loop(load: Callable[..., Coroutine[Any, Any, T]], arguments: Sequence[object]) -> T:
    return uvloop.run(load(*arguments))


async def _crowd(port: int, requests: Sequence[Request], clients: int, seconds: float) -> Phase:
    return await closed_loop("crowd", host=HOST, port=port, requests=cycle(requests), clients=clients, seconds=seconds)


async def _steady(port: int, requests: Sequence[Request], seconds: float) -> Phase:
    return await open_loop("steady", host=HOST, port=port, requests=cycle(requests), rate=STEADY_RATE, seconds=seconds)


async def _both(
    port: int, crowd: Sequence[Request], steady: Sequence[Request], clients: int, seconds: float
) -> tuple[Phase, Phase]:
    return await asyncio.gather(_crowd(port, crowd, clients, seconds), _steady(port, steady, seconds))


async def _one_by_one(
    port: int, requests: Sequence[Request], others: Sequence[Request], rate: float
) -> list[tuple[float, Answer]]:
    line = Line(HOST, port)
    answered = []
    async with _beside(port, others, rate):
        try:
            for request in requests:
                started = time.perf_counter()
                answer = await line.exchange(request)
                answered.append((time.perf_counter() - started, answer))
        finally:
            line.cut()
    return answered


@asynccontextmanager
async def _beside(port: int, requests: Sequence[Request], rate: float) -> AsyncIterator[None]:
    statuses: Counter[int] = Counter()
    load = asyncio.create_task(
        open_loop(
            "others",
            host=HOST,
            port=port,
            requests=cycle(requests),
            rate=rate,
            seconds=_LONGEST_BESIDE,
            watch=lambda sample: statuses.update([sample.status]),
        )
    )
    try:
        yield
    finally:
        load.cancel()
        await asyncio.wait([load])
    if set(statuses) - {_OK}:
        raise RuntimeError(f"the others were answered with {dict(statuses)}")


async def _flood(
    port: int, flooding: Sequence[Request], others: Sequence[Request], rate: float, seconds: float
) -> tuple[Phase, Phase]:
    def at(name: str, requests: Sequence[Request], rate: float, connections: int) -> Coroutine[Any, Any, Phase]:
        sent = cycle(requests)
        return open_loop(name, host=HOST, port=port, requests=sent, rate=rate, seconds=seconds, connections=connections)

    return await asyncio.gather(
        at("flood", flooding, rate, _FLOODING_CONNECTIONS), at("others", others, OTHERS_RATE, _OTHER_CONNECTIONS)
    )


async def _refreshes(port: int, tokens: list[str], seconds: float) -> tuple[list[float], list[str]]:
    ends = time.perf_counter() + seconds
    taken: list[float] = []

    async def client(token: str) -> str:
        line = Line(HOST, port)
        try:
            while (started := time.perf_counter()) < ends:
                body = json.dumps({"refresh_token": token}).encode()
                request = Request("POST", "/refresh", (("Content-Type", "application/json"),), body)
                answer = await line.exchange(request)
                if answer.status != _OK:
                    raise RuntimeError(f"a refresh was answered with {answer.status}: {answer.body[:200]!r}")
                taken.append(time.perf_counter() - started)
                token = json.loads(answer.body)["refresh_token"]
        finally:
            line.cut()
        return token

    return taken, await asyncio.gather(*map(client, tokens))


async def _answers(port: int, requests: Sequence[Request]) -> list[Any]:
    found = []
    for request in requests:
        status, _, body = await once(HOST, port, request)
        if status != _OK:
            raise RuntimeError(f"{request.method} {request.path} was answered with {status}: {body[:200]!r}")
        found.append(json.loads(body))
    return found
