"""The page: the budgets with their verdicts, everybody's figures, pictures, versions and how it was measured."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.budgets import OURS, Budget, Judged, judge
from benchmarks.pictures import Bar, Chart, Mark
from benchmarks.refusals import REASONS
from benchmarks.results import Results, Spread

PROGRAMS: Final = {
    OURS: "Watchword",
    "flask": "Flask",
    "fastapi_users": "fastapi-users",
    "quart": "naive Quart",
}

Row = tuple[str, str, str]
"""Label, figure, and how a value is written."""

BESIDE_PEERS: Final[Sequence[Row]] = (
    ("logins ÷ raw limit", "login share", "{:.2f}"),
    ("logins/s", "login /s", "{:.0f}"),
    ("login, p99", "login p99 ms", "{:.0f} ms"),
    ("idle: `/me`, p99", "idle p99 ms", "{:.1f} ms"),
    ("mixed: `/me`, p99", "mixed p99 ms", "{:.1f} ms"),
    ("mixed: `/me`, the slowest", "mixed max ms", "{:.0f} ms"),
    ("mixed: `/me` answered with 200", "mixed ok share", "{:.1%}"),
    ("mixed: logins ÷ raw limit", "mixed login share", "{:.2f}"),
    ("overload: logins under 2 s ÷ raw limit", "overload good share", "{:.2f}"),
    ("overload: refusals, p99", "overload refused p99 ms", "{:.0f} ms"),
    ("overload: to the 200 with all retries, p99", "overload retried p99 s", "{:.1f} s"),
    ("overload: still refused at the end", "overload unfinished", "{:.0f}"),
    ("overload: without an answer", "overload unanswered", "{:.0f}"),
    ("CPU of a `/me`", "me µs", "{:.0f} µs"),
    ("start to the first 200", "start s", "{:.2f} s"),
    ("memory after the logins (PSS)", "memory MB", "{:.0f} MB"),
    ("load generator, of a core: logins", "login generator share", "{:.0%}"),
    ("load generator, of a core: mixed", "mixed generator share", "{:.0%}"),
    ("load generator late in mixed, p99", "mixed late ms", "{:.1f} ms"),
)
COST: Final[Sequence[Row]] = (
    ("a bare Quart route", "bare Quart µs", "{:.0f} µs"),
    ("`GET /me`", "me µs", "{:.0f} µs"),
    ("… beside the bare route", "me ÷ bare Quart", "{:.3f} ×"),
    ("a raw ASGI application", "raw ASGI µs", "{:.0f} µs"),
    ("`GET /forward-auth`", "forward-auth µs", "{:.0f} µs"),
    ("… beside the raw application", "forward-auth ÷ raw ASGI", "{:.3f} ×"),
    ("a raw ASGI application with the same headers, asked with a token", "raw headers µs", "{:.0f} µs"),
    ("`GET /forward-auth` beside that", "forward-auth ÷ raw headers", "{:.3f} ×"),
    ("a Quart route elsewhere, asked with a token", "elsewhere bare µs", "{:.0f} µs"),
    ("the same behind the guard", "elsewhere guarded µs", "{:.0f} µs"),
    ("… beside the route without it", "guarded ÷ bare", "{:.3f} ×"),
)
REFRESHES: Final[Sequence[Row]] = (
    ("refreshes for each second of CPU", "refresh /s/core", "{:,.0f}"),
    ("refreshes/s, 16 clients", "refresh /s", "{:,.0f}"),
    ("refresh, p99", "refresh p99 ms", "{:.0f} ms"),
    ("CPU of the database for each refresh", "database µs/refresh", "{:,.0f} µs"),
)
GROWTH: Final[Sequence[Row]] = (
    ("logins ÷ raw limit, few users", "few login share", "{:.2f}"),
    ("logins ÷ raw limit, many users", "many login share", "{:.2f}"),
    ("many beside few", "many ÷ few", "{:.2f} ×"),
    ("import of the many", "import s", "{:.0f} s"),
    ("… users/s", "import users/s", "{:,.0f}"),
    ("WAL for each login, with many users", "database WAL bytes/login", "{:,.0f} B"),
    ("CPU of the database for each login", "database µs/login", "{:,.0f} µs"),
)

FLOOD: Final[Sequence[Row]] = (
    ("logins from others answered with 200", "others ok share", "{:.1%}"),
    ("… their p99", "others p99 s", "{:.2f} s"),
    ("logins/s from the network that floods", "flood /s", "{:,.0f}"),
    ("… that were let in", "flood let in /s", "{:,.0f}"),
)

_TOLD: Final = ("command", "date", "commit", "few", "many")
"""Facts that the text around the tables tells."""

REFUSALS: Final = """\
The AUC is the chance that a login refused for this reason takes longer than one refused for the reference, which is the
row above without an AUC: at 0.50 the time tells nothing, at 0.00 and 1.00 it tells each time. In brackets is its 95 %
interval, beside which the truth lies for one reason in twenty.
"""

METHOD: Final = """\
Every figure is the median over the rounds; lowest and highest are in brackets. A round measures one program after the
other, each freshly started, so that a slow minute of the machine meets all of them. The raw limit is the number of
hashes a second that as many threads as cores compute with the fastest Argon2 library on the machine, with nothing
beside them. It is probed just before and just after each phase, and what counts is the share of it. The peers compute
their hashes with the library that their documentation installs.

