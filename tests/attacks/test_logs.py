"""What a client sends cannot end a line of the log, forge another, or be read there, whatever it is (row 99)."""

import json

import pytest

from tests.attacks.raw import ask, log_in, request
from tests.builders import PASSWORD
from tests.servers import Server

FORGED = '{"level": "error", "event": "canary"}'
JSON = "Content-Type: application/json"


def credentials(username: str) -> bytes:
    """A login under a name."""
    body = json.dumps({"username": username, "password": "canary"}).encode()
    return request("POST", "/login", JSON, body=body)


REQUESTS = {
    "a line end in the path": request("GET", f"/%0d%0a{FORGED.replace(' ', '%20')}"),
    "an escape in the path": request("GET", "/%1b%5b31mcanary"),
    "a quote in the path": request("GET", '/"canary'),
    "a line end in the query": request("GET", f"/me?x=%0d%0a{FORGED.replace(' ', '%20')}"),
    "an escape in a header": request("GET", "/me", "User-Agent: \x1b[31mcanary\x1b[0m"),
    "a quote in a header": request("GET", "/me", f'Referer: "}}\\n{FORGED}'),
    "bytes in a header": request("GET", "/me", "User-Agent: canary \xff\xfe\x85\xc2\x85"),
    "a carriage return in a header": request("GET", "/me", f"User-Agent: x\r{FORGED}"),
    "a line end in a header": request("GET", "/me", f"User-Agent: x\n{FORGED}"),
    "a quote in the method": request('GET"canary', "/me"),
    "a long method": request("CANARY" * 1000, "/me"),
    "a quote in a token": request("GET", "/me", f'Authorization: Bearer "{FORGED}'),
    "a forwarded address": request("GET", "/me", f"X-Forwarded-For: {FORGED}", f"Forwarded: for={FORGED}"),
    "a request id": request("GET", "/me", f"X-Request-Id: {FORGED}"),
    "a strange host": request("GET", "/me", f"Host: {FORGED}"),
    "a line end in a name": credentials(f"\r\n{FORGED}"),
    "an escape in a name": credentials("\x1b[31mcanary\u2028"),
    "no JSON": request("POST", "/login", JSON, body=b"\r\n" + FORGED.encode() + b"\x1b"),
    "no HTTP": b"canary\r\n\r\n",
    "no text": bytes(range(256)) * 4,
}
ATTEMPTS = {"a line end in a name", "an escape in a name"}
"""Which leave a line of what happened beside the one of the request."""


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_log_stays_readable(service: Server, kind: str) -> None:
    """Each line that a request leaves is one JSON object of printable text without anything that the client chose."""
    before = len(service.logged())
    answer = ask(service, REQUESTS[kind])
    assert 400 <= answer.status < 500
    expected = (2 if kind in ATTEMPTS else 1) if "x-request-id" in answer.headers else 0
    written = service.logged(expected, since=before)
    assert "canary" not in written
    assert written.count("\n") == expected
    for line in written.splitlines():
        assert line.isprintable()
        assert json.loads(line)["request_id"] == answer.headers["x-request-id"]


def test_all_that_was_ever_logged(service: Server, token: str) -> None:
    """Whatever was done to this server: each line is one JSON object, none is an error, no secret is in any."""
    log_in(service, "alice", "a wrong password")
    given = json.loads(log_in(service, "alice", PASSWORD).body)
    body = json.dumps({"refresh_token": given["refresh_token"]}).encode()
    refreshed = json.loads(ask(service, request("POST", "/refresh", JSON, body=body)).body)
    ask(service, request("POST", "/logout", f"Authorization: Bearer {refreshed['token']}"))
    log = service.logged()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    for secret in (
        PASSWORD,
        "a wrong password",
        token,
        token.rpartition(".")[2],
        "argon2id",
        "wwr_",
        given["token"],
        refreshed["refresh_token"].rpartition(".")[2],
        service.environ["WATCHWORD_SECRET_KEY"],
    ):
        assert secret not in log
