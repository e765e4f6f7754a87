"""Commands about sessions."""

import click

from watchword.cli import streams
from watchword.cli.database import with_asker, with_store
from watchword.cli.identifiers import TAKES_AN_ID
from watchword.cli.shown import for_programs, moment, text
from watchword.clock import system_clock
from watchword.errors import UnknownSession, UnknownUser
from watchword.flows.sessions import end_session, end_sessions_of, list_sessions
from watchword.recorder import Asker
from watchword.settings import Settings
from watchword.store import Store


@click.group()
def sessions() -> None:
    """List and end sessions."""


@sessions.command("list")
@click.option("--user", metavar="NAME", help="Only this user's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per session.")
def list_(user: str | None, as_json: bool) -> None:
    """Show who is logged in: the session's id, the user, last use, network, and what the client called itself."""

    async def story(store: Store) -> None:
        async for session, username in list_sessions(store, username=user, now=system_clock()):
            if as_json:
                fields = {"id": session.id, "user_id": session.user_id, "username": username}
                times = {name: getattr(session, name) for name in ("auth_time", "refreshed_at", "ends_at")}
                client = {"network": session.network, "user_agent": session.user_agent}
                click.echo(for_programs({**fields, **times, **client}))
            else:
                used = moment(session.refreshed_at)
                shown = (session.id, username, used, session.network, session.user_agent)
                click.echo("\t".join(map(text, shown)))

    try:
        with_store(Settings.read(), story)
    except UnknownUser:
        raise click.ClickException(f"there is no user {user}") from None


@sessions.command(context_settings=TAKES_AN_ID)
@click.argument("session_id", metavar="ID", required=False)
@click.option("--user", metavar="NAME", help="Every session of this user.")
def end(session_id: str | None, user: str | None) -> None:
    """End one session, or every session of a user: their tokens are refused from now on."""
    if (session_id is None) == (user is None):
        raise click.UsageError("needs an ID or --user NAME")

    settings = Settings.read()
    lifetime = settings.access_token_lifetime

    async def story(store: Store, asker: Asker) -> int:
        now = system_clock()
        if session_id is not None:
            await end_session(store, session_id=session_id, now=now, token_lifetime=lifetime, asker=asker)
        if user is not None:
            return await end_sessions_of(store, username=user, now=now, token_lifetime=lifetime, asker=asker)
        return 1

    try:
        ended = with_asker(settings, story)
    except UnknownUser:
        raise click.ClickException(f"there is no user {user}") from None
    except UnknownSession:
        raise click.ClickException(f"there is no session {session_id}") from None
    streams.tell_what_is_done(f"Ended {ended}.")
