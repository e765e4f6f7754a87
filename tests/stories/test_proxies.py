"""The examples for proxies are true: nginx and Caddy run them before a real login service and an application."""

import os
import re
import shutil
import socket
import socketserver
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import ClassVar

import httpx
import pytest

from tests.attacks.raw import ask, request
from tests.builders import PASSWORD
from tests.servers import Server, environment, free_port, running, watchword, watchword_server
from watchword.endpoints import DOORS, ROUTES, Route
from watchword.problems import IDLE_SECONDS

DOCS = Path(__file__).parents[2] / "docs"
LOGIN, APPLICATION = "login.example.com", "app.example.com"
CLIENT = "127.0.0.2"  # another loopback address than the proxies', which the login service trusts
NAMES = ("X-Auth-User", "X-Auth-Subject", "X-Auth-Scope")

# An application for WSGI, where X-Auth-User and X_Auth_User are one; it tells what it was given.
TOLD = """
from flask import Flask, request
app = Flask(__name__)

@app.route("/<path:_>", methods=["GET", "POST", "DELETE"])
def told(_):
    return {name: value for name, value in request.headers if "auth" in name.lower() and name != "Authorization"}
"""

# A login service that does not know, as Watchword when its database is away.
UNKNOWING = """
from quart import Quart
app = Quart(__name__)

@app.get("/<path:_>")
async def unknowing(_):
    return "", 503, {"Retry-After": "7"}
"""

Proxy = Callable[[str, Path, int], tuple[list[str], dict[str, str]]]
"""Given an example, a folder and a port, the command that runs it there and its environment."""
Address = tuple[str, int]
"""Host and port."""


def nginx(example: str, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """How nginx runs an example."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temporary} {example.replace('127.0.0.1:8080', f'127.0.0.1:{port}')} }}"
    )
    command = [installed("nginx", package="nginx-light"), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    return [*command, "-e", str(folder / "error.log")], dict(os.environ)


def caddy(example: str, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """How Caddy runs an example, without its certificates."""
    sites = re.sub(r"^(\S+\.example\.com) ", rf"http://\1:{port} ", example, flags=re.MULTILINE)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\n{sites}")
    command = [installed("caddy", package="caddy"), "run", "--config", str(folder / "Caddyfile")]
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    return command, {**os.environ, **homes}


EXAMPLES: dict[str, Proxy] = {"nginx.conf": nginx, "Caddyfile": caddy}


def installed(program: str, *, package: str) -> str:
    """Where a proxy is; CI installs it."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {program} on this machine: apt-get install {package}")
    return found


@contextmanager
def served(name: str, program: str, folder: Path) -> Iterator[Server]:
    """A program of a few lines, as a server."""
    (folder / f"{name}.py").write_text(program)
    # Of its own Hypercorn takes 16 KiB of a head, and more only where all of it comes at once.
    (folder / "hypercorn.toml").write_text("h11_max_incomplete_size = 65536\n")
    port = free_port()
    environ = {**environment(folder), "PYTHONPATH": str(folder)}
    address = ("--bind", f"127.0.0.1:{port}")
    serve = [sys.executable, "-m", "hypercorn", "-c", str(folder / "hypercorn.toml"), f"{name}:app", *address]
    with running(serve, environ=environ, port=port, log=folder / f"{name}.log") as server:
        yield server


@contextmanager
def in_front(proxy: Proxy, example: str, folder: Path, *, login: Address, application: Address) -> Iterator[Server]:
    """A proxy that runs an example, before what listens at these addresses in place of those that it names."""
    for written, (_, real) in ((8000, login), (9000, application)):
        example = example.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    port = free_port()
    command, environ = proxy(example, folder, port)
    with running(command, environ=environ, port=port, log=folder / "proxy.log") as front:
        yield front


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A login service that trusts the proxies, with one user."""
    with watchword_server(tmp_path_factory.mktemp("login") / "instance", TRUSTED_PROXIES="127.0.0.1") as server:
        arguments = ("users", "add", "Zoë", "--scope", "reports:read", "--password-stdin")
        watchword(*arguments, environ=server.environ, stdin=PASSWORD).check_returncode()
        yield server


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application that trusts the headers."""
    with served("told", TOLD, tmp_path_factory.mktemp("application")) as server:
        yield server


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> tuple[Proxy, str]:
    """A proxy and the example for it."""
    return EXAMPLES[request.param], (DOCS / "proxies" / request.param).read_text()


