"""The example for nginx is true: a real nginx asks /forward-auth before it passes a request on."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.builders import PASSWORD
from tests.servers import Server, environment, free_port, running, watchword, watchword_server

CONFIGURATION = Path(__file__).parents[2] / "docs" / "proxies" / "nginx.conf"
SECONDS = 20.0

# An application that trusts the headers, in any language; here it tells what it was given.
APPLICATION = """
from quart import Quart, request
app = Quart(__name__)

@app.get("/<path:path>")
async def told(path):
    return {name: request.headers.get(name) for name in ("X-Auth-User", "X-Auth-Subject", "X-Auth-Scope")}
"""


@pytest.fixture
def nginx() -> str:
    """Where nginx is; CI installs it."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("there is no nginx on this machine: apt-get install nginx-light")
    return found


@pytest.fixture
def proxied(nginx: str, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """The login service, and the proxy's address in front of it and of an application."""
    (tmp_path / "told.py").write_text(APPLICATION)
    application, front = free_port(), free_port()
    environ = {**environment(tmp_path), "PYTHONPATH": str(tmp_path)}
    serve = [sys.executable, "-m", "hypercorn", "told:app", "--bind", f"127.0.0.1:{application}"]
    with (
        watchword_server(tmp_path / "instance") as login,
        running(serve, environ=environ, port=application, log=tmp_path / "application.log"),
    ):
        example = CONFIGURATION.read_text()
        for written, actual in (("8000", login.address[1]), ("9000", application), ("8080", front)):
            example = example.replace(f"127.0.0.1:{written}", f"127.0.0.1:{actual}")
        folder = tmp_path / "nginx"
        folder.mkdir()
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
            f"events {{}} http {{ access_log off; {temporary} {example} }}"
        )
        command = [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
        process = subprocess.Popen(command)
        try:
            _until_it_answers(f"http://127.0.0.1:{front}/me", process)
            yield login, f"http://127.0.0.1:{front}"
        finally:
            process.terminate()
            process.wait(SECONDS)


def _until_it_answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nginx does not answer")


def test_nginx_lets_in_who_has_a_token(proxied: tuple[Server, str]) -> None:
    """With a token the application learns whose it is; without, or with headers made up, nobody gets in."""
    login, front = proxied
    arguments = ("users", "add", "Zoë", "--scope", "reports:read", "--password-stdin")
    watchword(*arguments, environ=login.environ, stdin=PASSWORD).check_returncode()
    answer = httpx.post(f"{front}/login", json={"username": "zoë", "password": PASSWORD})
    token = answer.json()["token"]
    me = httpx.get(f"{front}/me", headers={"Authorization": f"Bearer {token}"}).json()

    made_up = {"X-Auth-User": "admin", "X-Auth-Subject": "1", "X-Auth-Scope": "admin"}
    told = httpx.get(f"{front}/reports", headers={**made_up, "Authorization": f"Bearer {token}"})
    assert told.json() == {"X-Auth-User": "Zo%C3%AB", "X-Auth-Subject": me["sub"], "X-Auth-Scope": "reports:read"}

    for headers in ({}, made_up, {"Authorization": f"Bearer {token}x"}, {"Authorization": "Basic YTpi"}):
        refused = httpx.get(f"{front}/reports", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith('Bearer realm="watchword"')
        assert "X-Auth" not in refused.text
    assert httpx.get(f"{front}/forward-auth", headers={"Authorization": f"Bearer {token}"}).status_code == 404
