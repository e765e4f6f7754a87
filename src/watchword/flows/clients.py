"""What an administrator does with clients: add, list, revoke."""

import re
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final

from watchword import client_secrets
from watchword.audit import Event
from watchword.errors import InvalidRequest, UnknownClient
from watchword.identifiers import new_id
from watchword.model import Client, ClientScope, scope_from
from watchword.recorder import Asker
from watchword.store import Store, clients

_NAME: Final = re.compile(r"[!-9;-~]{1,64}", re.ASCII)
"""The user-id of HTTP Basic, which ends at the first colon (RFC 7617 §2)."""

_PAGE: Final = 1000


async def add_client(store: Store, *, name: str, scopes: Iterable[str], now: int, asker: Asker) -> str:
    """Let a service ask in its own name.

    Returns:
        Its secret, which is told this once.

    Raises:
        InvalidRequest: the name is none, there is no scope, or one that we do not know.
        ClientExists: the name is taken.
        Unconfirmed: the database went away meanwhile; the name may be taken by a client whose secret nobody has.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest("name: must be 1 to 64 characters of visible ASCII without colons")
    asked = tuple(scopes)
    if not asked or set(asked) - set(ClientScope):
        raise InvalidRequest(f"scope: must be one or more of {', '.join(ClientScope)}")
    client_id = new_id()
    secret = client_secrets.make(client_id)
    client = Client(
        id=client_id,
        name=name,
        scope=scope_from(asked),
        secret_digest=client_secrets.digest(secret),
        created_at=now,
    )
    # A transaction, though it is one statement: only of that is it told where it may have been done all the same.
    await store.write(
        partial(clients.insert, client=client),
        then=lambda _: asker.tell(Event.CLIENT_CREATED, detail=f"{client.id} {client.scope}"),
    )
    return secret


async def list_clients(store: Store) -> AsyncIterator[Client]:
    """All clients in the order of their names, read page by page."""
    after = ""
    while True:
        page = await store.read(partial(clients.page, after=after, limit=_PAGE))
        for client in page:
            yield client
        if len(page) < _PAGE:
            return
        after = page[-1].name


async def revoke_client(store: Store, *, name: str, asker: Asker) -> None:
    """Refuse a client from now on, in every process; its name is free again.

    Raises:
        UnknownClient: no client has the name.
        Unconfirmed: the database went away meanwhile; it may have been done.
    """
    if not _NAME.fullmatch(name):  # a command's argument may be no UTF-8, and then no database takes it
        raise UnknownClient(name)
    await store.write(
        partial(clients.delete, name=name),
        then=lambda client_id: asker.tell(Event.CLIENT_REVOKED, detail=client_id),
    )
