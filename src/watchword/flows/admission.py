"""Admit a client: which service asks, and may it?

Told inside a story, so that who asks and what is asked for is one visit to the database; and asked of the database each
time, so that a client who is revoked is refused with its next request.
"""

from dataclasses import dataclass, field

from watchword import client_secrets
from watchword.errors import InsufficientScope, InvalidClient, InvalidToken, UnauthorizedClient
from watchword.model import Client, ClientScope
from watchword.store import clients
from watchword.store.connection import Connection


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a client proves itself with (RFC 6749 §2.3.1).

    Attributes:
        name: the client's, or its id.
        secret: what only the client knows.
    """

    name: str
    secret: str = field(repr=False)


async def admit(connection: Connection, credentials: ClientCredentials, *, scope: ClientScope) -> Client:
    """Admit a client that gives name and secret.

    Raises:
        InvalidClient: there is no such client, or the secret is another's.
        UnauthorizedClient: it lacks the scope.
    """
    client = await _holder(connection, credentials.secret)
    if client is None or credentials.name not in {client.name, client.id}:
        raise InvalidClient("unknown or wrong")
    if scope not in client.scopes:
        raise UnauthorizedClient(scope, client_id=client.id)
    return client


async def admit_bearer(connection: Connection, service_token: str, *, scope: ClientScope) -> Client:
    """Admit a client that gives its secret alone, as a bearer token.

    Raises:
        InvalidToken: it is nobody's secret.
        InsufficientScope: the client lacks the scope.
    """
    client = await _holder(connection, service_token)
    if client is None:
        raise InvalidToken("service token")
    if scope not in client.scopes:
        raise InsufficientScope(scope, client_id=client.id)
    return client


async def _holder(connection: Connection, secret: str) -> Client | None:
    client_id = client_secrets.client_id_of(secret)
    client = None if client_id is None else await clients.find(connection, client_id=client_id)
    return client if client is not None and client_secrets.opens(secret, client) else None
