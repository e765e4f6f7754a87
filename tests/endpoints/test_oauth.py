"""What the routes under /oauth have in common: who may ask, in what form, and how they are refused."""

from base64 import b64encode
from urllib.parse import urlencode

import pytest
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests
from werkzeug.datastructures import Headers

from tests.builders import an_asker
from tests.endpoints.contract import BASIC, ask, oauth_refused
from tests.endpoints.services import FORM, a_service, basic, bearer, send
from watchword.endpoints import MAX_BODY_BYTES
from watchword.flows import Tools
from watchword.flows.clients import revoke_client
from watchword.store.connection import Statement

PATHS = ("/oauth/introspect", "/oauth/revoke")
SCOPES = ("tokens:introspect", "tokens:revoke")
BAD_CLIENT = (401, "invalid_client")
BAD_REQUEST = (400, "invalid_request")

pytestmark = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is sent is the same on any database."""
    return sqlite_url


def raw(text: str) -> dict[str, str]:
    """The header of HTTP Basic with whatever inside."""
    return {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}


async def test_a_client_proves_itself_by_basic_or_by_the_form(tools: Tools, client: Client, path: str) -> None:
    """By its name or its id, in any case of the scheme; what Basic carries is encoded as in a form."""
    secret = await a_service(tools, *SCOPES, name="a+b%c/d")
    client_id = secret[4:26]
    for headers, fields in (
        (basic("a+b%c/d", secret), {}),
        (basic(client_id, secret), {}),
        ({"Authorization": basic(client_id, secret)["Authorization"].replace("Basic ", "bASIC  ")}, {}),
        ({}, {"client_id": "a+b%c/d", "client_secret": secret}),
        ({}, {"client_id": client_id, "client_secret": secret}),
    ):
        response = await send(client, path, headers, {"token": "x", **fields})
        assert response.status_code == 200, (headers, fields)


async def test_unknown_and_wrong_are_one(tools: Tools, client: Client, path: str) -> None:
    """Whatever is wrong with who asks: 401 in the same words, with the challenge (RFC 6749 §5.2, row 94)."""
    secret, others = await a_service(tools, *SCOPES), await a_service(tools, *SCOPES, name="others")
    answers = set()
    for headers in (
        {},
        basic("reports", others),
        basic("nobody", secret),
        basic("reports", secret[:-1] + ("B" if secret[-1] == "A" else "A")),
        basic("reports", ""),
        basic("", secret),
        basic("", ""),
        basic("reports", "\0\udcff".encode("utf-8", "replace").decode()),
        raw("no colon"),
        raw(f"a+b:{secret}"),
        raw("%ff:%ff"),
        raw("reports:é"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic \xe9\xff"},
        {"Authorization": f"Digest {secret}"},
        bearer(secret),
    ):
        response = await send(client, path, headers, {"token": "x"})
        assert await oauth_refused(response, www_authenticate=BASIC) == BAD_CLIENT, headers
        answers.add(await response.get_data())
    for fields in (
        {"client_id": "reports"},
        {"client_secret": secret},
        {"client_id": "reports", "client_secret": others},
        {"client_id": "nobody", "client_secret": secret},
        {"client_id": "reports", "client_secret": "wws_\0"},
    ):
        response = await send(client, path, {}, {"token": "x", **fields})
        assert await oauth_refused(response, www_authenticate=BASIC) == BAD_CLIENT, fields
        answers.add(await response.get_data())
    assert len(answers) == 1


async def test_several_proofs_are_none(tools: Tools, client: Client, path: str) -> None:
    """RFC 6749 §2.3: one way per request, even if both would be right."""
    secret = await a_service(tools, *SCOPES)
    fields = {"client_id": "reports", "client_secret": secret}
    for extra in (fields, {"client_id": "reports"}, {"client_secret": secret}):
        response = await send(client, path, basic("reports", secret), {"token": "x", **extra})
        assert await oauth_refused(response) == BAD_REQUEST
    response = await send(client, path, bearer(secret), {"token": "x", **fields})
    assert await oauth_refused(response) == BAD_REQUEST
    twice = Headers([*FORM.items(), *basic("reports", secret).items(), *basic("reports", secret).items()])
    assert await oauth_refused(await client.post(path, headers=twice, data="token=x")) == BAD_REQUEST


async def test_a_client_does_only_what_it_is_there_for(tools: Tools, client: Client, path: str) -> None:
    """A client that we know and that lacks the scope is 403 ``unauthorized_client``, whatever the token."""
    other = SCOPES[1 - PATHS.index(path)]
    secret = await a_service(tools, other, "metrics:read", "revocations:read")
    for token in ("x", "wwr_" + "A" * 22 + ".0." + "A" * 43, secret):
        response = await send(client, path, basic("reports", secret), {"token": token})
        assert await oauth_refused(response) == (403, "unauthorized_client")


async def test_a_revoked_client_is_refused_with_its_next_request(tools: Tools, client: Client, path: str) -> None:
    """Nothing remembers who it was."""
    secret = await a_service(tools, *SCOPES)
    assert (await send(client, path, basic("reports", secret), {"token": "x"})).status_code == 200
    await revoke_client(tools.store, name="reports", asker=an_asker(tools, actor="cli"))
    response = await send(client, path, basic("reports", secret), {"token": "x"})
    assert await oauth_refused(response, www_authenticate=BASIC) == BAD_CLIENT


@pytest.mark.parametrize(
    "body",
    [
        "",
        "token=",
        "tokens=x",
        "token=x&token=x",
        "token=x&token=",
        "token=x&token_type_hint=a&token_type_hint=b",
        "token=x&other=1&other=2",
        "token=x&%74oken=y",
        "token=%",
        "token=%zz",
        "token=%ff",
        "token=%ed%a0%80",
        "token=x y",
        "token=é",
        "token=x\n",
        '{"token": "x"}',
        "token=x" + "&" * 32,
    ],
)
async def test_a_form_is_read_strictly(tools: Tools, client: Client, path: str, body: str) -> None:
    """No token, a parameter twice, or what is no encoded form: 400, with no guess at what was meant (RFC 6749 §3.2)."""
    secret = await a_service(tools, *SCOPES)
    response = await send(client, path, basic("reports", secret), body)
    assert await oauth_refused(response) == BAD_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        "token=x&token_type_hint=no_such_type",
        "token=x&more=1&&empty=&a=%00",
        "token=%C3%A9+",
        "token=%00",
        "token=x" + "&" * 31,
    ],
)
async def test_what_we_do_not_know_is_passed_over(tools: Tools, client: Client, path: str, body: str) -> None:
    """Other parameters, hints and characters do no harm."""
    secret = await a_service(tools, *SCOPES)
    assert (await send(client, path, basic("reports", secret), body)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=latin-1"},
        {"Content-Type": "application/x-www-form-urlencoded; charset = latin-1"},
        {"Content-Type": ""},
        {"Content-Type": FORM["Content-Type"] + ";a=b" * 60},
        {**FORM, "Content-Encoding": "gzip"},
    ],
)
async def test_only_a_form_is_read(tools: Tools, client: Client, path: str, headers: dict[str, str]) -> None:
    """Any other label is 400, RFC 6749 §5.2's status for all that is malformed."""
    secret = await a_service(tools, *SCOPES)
    response = await ask(client, "POST", path, {**headers, **basic("reports", secret)}, "token=x")
    assert await oauth_refused(response) == BAD_REQUEST
    label = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    response = await ask(client, "POST", path, {**label, **basic("reports", secret)}, "token=x")
    assert response.status_code == 200


