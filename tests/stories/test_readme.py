"""The README is true: its blocks run from top to bottom, as a newcomer would paste them.

Addresses are the only thing that is changed: ports that may be taken become free ones, and the PostgreSQL server that
the reader has is the one of the tests.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import jwt
import pytest

from tests.postgresql import fresh_database
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 180.0
"""For a block. That of `bench`, with 200 hashes and three measured parts, took more than a minute on a busy machine."""

FENCE = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HAND = {"make test", ".venv/bin/python examples/system/run.py"}  # what runs this very test, and what has one of its own


class Block(NamedTuple):
    """One fenced block."""

    kind: str
    detail: str
    text: str


class Newcomer:
    """A shell in a fresh checkout, and the servers that were started from it."""

    def __init__(self, home: Path, addresses: dict[str, str], servers: ExitStack) -> None:
        self.home = home
        self.addresses = addresses
        self.servers = servers
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
        self.environ["WATCHWORD_METRICS_BIND"] = "off"
        self.environ["WATCHWORD_ISSUER"] = f"http://{addresses['127.0.0.1:8000']}"
        self.state = home / "shell-state"
        self.state.touch()

    def here(self, text: str) -> str:
        """The text with this machine's addresses."""
        for written, actual in self.addresses.items():
            text = text.replace(written, actual)
        return text.replace("make run", f"make run BIND={self.addresses['127.0.0.1:8000']}")

    def paste(self, text: str) -> str:
        """Run a block in the shell; variables stay for the next one."""
        script = f"set -a; . ./{self.state.name}\n{self.here(text)}\nexport -p > {self.state.name}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def serve(self, text: str, *, port: str) -> Path:
        """Start a block that runs a server, wait until it answers, and return the file of its output."""
        log = self.home / f"server-{port}.log"
        self.servers.enter_context(
            _served(f". ./{self.state.name}\n{self.here(text)}", home=self.home, environ=self.environ, log=log)
        )
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://{self.addresses[port]}/", timeout=1)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return log
        raise AssertionError(f"{text} does not answer:\n{log.read_text()}")


@contextmanager
def _served(text: str, *, home: Path, environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=home,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(SECONDS)


@pytest.fixture
def newcomer(tmp_path: Path, postgresql_server: str) -> Iterator[Newcomer]:
    """A copy of this checkout, set up as `make setup` leaves it."""
    if not (ROOT / ".venv" / "bin" / "watchword").exists():
        pytest.fail("run `make setup` first: the README's commands live in .venv")
    home = tmp_path / "watchword"
    hidden = shutil.ignore_patterns(".*", "instance", "__pycache__", "dist")
    shutil.copytree(ROOT, home, ignore=hidden, copy_function=_copy_as_old)
    (home / ".venv").symlink_to(ROOT / ".venv")
    ports = ("127.0.0.1:8000", "127.0.0.1:9000", "127.0.0.1:9001")
    addresses = {port: f"127.0.0.1:{free_port()}" for port in ports}
    with fresh_database(postgresql_server) as url, ExitStack() as servers:
        addresses["postgresql://watchword:secret@db.example.com/watchword"] = url
        yield Newcomer(home, addresses, servers)


def _copy_as_old(source: str, target: str) -> None:
    """Copy a file so that make finds nothing newer than the .venv, which the copy shares and must not rebuild."""
    shutil.copy(source, target)
    os.utime(target, (0, 0))


def blocks() -> list[Block]:
    """The README's blocks, in order."""
    found = FENCE.finditer((ROOT / "README.md").read_text())
    infos = ((match["info"].partition(" "), match["text"].strip()) for match in found)
    return [Block(kind, detail, text) for (kind, _, detail), text in infos]


def test_every_block_of_the_readme_runs(newcomer: Newcomer) -> None:
    """Pasted one after the other, all commands succeed and say what the text around them says."""
    said: list[str] = []
    logs: list[Path] = []
    hypercorn_blocks = iter(("127.0.0.1:9000", "127.0.0.1:9001"))
    for kind, detail, text in blocks():
        if kind == "python":
            (newcomer.home / detail).write_text(newcomer.here(text) + "\n")
        elif detail == "by hand":
            assert text in HAND
        elif detail == "server" and text.startswith("make run"):
            logs.append(newcomer.serve(text, port="127.0.0.1:8000"))
        elif detail == "server" and "--bind" in text:
            logs.append(newcomer.serve(text, port=next(hypercorn_blocks)))
        elif detail == "server":
            newcomer.servers.close()  # what comes now listens where the one before did
            bind = newcomer.addresses["127.0.0.1:8000"]
            logs.append(newcomer.serve(f"{text} --bind {bind}", port="127.0.0.1:8000"))
            assert httpx.get(f"http://{bind}/readyz").status_code == 200
        elif kind == "bash":
            said.append(newcomer.paste(text))
            _follow_up(newcomer, text)

    answers = [json.loads(line) for line in "\n".join(said).splitlines() if line.startswith("{")]
    token_answer, me, listed, refused, reports = answers[:5]
    assert token_answer.keys() == {"token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert me["username"] == "alice"
    assert [session["current"] for session in listed["sessions"]].count(True) == 1
    assert refused["code"] == "invalid_token"
    assert reports == {"reports_for": "alice"}
    assert "Hello, alice" in "".join(said)
    assert "Would add 1" in "".join(said)
    assert "The first user is admin" in logs[0].read_text()
    assert "WATCHWORD_HASH_MEMORY_KIB=19456 WATCHWORD_HASH_PASSES=2" in "".join(said)
    assert (newcomer.home / "report.html").read_text().startswith("<!DOCTYPE html>")


def _follow_up(newcomer: Newcomer, text: str) -> None:
    """What the text claims about a block that was just pasted."""
    if "9000/reports" in text:
        reports = f"http://{newcomer.addresses['127.0.0.1:9000']}/reports"
        assert httpx.get(reports).headers["WWW-Authenticate"] == 'Bearer realm="watchword"'
    if "users import users.jsonl\n" in f"{text}\n":
        assert (newcomer.home / "users.jsonl").stat().st_mode & 0o777 == 0o600
        login = f"http://{newcomer.addresses['127.0.0.1:9001']}/login"
        answer = httpx.post(login, json={"username": "bob", "password": "a long enough password"})
        secret = (newcomer.home / "instance" / "secret_key").read_text().strip()
        assert jwt.decode(answer.json()["token"], secret, algorithms=["HS256"])["username"] == "bob"


def test_routes_in_the_login_service_itself_are_guarded(newcomer: Newcomer) -> None:
    """The README's program for one process logs in and answers its own route."""
    (program,) = [block for block in blocks() if block.detail == "one_process.py"]
    (newcomer.home / program.detail).write_text(program.text)
    newcomer.paste(
        ".venv/bin/watchword init; echo 'a long enough password' | .venv/bin/watchword users add bob --password-stdin"
    )
    newcomer.serve(".venv/bin/hypercorn one_process:app --bind 127.0.0.1:9000", port="127.0.0.1:9000")
    with httpx.Client(base_url=f"http://{newcomer.addresses['127.0.0.1:9000']}") as client:
        token = client.post("/login", json={"username": "bob", "password": "a long enough password"}).json()["token"]
        assert client.get("/hello", headers={"Authorization": f"Bearer {token}"}).json() == {"hello": "bob"}
        assert client.get("/hello").status_code == 401
