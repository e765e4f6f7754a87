"""``python -m benchmarks``: the order of a run. ``make bench`` calls it, and ``make bench QUICK=1`` in a short form."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine, report
from benchmarks.budgets import OURS, PEERS, judge
from benchmarks.cost import measure_cost
from benchmarks.flood import measure_flood
from benchmarks.growth import grow_on_postgresql, grow_on_sqlite
from benchmarks.keycloak import measure_at_keycloaks_cost
from benchmarks.load import Generator
from benchmarks.peers import ROOT, Program, install, ours, peers, set_up
from benchmarks.people import write_import_file
from benchmarks.phases import Bench, Figures, measure_program
from benchmarks.plan import FULL, QUICK
from benchmarks.probe import Probe
from benchmarks.processes import busy_share
from benchmarks.refreshes import refresh_on_postgresql, refresh_on_sqlite
from benchmarks.refusals import measure_refusals
from benchmarks.results import Results

NOTES: Final = ROOT / "benchmarks" / "notes.md"

_OF_OURS: Final = {
    "keycloak": measure_at_keycloaks_cost,
    "cost": measure_cost,
    "refreshes on SQLite": refresh_on_sqlite,
    "refreshes on PostgreSQL": refresh_on_postgresql,
    "refusals": measure_refusals,
    "flood": measure_flood,
    "growth on SQLite": grow_on_sqlite,
    "growth on PostgreSQL": grow_on_postgresql,
}
_PARTS: Final = ("programs", "keycloak", "cost", "refreshes", "refusals", "flood", "growth")
_LISTENING_SECONDS: Final = 2.0


def main() -> None:
    """Measure what the options ask for and write the page; or write it again from an earlier run's figures."""
    options = _options()
    if options.render:
        _write(Results.load(options.render), ROOT / "docs")
        return
    unfinished = options.local / "bench"
    unfinished.mkdir(parents=True, exist_ok=True)
    install(options.local / "peers")
    results = Results()
    try:
        _measure(results, options)
    finally:
        results.save(unfinished / "figures.json")
    complete = not options.quick and set(options.parts) == set(_PARTS)
    _write(results, ROOT / "docs" if complete else unfinished)


def _measure(results: Results, options: argparse.Namespace) -> None:
    plan = QUICK if options.quick else FULL
    started, busy = time.monotonic(), busy_share(_LISTENING_SECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="watchword-bench-") as work,
        Generator() as generator,
        Probe(seconds=plan.probe) as probe,
    ):
        bench = Bench(plan, Path(work), generator, probe)
        programs = _with_users(bench, options.local / "peers")
        results.facts.update(
            command="make bench QUICK=1" if options.quick else "make bench",
            few=f"{plan.users:,}",
            many=f"{plan.multitude:,}",
            **machine.facts(programs),
            **{
                "fastest Argon2": f"{probe.backend}, {probe.milliseconds:.1f} ms for one hash",
                "CPU in use before the run": f"{busy:.0%}",
            },
        )
        if "programs" in options.parts:
            _measure_programs(bench, programs, results)
        for part, measure in _OF_OURS.items():
            if part.partition(" ")[0] in options.parts:
                for figures in measure(bench):
                    _keep(results, part, figures)
    results.facts["the run took"] = f"{(time.monotonic() - started) / 60:.0f} minutes"


def _with_users(bench: Bench, environments: Path) -> Sequence[Program]:
    watchword = ours(bench.work / OURS)
    set_up(watchword, write_import_file(bench.work / "users.jsonl", users=bench.plan.users))
    return (watchword, *peers(environments, bench.work, users=bench.plan.users))


def _measure_programs(bench: Bench, programs: Sequence[Program], results: Results) -> None:
    for _ in range(bench.plan.rounds):
        figures: dict[str, Figures] = {}
        for program in programs:
            figures[program.name] = measure_program(bench, program)
            _keep(results, program.name, figures[program.name])
        best = max(figures[peer]["login share"] for peer in PEERS)
        figures[OURS]["login ÷ best peer"] = figures[OURS]["login share"] / best


def _keep(results: Results, owner: str, figures: Figures) -> None:
    results.add(owner, figures)
    told = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
    print(f"{time.strftime('%H:%M:%S')} {owner}: {told}", file=sys.stderr)


def _write(results: Results, folder: Path) -> None:
    page = folder / "performance.md"
    notes = NOTES.read_text().strip() if NOTES.exists() else ""
    report.write(results, page=page, pictures=folder / "performance", notes=notes)
    judged = judge(results)
    print(f"{report.budget_table(judged)}\n\n{report.conclusion(judged)}\nThe page is {page}.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write docs/performance.md.")
    parser.add_argument("--quick", action="store_true", help="a minute's run that shows that everything works")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="only these; docs/ stays as it is")
    parser.add_argument("--render", type=Path, metavar="FILE", help="write the page from an earlier run's figures.json")
    parser.add_argument(
        "--local", type=Path, default=ROOT / ".venv", help="where peers are installed and short runs write their page"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
