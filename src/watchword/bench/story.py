"""What one run does: logins alone, guarded requests alone, then both at once.

The first two parts say what the service can do, the third what each kind of load does to the other.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, repeat
from typing import Final

from watchword.bench.engine import Request, Watcher, closed_loop, once, open_loop, seconds_to_wait
from watchword.bench.measurement import TRY_LATER, Outcome, Phase, generator_limits
from watchword.bench.target import Target, token_of
from watchword.bench.users import User

LOGINS_ALONE: Final = "logins alone"
GUARDED_ALONE: Final = "/me alone"
LOGINS_BESIDE: Final = "logins beside /me"
GUARDED_BESIDE: Final = "/me beside logins"

LOGIN_RETRIES: Final = 5
LOGIN_PATIENCE: Final = 10.0
"""The longest Retry-After, in seconds, that is waited for before a part begins."""

_SECONDS: Final = re.compile("[0-9]{1,10}")
"""A Retry-After that is repeated; any other may command the terminal, or fill it."""

_OK: Final = 200
_WRONG: Final = 401


class CannotBegin(Exception):
    """The service does not answer as it must before it can be loaded; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        target: the service.
        users: who logs in, in turn.
        clients: how many log in at the same time.
        rate: guarded requests a second.
        seconds: how long each of the three parts is.
    """

    target: Target
    users: Sequence[User]
    clients: int
    rate: float
    seconds: float


Audience = Callable[[str, float], Watcher]
"""Told the name and the length of each phase as it begins; what it returns is told each sample."""


async def run(plan: Plan, audience: Audience) -> list[Phase]:
    """Load a service.

    Returns:
        Four phases: logins alone and beside guarded requests, guarded requests alone and beside logins.

    Raises:
        CannotBegin: nothing listens, or the first user cannot log in, before anything is measured.
    """
    host, token = await _first_login(plan)
    logins = cycle([plan.target.login(user) for user in plan.users])

    async def log_in(name: str) -> Phase:
        watch = audience(name, plan.seconds)
        return await closed_loop(
            name,
            host=host,
            port=plan.target.port,
            requests=logins,
            clients=plan.clients,
            seconds=plan.seconds,
            watch=watch,
        )

    async def ask(name: str, token: str) -> Phase:
        requests: Iterator[Request] = repeat(plan.target.me(token))
        watch = audience(name, plan.seconds)
        return await open_loop(
            name,
            host=host,
            port=plan.target.port,
            requests=requests,
            rate=plan.rate,
            seconds=plan.seconds,
            watch=watch,
        )

    guarded_alone = await ask(GUARDED_ALONE, token)
    logins_alone = await log_in(LOGINS_ALONE)
    with suppress(CannotBegin):  # the third part shows that; it would be no reason to throw the first two away
        host, token = await _first_login(plan)  # the first token may be about to expire
    async with asyncio.TaskGroup() as both:
        logins_beside = both.create_task(log_in(LOGINS_BESIDE))
        guarded_beside = both.create_task(ask(GUARDED_BESIDE, token))
    return [logins_alone, logins_beside.result(), guarded_alone, guarded_beside.result()]


def remarks(plan: Plan, phases: Sequence[Phase]) -> list[str]:
    """What a reader of the numbers must know: sentences, or none."""
    sentences = []
    limits = generator_limits(phases)
    if limits:
        sentences.append(
            "The load generator itself was a limit, so the service does better than these numbers say. "
            f"{' '.join(limits)} Leave the machine to the two of them, or load from another one."
        )
    statuses = [sample.status for phase in phases for sample in phase.samples]
    if wrong := statuses.count(_WRONG):
        sentences.append(
            f"{wrong:,} requests were answered 401: were all users imported with these passwords, "
            "and does a token live as long as a part of the run?"
        )
    if lost := sum(Outcome.of(status) is Outcome.LOST for status in statuses):
        sentences.append(f"{lost:,} requests got no answer: the connection failed, or was closed before it came.")
    if len(plan.users) < plan.clients:
        sentences.append(
            f"{plan.clients} clients shared {len(plan.users)} users, so that one user logged in several times at once."
        )
    return sentences


async def _first_login(plan: Plan) -> tuple[str, str]:
    """The address that answers, and the first user's token."""
    target, user = plan.target, plan.users[0]
    address, status, headers, body = await _answer_to(target, target.login(user))
    for _ in range(LOGIN_RETRIES):
        wait = seconds_to_wait(headers.get("retry-after"))
        if status not in TRY_LATER or wait > LOGIN_PATIENCE:
            break
        await asyncio.sleep(wait)
        address, status, headers, body = await _answer_to(target, target.login(user))
    if status == _WRONG:
        raise CannotBegin(
            f"{user.username} cannot log in at {target.url}; were the users made with `watchword users import`?"
        )
    if status != _OK:
        told = headers.get("retry-after", "")
        later = f" and Retry-After: {told}" if _SECONDS.fullmatch(told) else ""
        raise CannotBegin(f"{target.url}/login answers {status}{later}, where 200 was expected")
    try:
        return address, token_of(body)
    except ValueError as fault:
        raise CannotBegin(f"{target.url}/login answers 200 with {fault}; is it Watchword?") from None


async def _answer_to(target: Target, request: Request) -> tuple[str, int, dict[str, str], bytes]:
    for address in target.addresses:
        try:
            return address, *await once(address, target.port, request)
        except OSError:
            continue
    raise CannotBegin(f"nothing answers at {target.url}; is the service running there?")
