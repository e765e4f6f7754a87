"""Commands about clients: the services that may ask in their own name."""

import click

from watchword.cli import streams
from watchword.cli.database import with_asker, with_store
from watchword.cli.shown import for_programs, moment, text
from watchword.clock import system_clock
from watchword.errors import ClientExists, UnknownClient
from watchword.flows.clients import add_client, list_clients, revoke_client
from watchword.model import ClientScope
from watchword.settings import Settings
from watchword.store import Store

name_argument = click.argument("name")


@click.group()
def clients() -> None:
    """Add, list and revoke clients: services that introspect, revoke, follow logouts or read metrics."""


@clients.command()
@name_argument
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="S",
    help=f"What it may do; may be repeated. One of {', '.join(ClientScope)}.",
)
def add(name: str, scopes: tuple[str, ...]) -> None:
    """Let a service ask in its own name, and print its secret this once.

    The secret alone is on standard output, so that a script can take it.
    """
    try:
        secret = with_asker(
            Settings.read(),
            lambda store, asker: add_client(store, name=name, scopes=scopes, now=system_clock(), asker=asker),
        )
    except ClientExists:
        raise click.ClickException(f"there is a client {name} already") from None
    streams.show_once(secret, otherwise=f"run `watchword clients revoke {name}` and add it again")
    click.echo(f"Added {name}. Its secret is shown this once.", err=True)


@clients.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per client.")
def list_(as_json: bool) -> None:
    """Show all clients: name, id, since when, and what each may do."""

    async def story(store: Store) -> None:
        async for client in list_clients(store):
            if as_json:
                fields = {"id": client.id, "name": client.name, "scope": client.scope}
                click.echo(for_programs({**fields, "created_at": client.created_at}))
            else:
                click.echo("\t".join(map(text, (client.name, client.id, moment(client.created_at), client.scope))))

    with_store(Settings.read(), story)


@clients.command()
@name_argument
def revoke(name: str) -> None:
    """Refuse a client from now on."""
    try:
        with_asker(Settings.read(), lambda store, asker: revoke_client(store, name=name, asker=asker))
    except UnknownClient:
        raise click.ClickException(f"there is no client {name}") from None
    streams.tell_what_is_done(f"Revoked {name}.")
