"""Commands about the audit trail: show it, hand it on, see whether it is as it was written."""

import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from watchword.audit import Entry, Seals
from watchword.cli.database import with_store
from watchword.cli.shown import for_programs, text
from watchword.errors import Unavailable
from watchword.flows.audit import export as exported
from watchword.flows.audit import tail as latest
from watchword.flows.audit import verify as verdicts
from watchword.settings import Settings
from watchword.store import Store
from watchword.store.audit import count
from watchword.telemetry import timestamp


class _Time(click.ParamType[int]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A day or a moment of ISO 8601, in UTC unless it says otherwise, as milliseconds since the epoch."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("must be a day as 2026-01-31, or a moment as 2026-01-31T12:00:00Z", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.group()
def audit() -> None:
    """Show, export and verify the audit trail."""


@audit.command()
@click.option("-n", "lines", type=click.IntRange(0, 10_000), default=10, show_default=True, help="How many events.")
@click.option("--follow", "-f", is_flag=True, help="Go on with each event that comes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def tail(lines: int, follow: bool, as_json: bool) -> None:
    """Show the last events."""

    async def story(store: Store) -> None:
        await _show(latest(store, lines=lines, follow=follow), as_json=as_json)

    try:
        with_store(Settings.read(), story)
    except KeyboardInterrupt:  # the way to end it
        return


@audit.command()
@click.option("--since", type=_Time(), metavar="TIME", help="Only what happened then or later.")
@click.option("--until", type=_Time(), metavar="TIME", help="Only what happened before.")
def export(since: int | None, until: int | None) -> None:
    """Write all events as JSON lines, in the order in which they were written.

    TIME is a day as 2026-01-31, or a moment as 2026-01-31T12:00:00Z.
    """

    async def story(store: Store) -> None:
        await _show(exported(store, since=since, until=until), as_json=True)

    with_store(Settings.read(), story)


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per process that has written.")
def verify(as_json: bool) -> None:
    """See whether any event was changed, removed, inserted or moved; exit with 1 if so.

    It cannot tell whether the last events of a process are missing that has not ended in order: one that still runs,
    or was killed. Those are counted as open.
    """
    settings = Settings.read()
    totals = Counter[str]()

    async def story(store: Store) -> None:
        columns = (TextColumn("Verifying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        is_shown = sys.stderr.isatty()
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_shown) as progress:
            task = progress.add_task("verify", total=await _number(store))
            seals = Seals(settings.secret_key, settings.secret_key_fallbacks)
            async for verdict in verdicts(store, seals=seals, looked_at=lambda more: progress.advance(task, more)):
                totals[verdict.state] += 1
                totals["events"] += verdict.events
                if as_json:
                    click.echo(for_programs(asdict(verdict)))
                elif verdict.state == "broken":
                    click.echo(f"broken: {verdict.reason}", err=True)

    with_store(settings, story)
    if not as_json:
        states = ", ".join(f"{totals[state]} {state}" for state in ("ended", "open", "broken"))
        click.echo(f"{totals['events']} events of {totals.total() - totals['events']} writers: {states}.")
    if totals["broken"]:
        raise SystemExit(1)


async def _number(store: Store) -> int | None:
    """How many events there are; None where there are so many that a database is too slow to count them."""
    try:
        return await store.read(count)
    except Unavailable:
        return None


async def _show(entries: AsyncIterator[Entry], *, as_json: bool) -> None:
    async for entry in entries:
        click.echo(for_programs({**entry._asdict(), "at": _at(entry)}) if as_json else _as_line(entry))


def _as_line(entry: Entry) -> str:
    """For people: when, what, how it ended, and whatever else is known."""
    names = ("user_id", "session_id", "network", "request_id")
    known = [f"{name.removesuffix('_id')}={text(getattr(entry, name))}" for name in names if getattr(entry, name)]
    fields = (_at(entry), entry.event, entry.outcome, entry.detail, entry.actor, " ".join(known))
    return "\t".join(map(text, fields))


def _at(entry: Entry) -> object:
    """The time of an event; what a foreign hand has put in its place as it is, for that is to be seen."""
    try:
        return timestamp(entry.at)
    except (TypeError, ValueError, OverflowError, OSError):
        return entry.at
