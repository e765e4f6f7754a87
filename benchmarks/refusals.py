"""Refused logins: whether an answer's time or words tell why, and so whether there is such an account.

They are sent one at a time on one connection, the reasons in an order of chance, so that a slow minute of the machine
meets all of them. Each is the first at its account and from its network, so that the throttle has seen as much of one
as of another. Those that it refuses are measured apart: at accounts that are there, and at names that nobody has.
Then all but those once more, while others log in at half the rate that the machine can hash at.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address
from itertools import count
from math import ceil
from pathlib import Path
from random import Random  # noqa: TID251  # seeded, so that a run can be had again
from statistics import median
from typing import Final, TypeVar

from benchmarks.auc import Auc
from benchmarks.peers import ours, set_up
from benchmarks.people import PASSWORD, username, write_import_file
from benchmarks.phases import Bench, Figures
from benchmarks.processes import HOST, Server
from watchword.bench.engine import Request
from watchword.limits import STRANGERS
from watchword.settings import DATABASE_FILE

T = TypeVar("T")

WRONG: Final = "wrong password"
UNKNOWN: Final = "unknown name"
DISABLED: Final = "disabled, right password"
THROTTLED: Final = "throttled, wrong password"
THROTTLED_UNKNOWN: Final = "throttled, unknown name"

FURTHEST: Final = "furthest AUC from 0.5"
"""The figure that counts: how far the area is from chance that tells most."""

_DELETE: Final = "DELETE FROM users WHERE canonical_name = :name"
_DISABLE: Final = "UPDATE users SET disabled_at = 1 WHERE canonical_name = :name"
_STORE: Final = "UPDATE users SET password_hash = :stored WHERE canonical_name = :name"

# Nobody's hash: where every password is wrong, it costs what another of its parameters does.
_ARGON2ID: Final = f"$argon2id$v=19$m={{}},t={{}},p=1$c2FsdHNhbHRzYWx0c2FsdA${'c' * 43}"

_STATES: Final[Mapping[str, tuple[str, str | None]]] = {
    UNKNOWN: (_DELETE, None),
    DISABLED: (_DISABLE, None),
    "no password": (_STORE, None),
    "hash that was cut": (_STORE, _ARGON2ID.format(19_456, 2)[:-1]),
    "hash of m=12288, t=3": (_STORE, _ARGON2ID.format(12_288, 3)),
    "hash of m=7168, t=1": (_STORE, _ARGON2ID.format(7_168, 1)),
    "PBKDF2 of 10,000 rounds": (_STORE, f"pbkdf2:sha256:10000$salt${'c' * 64}"),
    THROTTLED_UNKNOWN: (_DELETE, None),
}
"""What brings an imported account into the state for which a login is refused, and the hash that it has then."""

_OF_THE_THROTTLE: Final = (THROTTLED, THROTTLED_UNKNOWN)
_OTHERS: Final = (WRONG, *(reason for reason in _STATES if reason not in _OF_THE_THROTTLE))

_AT_HALF_LOAD: Final = "{}, at half load"

REASONS: Final = (*_OTHERS, *_OF_THE_THROTTLE, *map(_AT_HALF_LOAD.format, _OTHERS))
"""Each reference before those that are held against it."""

_SEED: Final = 1
_ACCOUNTS_TO_CLOSE: Final = 8
"""For each of the throttle's reasons; few enough that the first is still closed when the last login is answered."""
_CROWD: Final = 32
"""Accounts that others log in to meanwhile."""
_OTHER_PASSWORD: Final = PASSWORD[::-1]
_FIRST_NETWORK: Final = IPv4Address("10.0.0.0")


@dataclass(frozen=True, slots=True)
class _Account:
    number: int
    reason: str

    def login(self, network: IPv4Address) -> Request:
        password = PASSWORD if self.reason == DISABLED else _OTHER_PASSWORD
        body = json.dumps({"username": username(self.number), "password": password}).encode()
        headers = (("Content-Type", "application/json"), ("X-Forwarded-For", str(network)))
        return Request("POST", "/login", headers, body)


