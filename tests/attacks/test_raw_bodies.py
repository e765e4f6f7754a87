"""Bodies as no client sends them, at a real server: refused, the connection closed where it must be, nothing broken."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.attacks.raw import SECONDS, answer, ask, connection, has_answered, is_closed, log_in, request
from tests.builders import PASSWORD
from tests.servers import Server

JSON = "Content-Type: application/json"
GOOD = json.dumps({"username": "alice", "password": PASSWORD}).encode()
ENDLESS = 64 * 1024 * 1024


@pytest.fixture(autouse=True)
def still_works(service: Server) -> Iterator[None]:
    """After every one of these a good login on a new connection is good."""
    yield
    assert log_in(service, "alice", PASSWORD).status == 200


@pytest.mark.parametrize(
    "labels",
    [
        (JSON, JSON),
        (JSON, "Content-Type: text/plain"),
        ("content-type: text/plain", JSON),
        ("X-Content-Type: application/json",),
    ],
)
def test_two_labels(service: Server, labels: tuple[str, ...]) -> None:
    """A body under two labels, or none, is 415 (row 27)."""
    assert ask(service, request("POST", "/login", *labels, body=GOOD)).refused() == (415, "unsupported_media_type")


@pytest.mark.parametrize("length", ["16385", "16777216", "2000000000", "9" * 18])
def test_a_length_beyond_the_cap(service: Server, length: str) -> None:
    """A length beyond the cap is refused before any of the body comes, and the connection is closed (row 28)."""
    with connection(service) as connected:
        lines = ["POST /login HTTP/1.1", "Host: localhost", JSON, f"Content-Length: {length}", "", ""]
        connected.sendall("\r\n".join(lines).encode())
        assert answer(connected).refused() == (413, "payload_too_large")
        assert is_closed(connected)


def test_chunks_without_end(service: Server) -> None:
    """A body that never ends is cut at the cap: 413, and the connection is closed (row 28)."""
    with connection(service) as connected:
        lines = ["POST /login HTTP/1.1", "Host: localhost", JSON, "Transfer-Encoding: chunked", "", ""]
        connected.sendall("\r\n".join(lines).encode())
        sent = 0
        with contextlib.suppress(ConnectionError):  # closed while we were still sending
            while not has_answered(connected):
                connected.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
                sent += 4096
                assert sent < ENDLESS
        assert answer(connected).refused() == (413, "payload_too_large")
        assert is_closed(connected)


def test_a_large_body_sent_whole(service: Server) -> None:
    """Sixteen megabytes are refused, whether or not the client listens before it has sent them all."""
    with connection(service) as connected, contextlib.suppress(ConnectionError):  # closed while we were still sending
        connected.sendall(request("POST", "/login", JSON, body=b" " * 16_777_216))
        assert answer(connected).status == 413


def test_a_body_in_pieces(service: Server) -> None:
    """A good body is good byte by byte, and in chunks of one byte."""
    with connection(service) as connected:
        head, _, body = request("POST", "/login", JSON, body=GOOD).partition(b"\r\n\r\n")
        connected.sendall(head + b"\r\n\r\n")
        for byte in body:
            connected.sendall(bytes([byte]))
        assert answer(connected).status == 200
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"
    assert ask(service, request("POST", "/login", JSON, "Transfer-Encoding: chunked") + chunks).status == 200


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: -5",),
        ("Content-Length: +5",),
        ("Content-Length: 5, 6",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 0x5",),
        ("Content-Length: x",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: x",),
    ],
)
def test_a_body_of_unclear_length(service: Server, framing: tuple[str, ...]) -> None:
    """Where the end of the body is in doubt the server refuses and closes: nothing behind it is a request (row 30)."""
    smuggled = request("GET", "/healthz")
    with connection(service) as connected:
        lines = ["POST /login HTTP/1.1", "Host: localhost", JSON, *framing, "", ""]
        connected.sendall("\r\n".join(lines).encode() + GOOD + smuggled)
        assert answer(connected).status in {400, 501}
        assert is_closed(connected)


@pytest.mark.parametrize("line", ["POST /login", "PUT /login", "POST /%6cogin", "POST http:/login", "POST /nowhere"])
def test_a_body_with_two_ends_is_the_last_of_its_connection(service: Server, line: str) -> None:
    """Whatever else is wrong with a request that has a length and chunks, nothing behind it is one (row 30)."""
    framing = ("Content-Length: 5", "Transfer-Encoding: chunked")
    with connection(service) as connected:
        lines = [f"{line} HTTP/1.1", "Host: localhost", JSON, *framing, "", ""]
        connected.sendall("\r\n".join(lines).encode() + b"0\r\n\r\n" + request("GET", "/healthz"))
        assert answer(connected).refused() == (400, "invalid_request")
        assert is_closed(connected)


def test_a_client_that_leaves_in_the_middle_of_a_body(service: Server) -> None:
    """A connection that ends before its body does is forgotten."""
    for _ in range(20):
        with connection(service) as connected:
            connected.sendall(request("POST", "/login", JSON, body=GOOD)[:-5])
    with connection(service) as connected:
        connected.settimeout(SECONDS)
        connected.sendall(request("GET", "/readyz"))
        assert answer(connected).status == 200
