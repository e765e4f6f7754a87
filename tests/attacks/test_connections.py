"""What is no request yet: other protocols, heads that cannot be read, connections on which nothing comes."""

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attacks.raw import answer, ask, connection, is_closed, request
from tests.servers import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

UNREADABLE = {
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "another version": b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
    "a version before the first": b"GET /healthz HTTP/0.9\r\nHost: a\r\n\r\n",
    "the beginning of HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a space in a name": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
    "a line feed alone in a value": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\nb\x00\r\n\r\n",
    "two lengths": request("POST", "/login", "Content-Length: 3", "Content-Length: 4") + b"abcd",
    "a negative length": request("POST", "/login", "Content-Length: -1"),
    "a length that is none": request("POST", "/login", "Content-Length: 0x10"),
    "another transfer coding": request("POST", "/login", "Transfer-Encoding: gzip"),
    "a transfer coding beside chunked": request("POST", "/login", "Transfer-Encoding: chunked, identity"),
    "a chunk without a length": request("POST", "/login", "Transfer-Encoding: chunked") + b"z\r\nabc\r\n",
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_refused_like_all_else_and_the_connection_ends(service: Server, data: bytes) -> None:
    """Rows 30 and 96: the server's own refusals have our headers and shape and a line in the log; nothing follows."""
    with connection(service) as connected:
        connected.sendall(data + request("GET", "/healthz"))
        refusal = answer(connected)
        assert refusal.refused() in {(400, "invalid_request"), (415, "unsupported_media_type")}
        assert refusal.headers["connection"] == "close"
        assert is_closed(connected)
    assert refusal.headers["x-request-id"] in service.logged()


def test_a_head_without_end_is_refused_before_it_fills_memory(service: Server) -> None:
    """Row 28: of a head that goes on and on no more is kept than a limit."""
    with connection(service) as connected:
        connected.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000)
        refusal = answer(connected)
    assert refusal.refused() == (431, "invalid_request")
    assert refusal.headers["connection"] == "close"


@pytest.mark.parametrize(
    "data",
    [
        request("GET", "/healthz", *["a:"] * 15_000),
        request("POST", "/login", "Transfer-Encoding: chunked") + b"0\r\n" + b"a:\r\n" * 15_000 + b"\r\n",
    ],
    ids=["in the head", "behind the body"],
)
def test_thousands_of_fields_that_come_at_once_are_refused(service: Server, data: bytes) -> None:
    """Row 28: to read them would take so long that it is felt by everybody else."""
    refusal = ask(service, data)
    assert refusal.refused() == (431, "invalid_request")
    assert refusal.headers["connection"] == "close"


@pytest.mark.parametrize(("body", "status"), [(b"zz\r\n", 400), (b"0\r\nX: " + b"x" * 3_000, 431)])
def test_a_body_in_bad_chunks_is_refused_in_the_words_of_the_path(service: Server, body: bytes, status: int) -> None:
    """Row 96: a client of OAuth gets the body of RFC 6749 §5.2 whatever is wrong behind a head that can be read."""
    form = "Content-Type: application/x-www-form-urlencoded"
    refusal = ask(service, request("POST", "/oauth/introspect", form, "Transfer-Encoding: chunked") + body)
    assert refusal.status == status
    sentence = "The request cannot be answered"
    assert json.loads(refusal.body) == {"error": "invalid_request", "error_description": sentence}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("POST", "/login", "Content-Type: application/json", "Content-Length: 900000"), 413),
        (request("GET", "/me", "Content-Length: 900000"), 401),
        (b"no request\r\n\r\n", 400),
    ],
)
def test_who_is_still_writing_gets_the_answer_and_no_broken_pipe(service: Server, data: bytes, status: int) -> None:
    """Row 28: a proxy that met one would answer 502 and take us for broken. Who writes for ever meets it at last."""
    with connection(service) as connected:
        connected.sendall(data)
        refusal = answer(connected)
        assert refusal.status == status
        assert refusal.headers["connection"] == "close"
        for _ in range(20):
            connected.sendall(b"x" * 40_000)
        assert connected.recv(1) == b""  # our end of the connection is closed, and theirs was not reset
        with pytest.raises(ConnectionError):  # noqa: PT012 - how often one can write is the kernel's to say
            while True:
                connected.sendall(b"x" * 40_000)
                time.sleep(0.01)


def test_nobody_changes_to_http_2_on_clear_text(service: Server) -> None:
    """Row 31: a request to upgrade is answered as any other, and who begins with HTTP/2 is refused in HTTP/1.1."""
    upgrade = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings")
    lines = "\r\n".join(["GET /healthz HTTP/1.1", "Host: localhost", *upgrade, "", ""])
    with connection(service) as connected:
        connected.sendall(lines.encode())
        first = answer(connected)
        assert (first.status, json.loads(first.body)) == (200, {"status": "alive"})
        assert "upgrade" not in first.headers
    with connection(service) as connected:
        connected.sendall(PREFACE + SETTINGS)
        assert answer(connected).status >= 400


def test_a_connection_on_which_nothing_comes_is_closed(service: Server) -> None:
    """Row 29: who says nothing, half a head, or a head letter by letter, is cut off while others are answered."""
    with ExitStack() as stack:
        idle, half, slow, done = (stack.enter_context(connection(service)) for _ in range(4))
        half.sendall(b"GET /healthz HT")
        done.sendall(request("GET", "/healthz").replace(b"Connection: close\r\n", b""))
        assert answer(done).status == 200
        began = time.monotonic()
        while time.monotonic() < began + 20 and not _has_ended(slow):
            slow_letter(slow)
            assert ask(service, request("GET", "/healthz")).status == 200
            time.sleep(0.5)
        assert all(map(is_closed, (idle, half, done)))
        assert _has_ended(slow)


@pytest.mark.parametrize("asks", [500, 2], ids=["more than is buffered", "no more than is buffered"])
def test_who_does_not_take_the_answers_is_cut_off(service: Server, asks: int) -> None:
    """Row 29: a client that asks again and again and reads nothing does not keep its connection."""
    data = request("GET", "/openapi.json").replace(b"Connection: close\r\n", b"") * asks
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        greedy.connect(service.address)
        greedy.sendall(data)
        _, port = greedy.getsockname()
        began = time.monotonic()
        time.sleep(1)
        assert is_held(port)
        while is_held(port):
            assert time.monotonic() < began + 20
            assert ask(service, request("GET", "/healthz")).status == 200
            time.sleep(0.2)


def is_held(port: int) -> bool:
    """Whether a process has the other end of the connection from a port open, as Linux tells of its sockets."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(remote.endswith(f":{port:04X}") and inode != "0" for _, _, remote, *_, inode in (f[:10] for f in fields))


def slow_letter(connected: socket.socket) -> None:
    """Send one more byte of a head that never ends, if anybody still takes it."""
    try:
        connected.sendall(b"G")
    except OSError:
        return


def _has_ended(connected: socket.socket) -> bool:
    connected.setblocking(False)
    try:
        return connected.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connected.settimeout(10)
