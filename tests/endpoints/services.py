"""Services that ask: clients of ours with a secret, and how they send it."""

from base64 import b64encode
from urllib.parse import quote_plus, urlencode

from quart import Response
from quart.typing import TestClientProtocol

from tests.builders import an_asker
from tests.endpoints.contract import ask
from watchword.flows import Tools
from watchword.flows.clients import add_client

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def a_service(tools: Tools, *scopes: str, name: str = "reports") -> str:
    """The secret of a new client."""
    return await add_client(
        tools.store, name=name, scopes=scopes, now=tools.clock(), asker=an_asker(tools, actor="cli")
    )


def basic(name: str, secret: str) -> dict[str, str]:
    """The header of a client that says who it is (RFC 6749 §2.3.1)."""
    encoded = b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def bearer(secret: str) -> dict[str, str]:
    """The header of a service whose secret is its token."""
    return {"Authorization": f"Bearer {secret}"}


async def send(
    client: TestClientProtocol, path: str, headers: dict[str, str], fields: dict[str, str] | str
) -> Response:
    """Send a form."""
    data = fields if isinstance(fields, str) else urlencode(fields)
    return await ask(client, "POST", path, {**FORM, **headers}, data)
