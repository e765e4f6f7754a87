"""Clients that do what clients do, for as long as a test lets them, and note every answer.

Each logs in, asks who it is, refreshes, and logs out, again and again; what is refused for now is tried again.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.builders import PASSWORD
from tests.servers import Server
from watchword.bench.http import Answer, Line, Request

LOST = 0
"""The status of a request that got no answer."""
_PAUSE = 0.02
_SECONDS = 20.0


Lines = list[Line]
"""To services that are as good as each other; the first that listens is asked, as a proxy in front of them does."""


class Seen(NamedTuple):
    """One answer.

    Attributes:
        at: when it came, on the monotonic clock.
        what: login, me, refresh or logout; health and guarded are what the onlookers ask.
        status: of the answer.
        seconds: that it took.
        retry_after: what it said of another try.
        code: the stable word of an error, or why there was no answer.
    """

    at: float
    what: str
    status: int
    seconds: float
    retry_after: str | None
    code: str | None


class Load:
    """What clients do to some services, and what they have seen.

    Attributes:
        seen: all answers in their order.
    """

    def __init__(self, *servers: Server, username: str = "alice") -> None:
        self._servers = servers
        self._username = username
        self.seen: list[Seen] = []

    @asynccontextmanager
    async def running(self, clients: int) -> AsyncIterator["Load"]:
        """Let so many clients go about their business meanwhile, and one for each service look whether it is there."""
        tasks = [asyncio.create_task(self._client(number)) for number in range(clients)]
        tasks += [asyncio.create_task(self._onlooker(number)) for number in range(len(self._servers))]
        try:
            yield self
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def between(self, start: float, end: float = float("inf")) -> list[Seen]:
        """What was asked after a time and answered before another."""
        return [each for each in self.seen if each.at - each.seconds >= start and each.at <= end]

    async def until(self, condition: Callable[[list[Seen]], bool], *, since: float, seconds: float = 30.0) -> float:
        """Wait for something to have been seen since a time; return the seconds that this took."""
        deadline = time.monotonic() + seconds
        while not condition(self.between(since)):
            assert time.monotonic() < deadline, counts(self.between(since))
            await asyncio.sleep(_PAUSE)
        return time.monotonic() - since

    async def _client(self, number: int) -> None:
        line = self._lines(number)
        while True:
            given = await self._insist(line, "login", login(self._username))
            for _ in range(3):
                await self._once(line, "me", bearing("GET", "/me", given["token"]))
                body = {"refresh_token": given["refresh_token"]}
                given = await self._insist(line, "refresh", posting("/refresh", body), given)
                await asyncio.sleep(_PAUSE)
            await self._once(line, "logout", bearing("POST", "/logout", given["token"]))

    async def _onlooker(self, number: int) -> None:
        line = self._lines(number)
        while True:
            given = await self._insist(line, "login", login(self._username))
            until = time.monotonic() + given["expires_in"] / 2
            while time.monotonic() < until:
                await self._once(line, "health", Request("GET", "/healthz"))
                await self._once(line, "guarded", bearing("GET", "/me", given["token"]))
                await asyncio.sleep(_PAUSE)

    async def once(self, what: str, request: Request, line: Line) -> int:
        """Ask one thing, note the answer, return its status."""
        answer = await self._once([line], what, request)
        return LOST if answer is None else answer.status

    def _lines(self, number: int) -> Lines:
        """A client's lines to the services, to each in turn first."""
        turn = number % len(self._servers)
        return [Line(*server.address) for server in (*self._servers[turn:], *self._servers[:turn])]

    async def _insist(self, line: Lines, what: str, request: Request, otherwise: Any = None) -> Any:
        """Ask until the answer is final."""
        while True:
            answer = await self._once(line, what, request)
            if answer is not None and answer.status == 200:
                return json.loads(answer.body)
            if answer is not None and answer.status < 500 and otherwise is not None:
                return otherwise
            await asyncio.sleep(5 * _PAUSE)

    async def _once(self, line: Lines, what: str, request: Request) -> Answer | None:
        started = time.monotonic()
        answer = None
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await _exchange(line, request)
        except OSError as fault:  # TimeoutError is one
            self._note(started, what, LOST, code=repr(fault))
            await asyncio.sleep(_PAUSE)
        else:
            code = json.loads(answer.body)["code"] if answer.status >= 400 else None
            self._note(started, what, answer.status, answer.header("retry-after"), code)
        return answer

    def _note(
        self, started: float, what: str, status: int, retry_after: str | None = None, code: str | None = None
    ) -> None:
        at = time.monotonic()
        self.seen.append(Seen(at, what, status, at - started, retry_after, code))


async def _exchange(lines: Lines, request: Request) -> Answer:
    for line in lines[:-1]:
        try:
            return await line.exchange(request)
        except ConnectionRefusedError:  # nothing was sent
            continue
    return await lines[-1].exchange(request)


def posting(path: str, body: dict[str, str]) -> Request:
    """A POST of JSON."""
    return Request("POST", path, (("Content-Type", "application/json"),), json.dumps(body).encode())


def bearing(method: str, path: str, token: str) -> Request:
    """A request with a token."""
    return Request(method, path, (("Authorization", f"Bearer {token}"),))


def login(username: str = "alice", password: str = PASSWORD) -> Request:
    """A login."""
    return posting("/login", {"username": username, "password": password})


def counts(seen: list[Seen]) -> dict[str, Counter[int]]:
    """How often each status came, by what was asked."""
    found: dict[str, Counter[int]] = {}
    for each in seen:
        found.setdefault(each.what, Counter())[each.status] += 1
    return found


def statuses(seen: list[Seen], *what: str) -> set[int]:
    """The statuses that came."""
    return {each.status for each in seen if not what or each.what in what}


def slowest(seen: list[Seen]) -> float:
    """The seconds that the slowest took."""
    return max((each.seconds for each in seen), default=0.0)


def check_refusals(seen: list[Seen]) -> None:
    """See that nobody was told anything wrong: there are good answers, and 503 with Retry-After, and nothing else."""
    assert statuses(seen) <= {200, 204, 503}, counts(seen)
    for each in seen:
        if each.status == 503:
            assert each.code in {"unavailable", "overloaded"}, each
            assert int(each.retry_after or 0) >= 1, each


def tell(text: str) -> None:
    """Show a figure for the page on reliability, under ``pytest -s``."""
    sys.stdout.write(f"\n{text}")


def told(what: str, seen: list[Seen]) -> None:
    """Show what was seen."""
    for kind, found in counts(seen).items():
        ordered = sorted(1000 * each.seconds for each in seen if each.what == kind)
        middle, late = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
        tell(f"{what}: {kind} {dict(found)} median {middle:.0f} ms, p99 {late:.0f} ms, most {ordered[-1]:.0f} ms")


def all_work(seen: list[Seen]) -> bool:
    """Whether each kind of request has been answered well, an onlooker's too: it must be in before anything is away."""
    good = {each.what for each in seen if each.status in {200, 204}}
    return good >= {"login", "me", "refresh", "logout", "guarded"}