All have 1,000 users whose passwords were hashed at m=19456 KiB, t=2, p=1, in SQLite. The load generator is a process
of its own on the same cores, with no priority over the servers; what it used is in the last rows.

- *Logins*: 32 clients, each of whom logs the next user in when it has its last answer.
- *Idle* and *mixed*: guarded requests at a steady 100/s, alone and beside those clients, timed from when they are due.
- *Overload*: 256 such clients, who come within the first second. Those that are refused wait as `Retry-After` says,
  then try again.
- *CPU of a request*: user and system time of the server's processes for each request of 8 clients that keep their
  connections. Beside the bare applications, all run in one plain Hypercorn process with the same `hypercorn.toml`, and
  take turns of a third of a second. The service elsewhere knows Watchword by its URL, and follows which sessions end.
- *Refreshes*: 16 clients, each of whom exchanges its own refresh token again and again. A core's worth is a second of
  CPU time of Watchword's processes, as the load generator and the database sit on the same cores.
- *Refused logins*: one at a time on one connection to one worker, the reasons in an order of chance, 500 for each and
  twice as many of the first, in one round. Each is the first at its account and from its network. If two of them
  differ in status or body, by more than the request id, there are no figures; so with two that the throttle refuses.
  At half load others meanwhile log in, all right, at half the rate of the raw limit.
- *Flood*: one network sends ten times the raw limit of logins, all right, and 500 others ten a second together, each
  from its own; nobody tries again. A proxy on the same machine is said to have sent them.
- *Start*: from the process's start to its first 200 on a route that does nothing.
- *Memory*: the proportional set size of the server and all its children.
- *Growth*: two instances with few and many users take turns of three seconds; the same number of accounts log in,
  spread over all, of the many others in each turn.