async def test_nothing_is_taken_from_the_address(tools: Tools, client: Client, path: str) -> None:
    """A token or a secret in the query is refused, also where the body has one: it is in some log already (row 58)."""
    secret = await a_service(tools, *SCOPES)
    for query, fields in (
        ("token=x", {}),
        ("token=x", {"token": "x"}),
        (urlencode({"client_id": "reports", "client_secret": secret}), {"token": "x"}),
        (f"access_token={secret}", {"token": "x"}),
    ):
        response = await send(client, f"{path}?{query}", basic("reports", secret), fields)
        assert await oauth_refused(response) == BAD_REQUEST


async def test_a_body_has_its_bounds(tools: Tools, client: Client, path: str) -> None:
    """Up to 16 KiB it is read, beyond it is 413 in the words of the RFC (row 28)."""
    secret = await a_service(tools, *SCOPES)
    for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
        response = await send(client, path, basic("reports", secret), "token=".ljust(size, "x"))
        assert response.status_code == status
    assert await oauth_refused(response) == (413, "invalid_request")


async def test_what_is_not_there_answers_alike(client: Client, path: str) -> None:
    """A path beside ours under /oauth/ has the body that clients there read."""
    for beside in (f"{path}/", f"{path}/x", "/oauth/token"):
        assert await oauth_refused(await ask(client, "POST", beside)) == (404, "invalid_request")


async def test_a_database_that_is_away_is_503(tools: Tools, client: Client, path: str) -> None:
    """Who asks is not known then, so nothing is said: 503 with Retry-After, never 200 nor 401 (row 77)."""
    secret = await a_service(tools, *SCOPES)
    away = Statement("ALTER TABLE clients RENAME TO away")
    await tools.store.write(lambda connection: connection.fetch(away))
    response = await send(client, path, basic("reports", secret), {"token": "x"})
    assert await oauth_refused(response, retry_after="1") == (503, "temporarily_unavailable")