def measure_refusals(bench: Bench) -> Iterator[Figures]:
    """Once, as an area over many samples says more than the middle one of areas over fewer."""
    random = Random(_SEED)  # noqa: S311
    numbers = count()

    def accounts(reasons: Sequence[str], turns: int) -> list[_Account]:
        return [_Account(next(numbers), reason) for reason in _in_turns(reasons, turns, random)]

    to_close = accounts(_OF_THE_THROTTLE, _ACCOUNTS_TO_CLOSE)
    # The reference comes twice in a turn, as its samples are in every comparison.
    idle, busy = (accounts((WRONG, *_OTHERS), bench.plan.refusals) for _ in range(2))
    refused = [*to_close, *idle, *busy]
    program = ours(bench.work / "refusals", workers=1, TRUSTED_PROXIES=HOST)
    set_up(program, write_import_file(bench.work / "refused.jsonl", users=len(refused) + _CROWD))
    _bring_into_states(bench.work / "refusals" / DATABASE_FILE, refused)
    crowd = [program.login(len(refused) + number) for number in range(_CROWD)]
    with program.started(bench.work) as server:
        seconds = partial(_seconds, bench, server, map(_FIRST_NETWORK.__add__, count()))
        seconds(_in_turns(to_close, STRANGERS.free, random), HTTPStatus.UNAUTHORIZED)  # unused: it warms up, and closes
        turns = ceil(bench.plan.refusals / _ACCOUNTS_TO_CLOSE)
        by_throttle = seconds(_in_turns(to_close, turns, random), HTTPStatus.TOO_MANY_REQUESTS)
        by_password = seconds(idle, HTTPStatus.UNAUTHORIZED)
        half = bench.probe.limit() / 2
        at_half_load = seconds(busy, HTTPStatus.UNAUTHORIZED, others=crowd, rate=half)
    yield compare(
        {
            WRONG: by_password,
            THROTTLED: by_throttle,
            _AT_HALF_LOAD.format(WRONG): {_AT_HALF_LOAD.format(each): taken for each, taken in at_half_load.items()},
        }
    )


def compare(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Figures:
    """What the times tell.

    Args:
        measured: seconds by reason, grouped by the reason that the others of the group are held against.
    """
    figures: Figures = {}
    areas = []
    for reference, seconds in measured.items():
        usual = median(seconds[reference])
        for reason, taken in seconds.items():
            figures[f"{reason} ms"] = 1000 * median(taken)
            if reason != reference:
                areas.append(area := Auc.of(taken, seconds[reference]))
                figures[f"{reason} ÷ reference"] = median(taken) / usual
                figures[f"{reason} AUC"] = area.area
                figures[f"{reason} AUC low"] = area.low
                figures[f"{reason} AUC high"] = area.high
    return figures | {FURTHEST: max(area.off for area in areas)}


def _in_turns(things: Sequence[T], turns: int, random: Random) -> list[T]:
    return [thing for _ in range(turns) for thing in random.sample(things, len(things))]


def _bring_into_states(database: Path, accounts: Iterable[_Account]) -> None:
    """Change what was imported, where a wrong password is not the whole reason.

    Raises:
        RuntimeError: an account was not there.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        for account in accounts:
            if account.reason in _STATES:
                statement, stored = _STATES[account.reason]
                changed = connection.execute(statement, {"name": username(account.number), "stored": stored})
                if changed.rowcount != 1:
                    raise RuntimeError(f"there is no {username(account.number)}")


def _seconds(
    bench: Bench,
    server: Server,
    networks: Iterator[IPv4Address],
    logins: Sequence[_Account],
    status: HTTPStatus,
    *,
    others: Sequence[Request] = (),
    rate: float = 0.0,
) -> Mapping[str, Sequence[float]]:
    """How long each login took, by its reason, perhaps beside others.

    Raises:
        RuntimeError: they were not all refused with this status and in the same words.
    """
    requests = [account.login(next(networks)) for account in logins]
    seconds = defaultdict(list)
    said = set()
    answered = bench.generator.one_by_one(server.port, requests, others=others, rate=rate)
    for account, (taken, answer) in zip(logins, answered, strict=True):
        seconds[account.reason].append(taken)
        said.add((answer.status, answer.body.replace((answer.header("x-request-id") or "?").encode(), b"")))
    if len(said) != 1 or {told for told, _ in said} != {status}:
        raise RuntimeError(f"logins should all be refused with {status.value} and in the same words, and were: {said}")
    return seconds
