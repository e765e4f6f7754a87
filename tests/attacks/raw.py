"""Bytes to a real server, and the answer taken apart: for what no well-behaved client would send."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.endpoints.contract import COMMON, check
from tests.servers import Server

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered.

    Attributes:
        status: the status.
        headers: by lower-case name, each sent once.
        body: the bytes of the body.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def refused(self, **changes: str) -> tuple[int, str]:
        """Status and code of an error answer that is in every other respect as the contract says."""
        headers = dict(self.headers)
        headers.pop("date")
        headers.pop("connection", None)
        check(headers, {**COMMON, **{name.replace("_", "-"): value for name, value in changes.items()}}, self.body)
        members: dict[str, Any] = json.loads(self.body)
        assert list(members) == ["error", "code", "request_id"]
        assert members["request_id"] == self.headers["x-request-id"]
        return self.status, members["code"]


@contextmanager
def connection(server: Server) -> Iterator[socket.socket]:
    """A connection to the server."""
    with socket.create_connection(server.address, timeout=SECONDS) as connected:
        yield connected


def answer(connected: socket.socket, *, method: str = "GET") -> Answer:
    """Read one answer."""
    with HTTPResponse(connected, method=method) as response:
        response.begin()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        assert len(dict(headers)) == len(headers)
        return Answer(response.status, dict(headers), response.read())


def ask(server: Server, data: bytes) -> Answer:
    """Send one request on a connection of its own."""
    with connection(server) as connected:
        connected.sendall(data)
        return answer(connected)


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as bytes, each character one byte."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def is_closed(connected: socket.socket) -> bool:
    """Whether the server closes the connection without another word."""
    try:
        return connected.recv(1) == b""
    except ConnectionResetError:
        return True


def has_answered(connected: socket.socket) -> bool:
    """Whether there is something to read already."""
    return bool(select.select([connected], [], [], 0)[0])


def log_in(server: Server, username: str, password: str) -> Answer:
    """Log in as a well-behaved client does."""
    body = json.dumps({"username": username, "password": password}).encode()
    return ask(server, request("POST", "/login", "Content-Type: application/json", body=body))
