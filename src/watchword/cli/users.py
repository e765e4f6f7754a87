"""Commands about users."""

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from watchword import instruments
from watchword.cli import streams
from watchword.cli.database import with_asker, with_store
from watchword.cli.lines import lines_of
from watchword.cli.shown import for_programs
from watchword.clock import system_clock
from watchword.errors import UnknownUser, UserExists
from watchword.flows import admin
from watchword.flows.imports import import_users
from watchword.passwords.text import MAX_CODE_POINTS
from watchword.recorder import Asker
from watchword.settings import Settings
from watchword.store import Store

name_argument = click.argument("name")
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group()
def users() -> None:
    """Add, list, change, import and delete users."""


@users.command()
@name_argument
@password_option
@click.option("--scope", "scopes", multiple=True, metavar="S", help="A scope of the user's tokens; may be repeated.")
def add(name: str, password_stdin: bool, scopes: tuple[str, ...]) -> None:
    """Make an account."""
    settings = Settings.read()
    password = _ask_password(from_stdin=password_stdin)

    async def story(store: Store, asker: Asker) -> None:
        await admin.add_user(
            store,
            instruments.build_hasher(settings),
            username=name,
            password=password,
            scopes=scopes,
            rules=instruments.build_password_rules(settings),
            now=system_clock(),
            asker=asker,
        )

    try:
        with_asker(settings, story)
    except UserExists:
        raise click.ClickException(f"there is a user {name} already") from None
    streams.tell_what_is_done(f"Added {name}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per user.")
def list_(as_json: bool) -> None:
    """Show all users."""

    async def story(store: Store) -> None:
        async for user in admin.list_users(store):
            if as_json:
                fields = {"id": user.id, "username": user.username, "scope": user.scope}
                click.echo(for_programs({**fields, "disabled": user.is_disabled, "created_at": user.created_at}))
            else:
                click.echo(f"{user.username}\t{'disabled' if user.is_disabled else 'enabled'}\t{user.scope}")

    with_store(Settings.read(), story)


@users.command()
@name_argument
def disable(name: str) -> None:
    """Lock a user out; all sessions end."""
    _shut_out(name, admin.disable_user)
    streams.tell_what_is_done(f"Disabled {name}.")


@users.command()
@name_argument
def enable(name: str) -> None:
    """Let a disabled user in again."""
    _change(Settings.read(), name, lambda store, asker: admin.enable_user(store, username=name, asker=asker))
    streams.tell_what_is_done(f"Enabled {name}.")


@users.command()
@name_argument
def delete(name: str) -> None:
    """Remove an account for good; all sessions end."""
    _shut_out(name, admin.delete_user)
    streams.tell_what_is_done(f"Deleted {name}.")


@users.command("set-password")
@name_argument
@password_option
def set_password(name: str, password_stdin: bool) -> None:
    """Give a user a new password; all sessions end."""
    settings = Settings.read()
    password = _ask_password(from_stdin=password_stdin)
    _change(
        settings,
        name,
        lambda store, asker: admin.set_password(
            store,
            instruments.build_hasher(settings),
            username=name,
            password=password,
            rules=instruments.build_password_rules(settings),
            now=system_clock(),
            token_lifetime=settings.access_token_lifetime,
            asker=asker,
        ),
    )
    streams.tell_what_is_done(f"Set the password of {name}.")


@users.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Judge every line and keep nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the totals as a JSON object.")
def import_(file: IO[bytes], dry_run: bool, as_json: bool) -> None:
    """Take users from a FILE of JSON lines (or - for standard input).

    Each line: {"username", "password_hash" or "password", "scope"?, "disabled"?}. A hash may be Argon2's, Flask's,
    Django's or bcrypt's. A line that cannot be taken is reported on standard error and the others go in; the exit
    status is then 1.
    """
    settings = Settings.read()
    totals: Counter[str] = Counter(added=0, exists=0, refused=0)

    async def story(store: Store, asker: Asker) -> None:
        with _progress(file) as lines:
            async for outcome in import_users(
                store,
                instruments.build_hasher(settings),
                lines,
                rules=instruments.build_password_rules(settings),
                now=system_clock(),
                dry_run=dry_run,
                asker=asker,
            ):
                totals[outcome.status] += 1
                if outcome.status != "added":
                    reason = outcome.reason or "there is such a user already; left as it is"
                    click.echo(f"line {outcome.line}: {outcome.status}: {reason}", err=True)

    with_asker(settings, story)
    if as_json:
        streams.tell_what_is_done(json.dumps({**totals, "dry_run": dry_run}))
    else:
        verb = "Would add" if dry_run else "Added"
        streams.tell_what_is_done(
            f"{verb} {totals['added']}; {totals['exists']} were there already; {totals['refused']} refused."
        )
    if totals["refused"]:
        raise SystemExit(1)


def _shut_out(name: str, flow: Callable[..., Awaitable[None]]) -> None:
    """Run a flow that ends all sessions of a user."""
    settings = Settings.read()
    lifetime = settings.access_token_lifetime
    _change(
        settings,
        name,
        lambda store, asker: flow(store, username=name, now=system_clock(), token_lifetime=lifetime, asker=asker),
    )


def _change(settings: Settings, name: str, story: Callable[[Store, Asker], Awaitable[None]]) -> None:
    try:
        with_asker(settings, story)
    except UnknownUser:
        raise click.ClickException(f"there is no user {name}") from None


def _ask_password(*, from_stdin: bool) -> str:
    if from_stdin:
        try:
            password = sys.stdin.readline(MAX_CODE_POINTS + 1).rstrip("\r\n")  # one too many is enough to refuse it
        except UnicodeDecodeError:  # which holds a part of the password
            raise click.UsageError(f"the password is not {sys.stdin.encoding}") from None
        if password.startswith("\ufeff"):  # an editor's, which nobody could type
            raise click.UsageError("the password begins with a byte order mark; save its file without one")
        return password
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Iterator[bytes]]:
    """The file's lines, with a bar on a terminal that follows them."""
    size = Path(file.name).stat().st_size if file is not sys.stdin.buffer and Path(file.name).is_file() else None
    columns = (TextColumn("Importing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("import", total=size)

        def lines() -> Iterator[bytes]:
            for line in lines_of(file):
                progress.advance(task, len(line))
                yield line

        yield lines()
