"""GET /me: what the token says about its bearer, and nothing but the token is asked."""

from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, add_user, an_asker
from tests.builders import log_in as log_in_flow
from tests.endpoints.conftest import LogIn
from tests.endpoints.contract import INVALID, opened, refused
from watchword import endpoints
from watchword.flows import Tools, admin
from watchword.guard import Guard
from watchword.store.connection import Statement

LATEST_SESSION = Statement("SELECT id FROM sessions")


async def test_the_claims_of_the_bearer(tools: Tools, client: Client, clock: FakeClock, log_in: LogIn) -> None:
    """The answer is the token's claims, in the contract's names and order."""
    user = await add_user(tools, "Zoë", scope="b a")
    token = await log_in("zoë")
    clock.advance(5)
    members = await opened(await client.get("/me", headers={"Authorization": f"Bearer {token}"}))
    ((sid,),) = await tools.store.read(lambda connection: connection.fetch(LATEST_SESSION))
    then = clock.now - 5
    assert list(members.items()) == [
        ("sub", user.id),
        ("username", "Zoë"),
        ("scope", "b a"),
        ("sid", sid),
        ("iat", then),
        ("exp", then + 900),
        ("auth_time", then),
    ]


async def test_a_token_is_over_when_it_says_so(tools: Tools, client: Client, clock: FakeClock, log_in: LogIn) -> None:
    """In the second of exp the token is over, the one before it is not (RFC 7519 §4.1.4)."""
    await add_user(tools)
    headers = {"Authorization": f"Bearer {await log_in()}"}
    clock.advance(899)
    assert (await client.get("/me", headers=headers)).status_code == 200
    clock.advance(1)
    assert await refused(await client.get("/me", headers=headers), www_authenticate=INVALID) == (401, "invalid_token")


async def test_no_database_is_asked(tools: Tools) -> None:
    """With the store closed and the user gone the token is answered as before."""
    app = Quart("without a database")
    Guard(app, keys=tools.ring, issuer=tools.profile.issuer, audience=tools.profile.audience, clock=tools.clock)
    endpoints.mount(app, tools)
    await add_user(tools)
    issued = await log_in_flow(tools, username="alice", password=PASSWORD)
    await admin.delete_user(tools.store, username="alice", now=tools.clock(), token_lifetime=900, asker=an_asker(tools))
    await tools.store.close()
    response = await app.test_client().get("/me", headers={"Authorization": f"Bearer {issued.token}"})
    assert (await opened(response))["username"] == "alice"
