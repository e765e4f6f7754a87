"""Paths, methods and hosts as no client writes them, at a real server: none opens what a proxy in front has closed."""

import json
from base64 import b64encode

import pytest

from tests.attacks.raw import Answer, answer, ask, connection, request
from tests.builders import PASSWORD
from tests.endpoints.contract import BARE, COMMON
from tests.servers import Server

OTHER_PATHS = (
    "//me", "///me", "/%6de", "/%6d%65", "/m%65", "/me/", "/me//", "/./me", "/me/.", "/x/../me", "/%2e/me", "/ME",
    "/me%00", "/me%20", "/me%2f", "/%2fme", "/me;x", "/;/me", "/me;x=1?y", "/me#x", "/me%23", "/me%3f", "/\\me",
    "/me\\", "me", "http:/me", "x:/me", "http:me", "http://localhost/me", "http:///me", "me:80", "*", "?", "/",
    "//", "///",
)  # fmt: skip

HOSTS = (
    "a..b", ".", "..", "x" * 64, "x" * 3000, "xn--", "\xe4\xf6\xfc", "\xff", "a b", "[", "]", "[::1", "@", "a@b",
    "a:b", "a:99999", "a,b", "a/b", "a?b", "\\", "%00", "",
)  # fmt: skip

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.fixture
def bearer(token: str) -> str:
    """The header of somebody who may pass."""
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_another_spelling_of_a_path_is_not_there(service: Server, bearer: str, path: str) -> None:
    """A guarded endpoint answers to one spelling of its path, though the bearer may pass (row 35)."""
    assert ask(service, request("GET", path, bearer)).refused() == (404, "not_found")


@pytest.mark.parametrize("path", ["/me", "/me?", "/me?x=%ff&/../", "/me?//"])
def test_the_one_spelling_is_there(service: Server, bearer: str, path: str) -> None:
    """The control: the path itself opens to the same bearer, with any query."""
    answer = ask(service, request("GET", path, bearer))
    assert (answer.status, json.loads(answer.body)["username"]) == (200, "alice")


def test_another_spelling_of_a_login_is_not_there(service: Server) -> None:
    """Nor does POST /login answer to another path, where a proxy would count no attempts."""
    body = json.dumps({"username": "alice", "password": PASSWORD}).encode()
    for path in ("//login", "/%6cogin", "login", "http:/login", "/login/", "/LOGIN"):
        answer = ask(service, request("POST", path, "Content-Type: application/json", body=body))
        assert answer.refused() == (404, "not_found"), path


