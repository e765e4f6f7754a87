"""Each example is a whole program that runs; the Flask original and its counterpart answer the same requests."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import jwt

from tests.builders import SECRET
from tests.servers import Server, environment, free_port, running, watchword, watchword_server

EXAMPLES = Path(__file__).parents[2] / "examples"
ALICE = {"username": "alice", "password": "correct horse battery staple"}


def add_alice(environ: Mapping[str, str]) -> None:
    """The tutorial's one user, in a database."""
    arguments = ("users", "add", "alice", "--scope", "reports:read", "--password-stdin")
    watchword(*arguments, environ=environ, stdin=ALICE["password"]).check_returncode()


def by_hypercorn(example: str, folder: Path, environ: Mapping[str, str]) -> AbstractContextManager[Server]:
    """Serve an example of ours."""
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", f"{Path(example).stem}:app", "--bind", f"127.0.0.1:{port}"]
    environ = {**environ, "PYTHONPATH": str(EXAMPLES)}
    return running(command, environ=environ, port=port, log=folder / f"{example}.log")


def by_flask(example: str, folder: Path) -> AbstractContextManager[Server]:
    """Serve the original as Flask's own documents do it."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", str(EXAMPLES / example), "run", "--port", str(port)]
    environ = {**environment(folder), "SECRET_KEY": SECRET}
    return running(command, environ=environ, port=port, log=folder / f"{example}.log")


def test_the_original_and_its_counterpart_answer_the_same_requests(tmp_path: Path) -> None:
    """Same statuses, same `token` and `error` members, and tokens that the original's own jwt.decode reads."""
    environ = environment(tmp_path, ALGORITHM="HS256")
    watchword("init", environ=environ).check_returncode()
    add_alice(environ)
    with (
        by_flask("flask_original.py", tmp_path) as original,
        by_hypercorn("flask_counterpart.py", tmp_path, environ) as counterpart,
    ):
        for login in (ALICE, {**ALICE, "password": "wrong"}, {**ALICE, "username": "nobody"}):
            theirs, ours = (httpx.post(f"{server.url}/login", json=login) for server in (original, counterpart))
            assert ours.status_code == theirs.status_code
            assert ours.json().get("error") == theirs.json().get("error")
            assert ("token" in ours.json()) == ("token" in theirs.json())
        token = httpx.post(f"{counterpart.url}/login", json=ALICE).json()["token"]
        assert jwt.decode(token, SECRET, algorithms=["HS256"])["username"] == "alice"
        for server in (original, counterpart):  # a service that has not moved yet accepts the new service's tokens
            answer = httpx.get(f"{server.url}/hello", headers={"Authorization": f"Bearer {token}"})
            assert answer.json() == {"hello": "alice"}
            assert httpx.get(f"{server.url}/hello").status_code == 401


def test_the_smallest_guarded_application(tmp_path: Path) -> None:
    """It knows the login service by its address, and lets in who has the scope."""
    issuer = f"http://127.0.0.1:{free_port()}"
    with watchword_server(tmp_path / "login", ISSUER=issuer, port=int(issuer.rpartition(":")[2])) as login:
        add_alice(login.environ)
        environ = {**environment(tmp_path), "LOGIN_SERVICE": login.url}
        with by_hypercorn("guarded_app.py", tmp_path, environ) as reports:
            token = httpx.post(f"{login.url}/login", json=ALICE).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            assert httpx.get(f"{reports.url}/reports", headers=bearer).json() == {"reports_for": "alice"}
            assert httpx.get(f"{reports.url}/reports").status_code == 401


def test_the_client(tmp_path: Path) -> None:
    """Ten concurrent requests are answered in one session; with a wrong password it says in one line what is wrong."""
    with watchword_server(tmp_path / "login") as login:
        add_alice(login.environ)

        def call(password: str) -> "subprocess.CompletedProcess[str]":
            environ = {
                **environment(tmp_path),
                "LOGIN_SERVICE": login.url,
                "LOGIN_USERNAME": ALICE["username"],
                "LOGIN_PASSWORD": password,
            }
            program = [sys.executable, str(EXAMPLES / "client.py")]
            return subprocess.run(program, env=environ, capture_output=True, text=True, timeout=60, check=False)

        assert call(ALICE["password"]).stdout == "10 answers for alice, 1 session\n"
        refused = call("wrong")
        assert refused.returncode == 1
        assert refused.stderr == "Cannot log in: the user name or the password is refused\n"
