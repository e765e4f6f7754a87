"""Commands about the service itself: set it up, bring its database up to date, run it, look it over."""

import asyncio
import json
import os
import secrets
from contextlib import AsyncExitStack
from dataclasses import asdict

import click

from watchword import app, diagnosis
from watchword.clock import system_clock
from watchword.errors import SettingRefused, Unavailable
from watchword.flows.admin import add_user, has_users
from watchword.settings import SECRET_FILE, Settings, instance_folder
from watchword.store import migrations

FIRST_USER = "admin"


@click.command()
def init() -> None:
    """Set up: instance folder, secret, database, first key, first user.

    What is there already stays as it is, so running it again does no harm.
    """
    settings = _settings_with_a_secret()
    _migrate(settings)
    password = asyncio.run(_first_user(settings))
    if password is None:
        click.echo("Everything is set up already; `watchword serve` runs the service.")
        return
    body = json.dumps({"username": FIRST_USER, "password": password})
    click.echo(f"The first user is {FIRST_USER}, with the password {password}")
    click.echo("It is shown this once. When the service runs, log in with:\n")
    click.echo(f"  curl {settings.issuer}/login -H 'Content-Type: application/json' -d '{body}'\n")


@click.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    _migrate(Settings.read())
    click.echo("The database is up to date.")


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Where to listen, if not where hypercorn.toml says.")
def serve(bind: str | None) -> None:
    """Run the service until it is told to stop."""
    from watchword.serve import run  # loads the server, which no other command needs

    run(Settings.read(), bind=bind)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding.")
def doctor(as_json: bool) -> None:
    """Look over settings, secret, database, keys and hashing; exit with 1 if something must be mended."""
    findings = asyncio.run(diagnosis.examine(os.environ))
    for finding in findings:
        if as_json:
            click.echo(json.dumps(asdict(finding)))
        else:
            click.echo(f"{finding.verdict:<5} {finding.subject:<9} {finding.message}")
    if any(finding.verdict == "bad" for finding in findings):
        raise SystemExit(1)


def _settings_with_a_secret() -> Settings:
    """The settings, all checked before a secret is generated and stored."""
    path = instance_folder() / SECRET_FILE
    given = {"WATCHWORD_SECRET_KEY", "WATCHWORD_SECRET_KEY_FILE"} & os.environ.keys()
    if given or path.exists():
        _make_instance_folder()
        return Settings.read()
    secret = secrets.token_urlsafe(48)
    settings = Settings.read({**os.environ, "WATCHWORD_SECRET_KEY": secret})
    asyncio.run(_reach_database(settings))
    _make_instance_folder()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secret}\n")
    except FileExistsError:
        return Settings.read()  # another init was first; its secret is the one
    except OSError as fault:
        raise SettingRefused("INSTANCE", f"{path} cannot be written ({fault.strerror})") from None
    return settings


def _make_instance_folder() -> None:
    folder = instance_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise SettingRefused("INSTANCE", f"{folder} cannot be made ({fault.strerror})") from None


async def _reach_database(settings: Settings) -> None:
    """See that a server is there before anything is made; a SQLite file is made later."""
    if settings.database_url.startswith("sqlite:"):
        return
    async with app.open_store(settings):
        pass


def _migrate(settings: Settings) -> None:
    try:
        migrations.upgrade(settings.database_url)
    except Unavailable as fault:
        raise SettingRefused("DATABASE_URL", str(fault)) from None


async def _first_user(settings: Settings) -> str | None:
    """Make the first key and, in an empty database, the first user; return the password."""
    tools = app.build_tools(settings, clock=system_clock)
    async with AsyncExitStack() as running:
        await app.start_tools(tools, settings, running)
        if await has_users(tools.store):
            return None
        password = secrets.token_urlsafe(18)
        await add_user(
            tools.store,
            tools.hasher,
            username=FIRST_USER,
            password=password,
            scopes=["admin"],
            min_length=settings.password_min_length,
            now=tools.clock(),
        )
        return password
