"""``watchword bench``: load a running service and tell what it stands."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from os.path import isfile, samefile
from pathlib import Path
from typing import IO, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from watchword.bench import report, story, target, words
from watchword.bench.engine import Watcher
from watchword.bench.measurement import Outcome, Phase, Sample, Summary, Times, generator_limits, summarise
from watchword.bench.users import make_users, read_users
from watchword.cli import streams
from watchword.cli.lines import lines_of
from watchword.cli.numbers import NumberRange
from watchword.clock import system_clock

REFRESH_SECONDS: Final = 0.5
"""Between two pictures on the terminal: each takes the load engine a millisecond or two."""


def _make_users(context: click.Context, _: click.Parameter, value: tuple[int, Path] | None) -> None:
    """Write the file and end, as ``--version`` prints and ends."""
    if value is None or context.resilient_parsing:
        return
    count, path = value
    if path in {Path(), Path("-")}:  # the first is what click makes of an empty text
        raise click.BadParameter("FILE must be the path of a file, and - is standard input to `users import`.")
    streams.expect_an_output()
    try:
        path.touch(mode=0o600, exist_ok=False)
        try:
            path.write_text("".join(f"{line}\n" for line in make_users(count)))
        except BaseException:  # half of it would be of no use, and in the way of the next try
            path.unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be made: {fault.strerror}") from None
    named = shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))  # else it would be an option
    told = f"Wrote {count:,} users with random passwords to {path}. To make them known to the service:"
    streams.tell_what_is_done(f"{told}\n\n  watchword users import {named}\n")
    context.exit()


@click.command()
@click.argument("url")
@click.option(
    "--users",
    "users_file",
    type=click.File("rb"),
    required=True,
    help="Who logs in, in turn: JSON lines as `users import` takes them, with plain passwords.",
)
@click.option("--clients", type=click.IntRange(1, 1000), default=32, show_default=True, help="Logins at the same time.")
@click.option(
    "--rate", type=NumberRange(0.1, 5000), default=100.0, show_default=True, help="Guarded requests a second."
)
@click.option(
    "--seconds", type=NumberRange(0.5, 300), default=10.0, show_default=True, help="Length of each of three parts."
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw the numbers on a page of HTML.",
)
@click.option("--i-may-load", metavar="HOST", help="Confirm that the service on another machine is yours to load.")
@click.option(
    "--make-users",
    type=(click.IntRange(1, 1_000_000), click.Path(dir_okay=False, path_type=Path)),
    metavar="N FILE",
    callback=_make_users,
    is_eager=True,
    expose_value=False,
    help="Write a file of N users to import, and end.",
)
def bench(
    url: str,
    users_file: IO[bytes],
    clients: int,
    rate: float,
    seconds: float,
    as_json: bool,
    report_path: Path | None,
    i_may_load: str | None,
) -> None:
    """Load the service at URL and tell what it stands.

    \b
    watchword bench --make-users 1000 crowd.jsonl
    watchword users import crowd.jsonl
    watchword bench http://127.0.0.1:8000 --users crowd.jsonl --report report.html

    Guarded requests (GET /me) go out at a fixed rate, then so many clients log in as fast as they are answered, then
    both happen at once. A client that is told to try later does so.
    """  # noqa: D301  (click wants the backspace itself: it keeps the lines below it as they are)
    if report_path is not None and not report_path.parent.is_dir():
        raise click.UsageError(f"there is no folder {report_path.parent} for the report")
    if report_path is not None and _is_the_file(report_path, users_file):
        raise click.UsageError(f"the report would overwrite {report_path}, the file of the users")
    try:
        users = read_users(lines_of(users_file))
        found = asyncio.run(target.find(url))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    if not users:
        raise click.UsageError("--users: there is nobody in the file")
    if not found.is_here and i_may_load != found.name:
        raise click.UsageError(
            f"{found.name} is not this machine, and to load a service that is not yours is to attack it. "
            f"If you may: --i-may-load {found.name}"
        )
    from uvloop import run  # not on every system, and no other command needs it

    plan = story.Plan(found, users, clients, rate, seconds)
    try:
        phases = run(_run(plan))
    except story.CannotBegin as reason:
        raise click.ClickException(str(reason)) from None
    remarks = story.remarks(plan, phases)
    try:
        if as_json:
            click.echo(json.dumps(_as_json(plan, phases, remarks)))
        else:
            _print_table([summarise(phase) for phase in phases], remarks)
    finally:  # what was measured is lost only if neither takes it
        if report_path is not None:
            _write_report(report_path, plan, phases, remarks)
    if report_path is not None and not as_json:
        click.echo(f"\nThe report is in {report_path}.")


def _is_the_file(path: Path, file: IO[bytes]) -> bool:
    # pathlib's raise where the way there is barred; and a terminal may well be both.
    return isfile(path) and file.name != "<stdin>" and samefile(path, file.name)  # noqa: PTH113, PTH121


def _write_report(path: Path, plan: story.Plan, phases: Sequence[Phase], remarks: Sequence[str]) -> None:
    when = datetime.fromtimestamp(system_clock(), UTC)
    try:
        path.write_text(report.page(plan, phases, remarks, when=when), encoding="utf-8")
    except OSError as fault:
        raise click.ClickException(f"{path} cannot be written: {fault.strerror}") from None


async def _run(plan: story.Plan) -> list[Phase]:
    async with _display() as audience:
        return await story.run(plan, audience)


@asynccontextmanager
async def _display() -> AsyncIterator[story.Audience]:
    """A line for each phase on a terminal, drawn now and then by the loop itself: a thread would get in its way."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<17}"), BarColumn(24), TextColumn("{task.fields[said]}"))
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as bar:
        rows: list[_Row] = []

        def audience(name: str, seconds: float) -> Watcher:
            rows.append(_Row(bar, bar.add_task(name, total=seconds, said="")))
            return rows[-1].watch

        async def draw() -> None:
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                for row in rows:
                    row.draw()
                bar.refresh()

        drawing = asyncio.create_task(draw()) if console.is_terminal else None
        try:
            yield audience
        finally:
            if drawing is not None:
                drawing.cancel()
                with suppress(asyncio.CancelledError):
                    await drawing


