"""The budgets, and whether a run met them: the median over the rounds decides, or each round where none may fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.refusals import FURTHEST
from benchmarks.results import Results, Spread

Verdict = Literal["met", "missed", "not measured"]

OURS: Final = "watchword"
PEERS: Final = ("flask", "fastapi_users", "quart")


@dataclass(frozen=True, slots=True)
class Budget:
    """One mark.

    Attributes:
        what: what is measured.
        mark: the number to reach.
        sense: whether the figure must be at least or at most that.
        form: how the figure is written, with its unit.
        owner: whose figure it is.
        figure: which one.
        in_each_round: whether a single round that fails is a miss.
    """

    what: str
    sense: Literal["≥", "≤", ">"]
    mark: float
    form: str
    owner: str
    figure: str
    in_each_round: bool = False

    def verdict(self, spread: Spread | None) -> Verdict:
        """What a run says about it."""
        if spread is None:
            return "not measured"
        worst = spread.highest if self.sense == "≤" else spread.lowest
        figure = worst if self.in_each_round else spread.median
        met = {"≥": figure >= self.mark, "≤": figure <= self.mark, ">": figure > self.mark}
        return "met" if met[self.sense] else "missed"


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget and what a run says about it."""

    budget: Budget
    spread: Spread | None
    verdict: Verdict


SHARE: Final = "{:.2f} of the raw limit"

BUDGETS: Final = (
    Budget("logins, 32 clients", "≥", 0.90, SHARE, OURS, "login share"),
    Budget("logins, beside the best peer", ">", 1.0, "{:.2f} ×", OURS, "login ÷ best peer"),
    Budget("logins per core at 7168 KiB, 5 passes", "≥", 120, "{:.0f} /s", "keycloak", "login /s/core"),
    Budget("CPU of `GET /me`", "≤", 1.08, "{:.2f} × a bare Quart route", "cost", "me ÷ bare Quart"),
    Budget(
        "CPU of `GET /forward-auth`", "≤", 1.15, "{:.2f} × a raw ASGI application", "cost", "forward-auth ÷ raw ASGI"
    ),
    Budget("CPU of a guarded request elsewhere", "≤", 1.10, "{:.2f} × the same route bare", "cost", "guarded ÷ bare"),
    Budget("refreshes per core, on SQLite", "≥", 1000, "{:,.0f} /s", "refreshes on SQLite", "refresh /s/core"),
    Budget("refreshes per core, on PostgreSQL", "≥", 1000, "{:,.0f} /s", "refreshes on PostgreSQL", "refresh /s/core"),
    Budget("mixed: `/me`, p99", "≤", 10, "{:.1f} ms", OURS, "mixed p99 ms"),
    Budget("mixed: `/me`, p99 beside idle", "≤", 4, "{:.1f} ×", OURS, "mixed p99 ÷ idle"),
    Budget("mixed: `/me`, the slowest", "≤", 25, "{:.1f} ms", OURS, "mixed max ms"),
    Budget("mixed: `/me` answered with 200", "≥", 1.0, "{:.1%}", OURS, "mixed ok share", in_each_round=True),
    Budget("mixed: logins meanwhile", "≥", 0.85, SHARE, OURS, "mixed login share"),
    Budget("overload: logins answered under 2 s", "≥", 0.85, SHARE, OURS, "overload good share"),
    Budget("overload: refusals, p99", "≤", 50, "{:.0f} ms", OURS, "overload refused p99 ms"),
    Budget("overload: to the 200 with all retries, p99", "≤", 7, "{:.1f} s", OURS, "overload retried p99 s"),
    Budget("overload: answered with 500", "≤", 0, "{:.0f}", OURS, "overload faults", in_each_round=True),
    Budget(
        "flood from one network: logins from others", "≥", 0.99, "{:.1%} answered with 200", "flood", "others ok share"
    ),
    Budget("flood from one network: logins from others, p99", "≤", 2, "{:.2f} s", "flood", "others p99 s"),
    Budget("refused logins: the AUC that tells most", "≤", 0.05, "{:.2f} from 0.5", "refusals", FURTHEST),
    Budget("start to the first 200, two workers", "≤", 0.8, "{:.2f} s", OURS, "start s"),
    Budget("memory after the login test (PSS)", "≤", 140, "{:.0f} MB", OURS, "memory MB"),
    Budget("logins with 10⁶ users, on SQLite", "≥", 0.95, "{:.2f} × with 10³", "growth on SQLite", "many ÷ few"),
    Budget(
        "logins with 10⁶ users, on PostgreSQL", "≥", 0.95, "{:.2f} × with 10³", "growth on PostgreSQL", "many ÷ few"
    ),
)


def judge(results: Results, budgets: Sequence[Budget] = BUDGETS) -> list[Judged]:
    """Every budget with its verdict."""
    spreads = [(budget, results.spread(budget.owner, budget.figure)) for budget in budgets]
    return [Judged(budget, spread, budget.verdict(spread)) for budget, spread in spreads]
