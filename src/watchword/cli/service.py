"""Commands about the service itself: set it up, bring its database up to date, look it over."""

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import click

from watchword import instruments
from watchword.cli import streams
from watchword.cli.database import with_asker
from watchword.cli.endings import interruptible, run_to_the_end
from watchword.clock import system_clock
from watchword.errors import SettingRefused, Unavailable, UserExists
from watchword.flows.admin import add_user, has_users
from watchword.flows.keyring import has_keys
from watchword.recorder import Asker
from watchword.settings import DATABASE_FILE, SECRET_FILE, Settings, instance_folder
from watchword.store import Store, inspection, migrations

FIRST_USER = "admin"


@click.command()
def init() -> None:
    """Set up: instance folder, secret, database, first key, first user.

    What is there already stays as it is, so running it again does no harm.
    """
    streams.expect_an_output()
    path = instance_folder() / SECRET_FILE
    given = {"WATCHWORD_SECRET_KEY", "WATCHWORD_SECRET_KEY_FILE"} & os.environ.keys()
    if given or os.access(path, os.F_OK):  # false, not an error, where the way there is barred
        settings = Settings.read()
        with _instance_folder() if _is_kept_there(settings) else nullcontext():
            _migrate(settings)
    else:
        secret = secrets.token_urlsafe(48)
        settings = Settings.read({**os.environ, "WATCHWORD_SECRET_KEY": secret})
        with _instance_folder(), _draft_of(path, secret) as draft:
            _migrate(settings)
            # Looked at in this order: another init that runs now has made its secret before its key.
            if asyncio.run(_is_in_use(settings)) and not path.exists():
                told = "is not set, and the database has keys or users of a service: give that one's secret"
                raise SettingRefused("SECRET_KEY", f"{told}; docs/keys.md has what to do where it is lost")
            # Of several that run at once, the first gives the secret. It is whole as soon as it is there.
            with suppress(FileExistsError):
                os.link(draft, path)
        settings = Settings.read()
    with interruptible():
        run_to_the_end(_first_key(settings))
    _tell_who_is_left_behind(settings)  # which may fail, and the password is not lost with it
    password = _first_user(settings)
    if password is None:
        click.echo("Everything is set up already; `watchword serve` runs the service.")
        return
    body = json.dumps({"username": FIRST_USER, "password": password})
    streams.show_once(
        f"The first user is {FIRST_USER}, with the password {password}",
        otherwise=f"run `watchword users set-password {FIRST_USER}`",
    )
    click.echo("It is shown this once. When the service runs, log in with:\n")
    click.echo(f"  curl {settings.issuer.rstrip('/')}/login -H 'Content-Type: application/json' -d '{body}'\n")


@click.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    streams.expect_an_output()
    _migrate(Settings.read())
    streams.tell_what_is_done("The database is up to date.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding.")
def doctor(as_json: bool) -> None:
    """Look over hypercorn.toml, settings, secret, database, keys and hashing; exit with 1 if one must be mended."""
    from watchword import diagnosis  # and with it Hypercorn, which the others here have no use for

    findings = asyncio.run(diagnosis.examine(os.environ))
    for finding in findings:
        if as_json:
            click.echo(json.dumps(asdict(finding)))
        else:
            click.echo(f"{finding.verdict:<5} {finding.subject:<9} {finding.message}")
    if any(finding.verdict == "bad" for finding in findings):
        raise SystemExit(1)


def _is_kept_there(settings: Settings) -> bool:
    """Whether the database is a file in the instance folder."""
    path = settings.database_url.removeprefix("sqlite:///")
    return path != settings.database_url and Path(path).resolve().is_relative_to(settings.instance.resolve())


@contextmanager
def _instance_folder() -> Iterator[None]:
    """Make the folder; if what follows fails, remove it again, unless others have put something into it."""
    folder = instance_folder()
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise SettingRefused("INSTANCE", f"{folder} cannot be made ({fault.strerror})") from None
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in missing:
                path.rmdir()
        raise


@contextmanager
def _draft_of(path: Path, text: str) -> Iterator[Path]:
    """A file with a secret beside the one that it is to become: whether it can be written is known before the rest."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{text}\n")
        yield draft
    except OSError as fault:
        raise SettingRefused("INSTANCE", f"{path} cannot be written ({fault.strerror})") from None
    finally:
        with suppress(OSError):  # it is not there, or in a folder of somebody else's
            draft.unlink()


def _migrate(settings: Settings) -> None:
    try:
        migrations.upgrade(settings.database_url)
    except Unavailable as fault:
        raise SettingRefused("DATABASE_URL", str(fault)) from None


async def _is_in_use(settings: Settings) -> bool:
    async with instruments.open_store(settings) as store:
        return await has_keys(store) or await has_users(store)


async def _first_key(settings: Settings) -> None:
    """Make the first key, where nobody serves: a service may sign in another way than our settings say."""
    if not await _is_in_use(settings):
        await instruments.preflight(settings)


def _first_user(settings: Settings) -> str | None:
    """Make the first user, in a database that has none; return the password."""
    length = max(24, settings.password_min_length)
    password = secrets.token_urlsafe(length)[:length]

    async def story(store: Store, asker: Asker) -> str | None:
        await inspection.rehearse(store)
        if await has_users(store):
            return None
        try:
            await add_user(
                store,
                instruments.build_hasher(settings),
                username=FIRST_USER,
                password=password,
                scopes=["admin"],
                rules=instruments.build_password_rules(settings),
                now=system_clock(),
                asker=asker,
            )
        except UserExists:  # another init was first, and it is the one that tells the password
            return None
        return password

    return with_asker(settings, story)


def _tell_who_is_left_behind(settings: Settings) -> None:
    """Name a SQLite file beside PostgreSQL: a shell without DATABASE_URL works on it, and says that it has done so."""
    left = settings.instance / DATABASE_FILE
    if not settings.database_url.startswith("sqlite:") and os.access(left, os.F_OK):
        click.echo(f"The users in {left} do not come along; docs/settings.md has the commands that bring them.")