class _Row:
    """A phase as the terminal shows it while it runs."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._counts = dict.fromkeys(Outcome, 0)
        self._seen = 0
        self._rate = 0.0

    def watch(self, sample: Sample) -> None:
        self._counts[Outcome.of(sample.status)] += 1

    def draw(self) -> None:
        task = self._bar.tasks[self._task]
        if task.finished:
            return
        good = self._counts[Outcome.GOOD]
        elapsed = min(task.elapsed or 0.0, task.total or 0.0)
        others = (
            f"{count:,} {outcome.value}" for outcome, count in self._counts.items() if outcome is not Outcome.GOOD
        )
        said = [f"{good / elapsed:6.1f}/s" if elapsed else "", *(text for text in others if not text.startswith("0 "))]
        self._bar.update(self._task, completed=elapsed, said="  ".join(said))


def _print_table(summaries: Sequence[Summary], remarks: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("answers/s", "p50", "p90", "p99", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("statuses")
    for summary in summaries:
        times = summary.times
        table.add_row(
            summary.name,
            words.rate(summary.rate),
            *(map(words.duration, (times.p50, times.p90, times.p99, times.max)) if times else "––––"),
            ", ".join(f"{words.status(code)} × {count:,}" for code, count in summary.statuses.items()),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a pipe has no edge to fold at
    console.print(table)
    for summary in summaries:
        if summary.refusals:
            click.echo(f"\n{summary.name}: {_about_refusals(summary, summary.refusals)}")
    cpu = max(summary.generator_cpu for summary in summaries)
    late = max(summary.late for summary in summaries)
    click.echo(
        f"\nThe load generator used up to {words.share(cpu)} of one core; "
        f"99 % of the requests at a fixed rate went out within {words.duration(late)} of their time."
    )
    for remark in remarks:
        click.echo(f"\n{click.style('Note:', fg='yellow', bold=True)} {remark}")


def _about_refusals(summary: Summary, refusals: Times) -> str:
    text = f"{refusals.count:,} refusals, 99 % of them within {words.duration(refusals.p99)}."
    if summary.over_retries:
        text += f" Over all tries one took {words.duration(summary.over_retries.p50)} (p50)"
        text += f", {words.duration(summary.over_retries.p99)} (p99)."
    if summary.unfinished:
        text += f" Still refused at the end: {summary.unfinished:,}."
    return text


def _as_json(plan: story.Plan, phases: Sequence[Phase], remarks: Sequence[str]) -> dict[str, Any]:
    return {
        "url": plan.target.url,
        "users": len(plan.users),
        "clients": plan.clients,
        "rate": plan.rate,
        "seconds": plan.seconds,
        "phases": [asdict(summarise(phase)) for phase in phases],
        "generator_was_the_limit": bool(generator_limits(phases)),
        "remarks": list(remarks),
    }