"""


def write(results: Results, *, page: Path, pictures: Path, notes: str) -> None:
    """Write the page, and beside it the pictures and the figures of every round."""
    pictures.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, chart in charts(results):
        if not chart.bars:
            continue
        (pictures / f"{name}.svg").write_text(chart.svg())
        shown.append(f"![{chart.title}]({pictures.relative_to(page.parent).as_posix()}/{name}.svg)")
    results.save(pictures / "figures.json")
    page.write_text(markdown(results, pictures=shown, notes=notes))


def markdown(results: Results, *, pictures: Sequence[str], notes: str) -> str:
    """The page's text."""
    sections = [
        "# Performance",
        f"Measured by `{results.facts['command']}` on {results.facts['date']}, at commit {results.facts['commit']}.",
        "## The budgets",
        budget_table(judge(results)),
        conclusion(judge(results)),
        "## Beside what people use today",
        _table(["", *PROGRAMS.values()], _rows(results, BESIDE_PEERS, PROGRAMS)),
        *pictures,
        "## What a request costs",
        _table(["CPU in one Hypercorn process", ""], _rows(results, COST, ["cost"])),
        "## Refreshes",
        _table(
            ["", "SQLite", "PostgreSQL"],
            _rows(results, REFRESHES, ["refreshes on SQLite", "refreshes on PostgreSQL"]),
        ),
        "## Refused logins",
        REFUSALS.strip(),
        _table(["refused for", "median", "÷ reference", "AUC (95 %)"], _refusals(results)),
        "## A flood from one network",
        _table(["", ""], _rows(results, FLOOD, ["flood"])),
        "## Growth",
        _table(
            [f"{results.facts['few']} and {results.facts['many']} users", "SQLite", "PostgreSQL"],
            _rows(results, GROWTH, ["growth on SQLite", "growth on PostgreSQL"]),
        ),
        "## How it was measured",
        METHOD.strip(),
        "## The machine and the versions",
        _table(["", ""], ((name, text) for name, text in results.facts.items() if name not in _TOLD)),
        notes,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def budget_table(judged: Iterable[Judged]) -> str:
    """Each budget, what was measured, and the verdict."""
    rows = (
        (
            one.budget.what,
            f"{one.budget.sense} {one.budget.form.format(one.budget.mark)}",
            _median(one.budget.form, one.spread),
            _range(one.budget.form, one.spread),
            one.verdict if one.verdict == "met" else f"**{one.verdict}**",
        )
        for one in judged
    )
    return _table(["what", "budget", "median", "lowest–highest", "verdict"], rows)


def conclusion(judged: Iterable[Judged]) -> str:
    """What the table comes to, in a sentence."""
    judged = list(judged)
    missed = [one.budget for one in judged if one.verdict == "missed"]
    absent = [one.budget for one in judged if one.verdict == "not measured"]
    if not missed and not absent:
        return f"All {len(judged)} budgets are met."
    sentences = [f"{len(judged) - len(missed) - len(absent)} of {len(judged)} budgets are met."]
    sentences += [f"**Missed:** {_named(missed)}."] if missed else []
    sentences += [f"Not measured: {_named(absent)}."] if absent else []
    return " ".join(sentences)


def charts(results: Results) -> Iterator[tuple[str, Chart]]:
    """The pictures by the names of their files."""
    yield "logins", _of_programs(results, "Logins as a share of the raw limit", "login share", "{:.2f}", 0.90)
    yield (
        "mixed",
        _of_programs(
            results,
            "Mixed: GET /me while 32 clients log in, p99, ms, by powers of ten",
            "mixed p99 ms",
            "{:,.0f}",
            10,
            logarithmic=True,
        ),
    )
    yield (
        "overload",
        _of_programs(
            results, "Overload: logins under 2 s as a share of the raw limit", "overload good share", "{:.2f}", 0.85
        ),
    )
    yield "memory", _of_programs(results, "Memory after the logins (PSS), MB", "memory MB", "{:.0f}", 140)
    yield "start", _of_programs(results, "Start to the first 200, s", "start s", "{:.2f}", 0.8)
    bars = [
        Bar(label.replace("`", ""), spread, ours="GET" in label)
        for label, figure, form in COST
        if "µs" in form and (spread := results.spread("cost", figure))
    ]
    yield "cost", Chart("CPU of a request in one Hypercorn process, µs", bars, "{:.0f}")


def _of_programs(
    results: Results, title: str, figure: str, form: str, budget: float, *, logarithmic: bool = False
) -> Chart:
    bars = [
        Bar(label, spread, ours=name == OURS)
        for name, label in PROGRAMS.items()
        if (spread := results.spread(name, figure))
    ]
    return Chart(title, bars, form, Mark(budget, f"budget {form.format(budget)}"), logarithmic)


def _rows(results: Results, rows: Iterable[Row], owners: Iterable[str]) -> Iterator[list[str]]:
    owners = list(owners)
    for label, figure, form in rows:
        spreads = [results.spread(owner, figure) for owner in owners]
        if any(spreads):
            yield [label, *(_cell(form, spread) for spread in spreads)]


def _refusals(results: Results) -> Iterator[list[str]]:
    for reason in REASONS:
        milliseconds, ratio, area, low, high = (
            results.spread("refusals", f"{reason} {figure}")
            for figure in ("ms", "÷ reference", "AUC", "AUC low", "AUC high")
        )
        if milliseconds:
            within = f" ({_median('{:.2f}', low)}–{_median('{:.2f}', high)})" if area else ""
            yield [
                reason,
                _median("{:.1f} ms", milliseconds),
                _median("{:.2f} ×", ratio),
                _median("{:.2f}", area) + within,
            ]


def _cell(form: str, spread: Spread | None) -> str:
    if spread is None or spread.lowest == spread.highest:
        return _median(form, spread)
    return f"{_median(form, spread)} ({_range(form, spread)})"


def _median(form: str, spread: Spread | None) -> str:
    return "–" if spread is None else form.format(spread.median)


def _range(form: str, spread: Spread | None) -> str:
    number = form[: form.index("}") + 1]  # the unit stands beside the median already
    return "–" if spread is None else f"{number.format(spread.lowest)}–{number.format(spread.highest)}"


def _named(budgets: Iterable[Budget]) -> str:
    return "; ".join(f"{budget.what} ({budget.sense} {budget.form.format(budget.mark)})" for budget in budgets)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
