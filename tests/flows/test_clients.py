"""Service accounts: who is one, who is admitted, and what a secret is worth after its client is revoked."""

from functools import partial
from operator import methodcaller

import pytest

from tests.builders import FakeClock, an_asker
from watchword.errors import (
    InsufficientScope,
    InvalidClient,
    InvalidRequest,
    InvalidToken,
    UnauthorizedClient,
    Unconfirmed,
)
from watchword.flows import Tools
from watchword.flows.admission import ClientCredentials, admit, admit_bearer
from watchword.flows.clients import add_client, list_clients, revoke_client
from watchword.model import Client, ClientScope
from watchword.store.connection import Statement


async def added(tools: Tools, name: str = "reports", *scopes: str) -> str:
    """The secret of a new client."""
    return await add_client(
        tools.store,
        name=name,
        scopes=scopes or ["tokens:introspect"],
        now=tools.clock(),
        asker=an_asker(tools, actor="cli"),
    )


async def listed(tools: Tools) -> list[Client]:
    """All clients."""
    return [client async for client in list_clients(tools.store)]


async def test_a_client_is_what_was_asked_for(tools: Tools, clock: FakeClock) -> None:
    """Name, time, and each scope once."""
    await added(tools, "reports", "tokens:revoke", "metrics:read", "tokens:revoke")
    (client,) = await listed(tools)
    assert (client.name, client.scope, client.created_at) == ("reports", "tokens:revoke metrics:read", clock.now)


async def test_a_name_is_one_that_basic_can_carry(tools: Tools) -> None:
    """Visible ASCII without colons, 64 characters at most; anything else is refused before it is stored."""
    for name in ("", "a b", "a:b", "a\tb", "a\nb", "a\n", "a\x00", "a\x7f", "é", "x" * 65):
        with pytest.raises(InvalidRequest, match=r"^name: "):
            await added(tools, name)
    assert await listed(tools) == []
    visible = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != ":")
    for name in (visible[:64], visible[-64:]):
        await added(tools, name)
    assert {client.name for client in await listed(tools)} == {visible[:64], visible[-64:]}


async def test_a_scope_that_we_do_not_know_is_refused_with_those_that_we_do(tools: Tools) -> None:
    """A typing error does not become a client that may do nothing."""
    for scopes in ([], ["admin"], [""], ["tokens:introspect", "Metrics:read"]):
        with pytest.raises(InvalidRequest) as refusal:
            await add_client(tools.store, name="reports", scopes=scopes, now=0, asker=an_asker(tools, actor="cli"))
        assert all(scope in str(refusal.value) for scope in ClientScope)
    assert await listed(tools) == []


async def test_a_client_is_admitted_by_its_name_or_its_id(tools: Tools) -> None:
    """Both go with the one secret, and as a bearer token it goes alone."""
    secret = await added(tools)
    (client,) = await listed(tools)
    scope = ClientScope.TOKENS_INTROSPECT
    for name in (client.name, client.id):
        credentials = ClientCredentials(name, secret)
        assert await tools.store.read(partial(admit, credentials=credentials, scope=scope)) == client
    assert await tools.store.read(partial(admit_bearer, service_token=secret, scope=scope)) == client


async def test_whoever_has_proven_nothing_is_not_admitted(tools: Tools) -> None:
    """Another name, another client's secret, none, and the digest itself: all the same refusal."""
    secret, others = await added(tools), await added(tools, "others")
    digest = (await listed(tools))[0].secret_digest.hex()
    scope = ClientScope.TOKENS_INTROSPECT
    for name, presented in (
        ("nobody", secret),
        ("REPORTS", secret),
        ("", secret),
        ("reports", others),
        ("reports", secret[:-1]),
        ("reports", ""),
        ("reports", digest),
    ):
        with pytest.raises(InvalidClient):
            await tools.store.read(partial(admit, credentials=ClientCredentials(name, presented), scope=scope))
    with pytest.raises(InvalidToken):
        await tools.store.read(partial(admit_bearer, service_token=digest, scope=scope))


async def test_a_client_does_only_what_it_is_there_for(tools: Tools) -> None:
    """Of the scopes each opens its own door."""
    secret = await added(tools, "reports", "revocations:read")
    assert (
        await tools.store.read(partial(admit_bearer, service_token=secret, scope=ClientScope.REVOCATIONS_READ))
        == (await listed(tools)).pop()
    )
    with pytest.raises(InsufficientScope):
        await tools.store.read(partial(admit_bearer, service_token=secret, scope=ClientScope.METRICS_READ))
    credentials = ClientCredentials("reports", secret)
    with pytest.raises(UnauthorizedClient):
        await tools.store.read(partial(admit, credentials=credentials, scope=ClientScope.TOKENS_REVOKE))


async def test_a_revoked_client_is_refused_at_once(tools: Tools) -> None:
    """Also when another takes its name."""
    secret = await added(tools)
    await revoke_client(tools.store, name="reports", asker=an_asker(tools, actor="cli"))
    await added(tools)
    credentials, scope = ClientCredentials("reports", secret), ClientScope.TOKENS_INTROSPECT
    with pytest.raises(InvalidClient):
        await tools.store.read(partial(admit, credentials=credentials, scope=scope))
    with pytest.raises(InvalidToken):
        await tools.store.read(partial(admit_bearer, service_token=secret, scope=scope))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_may_have_been_done_is_not_told_as_failed(tools: Tools) -> None:
    """The server goes away while it commits, after which a client may be there, or gone, all the same."""
    await added(tools)
    for statement in (
        "CREATE FUNCTION cut() RETURNS trigger AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;"
        " END' LANGUAGE plpgsql",
        "CREATE CONSTRAINT TRIGGER cut AFTER INSERT OR DELETE ON clients DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION cut()",
    ):
        await tools.store.write(methodcaller("fetch", Statement(statement)))
    with pytest.raises(Unconfirmed, match="whether it was done is not known"):
        await added(tools, "others")
    with pytest.raises(Unconfirmed, match="whether it was done is not known"):
        await revoke_client(tools.store, name="reports", asker=an_asker(tools, actor="cli"))