@pytest.fixture(scope="module")
def front(
    example: tuple[Proxy, str], login: Server, application: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A proxy before the login service and the application."""
    folder = tmp_path_factory.mktemp("proxy")
    with in_front(*example, folder, login=login.address, application=application.address) as server:
        yield server


def at(server: Server, host: str) -> httpx.Client:
    """A client, from an address of its own, of a name that a proxy serves."""
    return httpx.Client(
        base_url=server.url, headers={"Host": host}, transport=httpx.HTTPTransport(local_address=CLIENT)
    )


def logged_in(client: httpx.Client, prefix: str = "", **headers: str) -> dict[str, str]:
    """What the user sends with each request after a login."""
    credentials = {"username": "zoë", "password": PASSWORD}
    answer = client.post(f"{prefix}/login", json=credentials, headers=headers).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def networks(client: httpx.Client, bearer: dict[str, str], prefix: str = "") -> set[str]:
    """The networks that the user's sessions were opened from."""
    return {session["network"] for session in client.get(f"{prefix}/sessions", headers=bearer).json()["sessions"]}


def test_the_application_learns_whose_the_token_is(front: Server) -> None:
    """With a token the application is told whose it is; without one nobody gets in, whatever else is sent."""
    with at(front, LOGIN) as service, at(front, APPLICATION) as client:
        bearer = logged_in(service)
        subject = service.get("/me", headers=bearer).json()["sub"]
        told = dict(zip(NAMES, ("Zo%C3%AB", subject, "reports:read"), strict=True))
        assert client.get("/reports", headers=bearer).json() == told

        forged = {"Authorization": f"{bearer['Authorization']}x"}
        for headers in ({}, dict.fromkeys(NAMES, "admin"), forged, {"Authorization": "Basic YTpi"}):
            refused = client.get("/reports", headers=headers)
            assert refused.status_code == 401
            (challenge,) = refused.headers.get_list("WWW-Authenticate")
            assert challenge.startswith('Bearer realm="watchword"')
            assert "X-Auth" not in refused.text


def test_many_fields_are_no_fault_of_the_login_service(front: Server) -> None:
    """Who has more cookies than it reads is let in by the token, or told that it is the head; never to try again."""
    with at(front, LOGIN) as service, at(front, APPLICATION) as client:
        bearer = logged_in(service)
        answer = client.get("/reports", headers={**bearer, **{f"X-Field-{number}": "x" for number in range(120)}})
        assert answer.status_code in {200, 431}


def test_long_cookies_are_the_applications(front: Server) -> None:
    """As much of them as a browser may have, which is more than the login service reads."""
    with at(front, LOGIN) as service, at(front, APPLICATION) as client:
        bearer = logged_in(service)
        cookies = [("Cookie", f"part{number}={'x' * 7_000}") for number in range(3)]
        assert client.get("/reports", headers=[*bearer.items(), *cookies]).status_code == 200


def test_a_long_query_is_the_applications(front: Server) -> None:
    """The login service has a bound for what it reads, and what an application is asked is not its business."""
    with at(front, LOGIN) as service, at(front, APPLICATION) as client:
        assert client.get(f"/reports?{'q' * 7_900}", headers=logged_in(service)).status_code == 200
        assert client.get(f"/reports?{'q' * 7_900}").status_code == 401


@pytest.mark.parametrize("byte", [b"\x01", b"\x0b", b"\x0c", b"\x7f", b"\xff"])
def test_a_token_that_is_none_is_refused_for_good(front: Server, byte: bytes) -> None:
    """Never with an error of the server's, which would have the client try again and somebody woken."""
    with socket.create_connection(front.address, 20) as client:
        head = b"GET /reports HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n"
        client.sendall(b"%bAuthorization: Bearer a%bb\r\n\r\n" % (head, byte))
        assert client.recv(12) in {b"HTTP/1.1 400", b"HTTP/1.1 401"}


@pytest.mark.parametrize("connection", ["keep-alive", ", ".join(NAMES), "X_Auth_User, X.Auth.User"])
@pytest.mark.parametrize("mark", ["-", "_", ".", "+"])
def test_no_client_says_who_it_is(front: Server, mark: str, connection: str) -> None:
    """Made-up headers neither replace nor join the true ones, also such as WSGI, PHP or CGI take for them.

    Nor does a client remove the true ones, by naming them in its Connection header.
    """
    with at(front, LOGIN) as service, at(front, APPLICATION) as client:
        bearer = logged_in(service)
        made_up = {name.replace("-", mark): "admin" for name in NAMES}
        for names in (made_up, {name.lower(): value for name, value in made_up.items()}):
            told = client.get("/reports", headers={**bearer, **names, "Connection": connection}).json()
            assert (set(told), told["X-Auth-User"]) == (set(NAMES), "Zo%C3%AB")
            assert "admin" not in str(told)


@pytest.mark.parametrize("route", [*DOORS, *ROUTES], ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_login_service_is_there(front: Server, route: Route) -> None:
    """A password, a refresh token or a logout that is meant for the login service never reaches the application."""
    with at(front, LOGIN) as client:
        answer = client.request(route.method, route.path.replace("<session_id>", "x"))
    assert "X-Request-Id" in answer.headers
    assert answer.status_code not in {404, 405}


def test_no_client_chooses_its_network(front: Server) -> None:
    """The login service is told the client's address, whatever the client has written in front of it."""
    with at(front, LOGIN) as client:
        bearer = logged_in(client, **{"X-Forwarded-For": "198.51.100.7"})
        assert networks(client, bearer) == {CLIENT}


class Patient(socketserver.BaseRequestHandler):
    """A login service that answers everything and closes nothing by itself."""

    kept: ClassVar[Queue[float]]
    """For how many seconds each connection was left idle by those who then gave it up."""

    def handle(self) -> None:
        """Answer until the other end closes."""
        idle_since = time.monotonic()
        while self.request.recv(65_536):
            self.request.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            idle_since = time.monotonic()
        self.kept.put(time.monotonic() - idle_since)


def test_the_proxy_gives_a_connection_up_before_the_login_service_does(
    example: tuple[Proxy, str], application: Server, tmp_path: Path
) -> None:
    """Or a POST that it sends in the instant in which the login service closes an idle connection would be a 502."""
    Patient.kept = Queue()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Patient) as patient:
        Thread(target=patient.serve_forever, daemon=True).start()  # if the claim fails, nobody waits for it
        login = ("127.0.0.1", patient.server_address[1])
        with (
            in_front(*example, tmp_path, login=login, application=application.address) as front,
            at(front, LOGIN) as client,
        ):
            assert client.post("/logout").status_code == 204
            assert Patient.kept.get(timeout=2 * IDLE_SECONDS) < IDLE_SECONDS
        patient.shutdown()


def test_who_cannot_be_judged_now_is_told_to_try_again(
    example: tuple[Proxy, str], application: Server, tmp_path: Path
) -> None:
    """While the login service does not know, the answer is its 503 with the time to wait; while it is away, no 500."""
    with (
        served("unknowing", UNKNOWING, tmp_path) as unknowing,
        in_front(*example, tmp_path, login=unknowing.address, application=application.address) as front,
        at(front, APPLICATION) as client,
    ):
        answer = client.get("/reports")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        unknowing.process.terminate()
        unknowing.process.wait()
        assert client.get("/reports").status_code in {502, 503}


@pytest.fixture(scope="module")
def below_a_path(login: Server, application: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """nginx with the lines that the page on HTTP has for an issuer with a path."""
    [lines] = re.findall(r"^```nginx\n(.+?)^```", (DOCS / "http.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    example = f"server {{ listen 127.0.0.1:8080; {lines} }}"
    folder = tmp_path_factory.mktemp("path")
    with in_front(nginx, example, folder, login=login.address, application=application.address) as server:
        yield server


def test_no_client_chooses_its_network_below_a_path(below_a_path: Server) -> None:
    """The login service is told the client's address there as well."""
    with at(below_a_path, LOGIN) as client:
        bearer = logged_in(client, "/auth", **{"X-Forwarded-For": "198.51.100.7"})
        assert networks(client, bearer, "/auth") == {CLIENT}


def test_a_path_keeps_its_one_spelling_below_a_path(below_a_path: Server) -> None:
    """What the login service would not answer to is not made right by the proxy (row 35)."""
    with at(below_a_path, LOGIN) as client:
        bearer = "Authorization: " + logged_in(client, "/auth")["Authorization"]
        assert client.get("/.well-known/oauth-authorization-server/auth").status_code == 200
    for path in ("/auth/me", "/auth/me?x=%ff"):
        assert ask(below_a_path, request("GET", path, bearer)).status == 200
    for path in ("/auth/%6de", "/auth//me", "/auth/./me", "/auth/x/../me", "/%61uth/me", "//auth/me", "/x/../auth/me"):
        assert ask(below_a_path, request("GET", path, bearer)).status == 404, path


@pytest.mark.parametrize("mark", ["-", "_", ".", "+"])
def test_the_pattern_for_traefik_takes_away_what_is_made_up(mark: str) -> None:
    """It matches the three names with any mark between the words, in any case; there is no Traefik here to ask."""
    example = (DOCS / "proxies" / "traefik.yml").read_text()
    [pattern] = re.findall(r"authResponseHeadersRegex: '(.+)'", example)
    for name in NAMES:
        for spelling in (name, name.lower(), name.capitalize()):
            assert re.search(pattern, spelling.replace("-", mark))
    assert not re.search(pattern, "Authorization")