@pytest.mark.parametrize("method", ["GET\x00", "POST", "TRACE", "OPTIONS", "CONNECT", "FOO", "PRI"])
def test_another_method_is_not_allowed(service: Server, bearer: str, method: str) -> None:
    """Any other method is told the right ones; what is no method at all is refused by the server (row 33)."""
    answer = ask(service, request(method, "/me", bearer, "X-Canary: canary"))
    if "\x00" in method:
        assert answer.refused() == (400, "invalid_request")
        return
    assert answer.refused(allow=answer.headers["allow"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert b"canary" not in answer.body


@pytest.mark.parametrize("method", ["post", "Post", "pOST"])
def test_another_spelling_of_a_method_is_none(service: Server, method: str) -> None:
    """Methods are told apart by case (RFC 9110 §9.1): no ``post`` logs in past a proxy that counts POST (row 35)."""
    for path in ("/login", "/logout"):  # before Quart and behind it
        assert ask(service, request(method, path)).refused() == (400, "invalid_request"), path
    assert ask(service, request(method, "/oauth/revoke")).status == 400


@pytest.mark.parametrize("host", HOSTS, ids=range(len(HOSTS)))
def test_a_strange_host_is_no_fault_of_ours(service: Server, bearer: str, host: str) -> None:
    """A Host header that names no host is ignored or 400, never a 500, in a WebSocket handshake too."""
    plain = ask(service, f"GET /me HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{bearer}\r\n\r\n".encode("latin-1"))
    lines = "\r\n".join(["GET /me HTTP/1.1", f"Host: {host}", *UPGRADE, bearer])
    upgrade = ask(service, f"{lines}\r\n\r\n".encode("latin-1"))
    assert upgrade.status == plain.status
    if plain.status != 200:
        assert plain.refused() == upgrade.refused() == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/me", "/login", "/nope", "/healthz", "//me", "me"])
def test_a_handshake_of_a_websocket_is_answered_like_any_request(service: Server, bearer: str, path: str) -> None:
    """There are no WebSockets here: who asks for one gets the answer to a request that asks for nothing (row 31)."""
    plain, upgrade = (ask(service, request("GET", path, *headers, bearer)) for headers in ((), UPGRADE))
    assert upgrade.status == plain.status
    assert "upgrade" not in upgrade.headers
    assert upgrade.headers["x-request-id"] in service.logged()


def test_head_sends_no_body(service: Server, bearer: str) -> None:
    """HEAD gives the headers of GET and ends there."""
    with connection(service) as connected:
        connected.sendall(request("HEAD", "/me", bearer))
        data = b""
        while part := connected.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: " in head
    assert body == b""


def test_keys_that_are_known_are_not_sent_again(service: Server) -> None:
    """304 ends with its headers, which say nothing of a body, and the connection goes on."""
    target = "/.well-known/jwks.json"
    tag = ask(service, request("GET", target)).headers["etag"]
    with connection(service) as connected:
        connected.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n".encode())
        told = answer(connected)
        assert (told.status, told.headers["etag"], told.body) == (304, tag, b"")
        assert not {"content-type", "content-length", "transfer-encoding"} & told.headers.keys()
        connected.sendall(request("GET", "/healthz"))
        assert answer(connected).status == 200


def test_no_answer_names_the_server(service: Server, bearer: str) -> None:
    """Neither Server nor any header of its kind tells what runs here (row 96)."""
    answers = [
        ask(service, request("GET", "/me", bearer)),
        ask(service, request("GET", "/nope")),
        ask(service, b"GET /healthz HTTP/1.1\r\nHost: a..b\r\n\r\n"),
    ]
    common = {*COMMON, "x-request-id", "content-length", "date", "connection"}
    for each in answers:
        assert each.headers.keys() - common == set()


class TestCredentialsElsewhere:
    """Credentials anywhere but in the body or in the one header are not looked at (rows 36 and 58)."""

    def test_in_the_query(self, service: Server, token: str) -> None:
        """A name and a password, or a token, in the query: refused, and the log has nothing of them."""
        secret = "canary+of+the+query"
        login = f"/login?username=alice&password={PASSWORD.replace(' ', '+')}&x={secret}"
        assert ask(service, request("POST", login)).refused() == (415, "unsupported_media_type")
        assert ask(service, request("GET", login)).refused(allow="POST") == (405, "method_not_allowed")
        empty = ask(service, request("POST", login, "Content-Type: application/json", body=b"{}"))
        assert empty.refused() == (400, "invalid_request")
        answer = ask(service, request("GET", f"/me?access_token={token}&token={token}&x={secret}"))
        assert answer.refused(www_authenticate=BARE) == (401, "missing_token")
        log = service.logged()
        assert secret not in log
        assert token not in log
        assert PASSWORD.replace(" ", "+") not in log

    def test_in_a_form(self, service: Server) -> None:
        """A form with the right credentials is of another type."""
        body = f"username=alice&password={PASSWORD.replace(' ', '+')}".encode()
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            answer = ask(service, request("POST", "/login", f"Content-Type: {kind}", body=body))
            assert answer.refused() == (415, "unsupported_media_type")

    def test_in_basic_authentication(self, service: Server) -> None:
        """The right name and password as Basic open nothing, and count as no token."""
        basic = f"Authorization: Basic {b64encode(f'alice:{PASSWORD}'.encode()).decode()}"
        assert ask(service, request("POST", "/login", basic)).refused() == (415, "unsupported_media_type")
        assert ask(service, request("GET", "/me", basic)).refused(www_authenticate=BARE) == (401, "missing_token")

    def test_in_two_headers(self, service: Server, bearer: str) -> None:
        """Two Authorization headers, in either order, joined by a comma, or folded: never 200 (row 59)."""
        name, value = bearer.split(": ", 1)
        others: list[tuple[str, ...]] = [
            (bearer, bearer),
            (bearer, f"{name}: Bearer x"),
            (f"{name}: Bearer x", bearer),
            (f"{name}: Basic YTpi", bearer),
            (bearer, f"{name}: Basic YTpi"),
            (bearer, bearer.lower()),
            (f"{bearer}, Bearer x",),
            (f"{bearer}, {value}",),
            (f"{bearer}\r\n x",),
        ]
        assert {ask(service, request("GET", "/me", *headers)).status for headers in others} == {401}


def test_the_answers_so_far_left_a_healthy_server(service: Server, bearer: str) -> None:
    """After all that the process is the same, and a good request is good."""
    assert service.process.poll() is None
    answer: Answer = ask(service, request("GET", "/me", bearer))
    assert answer.status == 200
