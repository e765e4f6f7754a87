"""Commands about signing keys. None shows anything that could sign."""

import asyncio

import click

from watchword import instruments
from watchword.cli import streams
from watchword.cli.database import with_asker, with_store
from watchword.cli.endings import interruptible, run_to_the_end
from watchword.cli.identifiers import TAKES_AN_ID
from watchword.cli.shown import for_programs, moment, text
from watchword.clock import system_clock
from watchword.errors import SettingRefused, UnknownSigningKey
from watchword.flows import rotation
from watchword.keys import KeyRefused
from watchword.model import SealedKey
from watchword.recorder import Asker
from watchword.settings import Settings
from watchword.store import Store


@click.group()
def keys() -> None:
    """List, rotate and retire the keys that sign tokens."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per key.")
def list_(as_json: bool) -> None:
    """Show each key: id, algorithm, state, when it was made, from when it signs, until when it verifies."""
    settings = Settings.read()

    async def story(store: Store) -> None:
        for key, state in await rotation.list_keys(store, algorithm=settings.algorithm, now=system_clock()):
            if as_json:
                times = {name: getattr(key, name) for name in ("created_at", "signs_from", "verifies_until")}
                fields = {"kid": key.kid, "algorithm": key.algorithm, "state": state.value}
                click.echo(for_programs({**fields, **times}))
            else:
                shown = map(_shown, (key.created_at, key.signs_from, key.verifies_until))
                click.echo("\t".join((*map(text, (key.kid, key.algorithm)), state.value, *shown)))

    with_store(settings, story)
    if not as_json and not instruments.build_keys(settings).rotates:
        click.echo(f"Under {settings.algorithm} the root secret signs, and none of these.", err=True)


@keys.command()
@click.option("--now", "at_once", is_flag=True, help="Let it sign in seconds. For emergencies.")
def rotate(at_once: bool) -> None:
    """Make the next key. It is published now, and signs when everybody who verifies has had the time to fetch it.

    With --now it signs as soon as the service's own processes have it, and the command returns when it does. Whoever
    keeps a copy of the key set must fetch it again on meeting an unknown key.
    """
    settings = Settings.read()

    async def story(store: Store, asker: Asker) -> SealedKey:
        keys = instruments.build_keys(settings)
        return await rotation.rotate(keys, store=store, now=system_clock(), asker=asker, at_once=at_once)

    try:
        key = with_asker(settings, story)
    except KeyRefused as fault:
        raise SettingRefused("SECRET_KEY", str(fault)) from fault
    if not at_once:
        streams.tell_what_is_done(f"The key {key.kid} is published, and signs from {_shown(key.signs_from)}.")
        return
    with interruptible():
        run_to_the_end(_past(key.signs_from))  # one second more, in which every process has turned to it
    streams.tell_what_is_done(f"The key {key.kid} signs. It was made at {_shown(key.created_at)}.")


@keys.command(context_settings=TAKES_AN_ID)
@click.argument("kid", metavar="KID")
def retire(kid: str) -> None:
    """Refuse every token that a key has signed, from now on. The key that signs cannot be retired."""
    settings = Settings.read()

    async def story(store: Store, asker: Asker) -> None:
        await rotation.retire(store, kid=kid, algorithm=settings.algorithm, now=system_clock(), asker=asker)

    try:
        with_asker(settings, story)
    except UnknownSigningKey:
        raise click.ClickException(f"there is no key {kid}") from None
    streams.tell_what_is_done(f"The key {kid} is retired.")


async def _past(second: int) -> None:
    while system_clock() <= second:  # noqa: ASYNC110  # it is a clock that we wait for
        await asyncio.sleep(0.1)


def _shown(seconds: int | None) -> str:
    return "-" if seconds is None else moment(seconds)
