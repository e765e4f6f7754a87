"""How much of everything a run measures; in seconds where nothing else is said."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        rounds: how often each program is measured, in number.
        users: of each program, in number.
        multitude: the users that growth is measured with, beside ``users``, in number.
        probe: of each look at the raw limit.
        login: 32 clients that log in.
        idle: steady guarded requests, with nothing beside them.
        me: guarded requests as fast as they are answered.
        mixed: steady guarded requests while 32 clients log in.
        overload: 256 clients that log in.
        cost_rounds: how often the CPU of a request is measured, in number.
        cost: of each of these.
        growth_turns: how often few and many users log in, in number.
        growth: of each of these, after its start.
        refresh: clients that exchange refresh tokens.
        flood: one network that floods, and others that log in.
        refusals: logins that are refused for each reason, in number.
    """

    rounds: int = 3
    users: int = 1_000
    multitude: int = 1_000_000
    probe: float = 2.0
    login: float = 6.0
    idle: float = 4.0
    me: float = 2.0
    mixed: float = 8.0
    overload: float = 20.0
    cost_rounds: int = 25  # many short turns, for what a slow minute of the machine costs must meet all of them
    cost: float = 0.3
    growth_turns: int = 14
    growth: float = 3.0
    refresh: float = 5.0
    flood: float = 20.0
    refusals: int = 500


FULL: Final = Plan()
QUICK: Final = Plan(
    rounds=1,
    multitude=5_000,
    probe=0.4,
    login=1.0,
    idle=1.0,
    me=0.5,
    mixed=1.5,
    overload=2.0,
    cost_rounds=2,
    cost=0.3,
    growth_turns=1,
    growth=1.0,
    refresh=1.0,
    flood=2.0,
    refusals=8,
)
