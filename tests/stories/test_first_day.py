"""The first day of an installation: set up, paste what was printed, add people, lock one out, let them in again."""

import json
import shlex
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import COMMAND, fresh_environment
from tests.servers import free_port, running, watchword

PASSWORD = "correct horse battery staple"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The setting of a database, of either kind."""
    return {} if request.param == "sqlite" else {"DATABASE_URL": request.getfixturevalue("postgresql_url")}


def test_from_init_to_an_administered_service(tmp_path: Path, database: dict[str, str]) -> None:
    """The printed command logs in as printed; what the command line changes, the running service knows at once."""
    port = free_port()
    environ = fresh_environment(tmp_path / "instance", ISSUER=f"http://127.0.0.1:{port}", **database)

    def users(*arguments: str, password: str = "") -> str:
        done = watchword("users", *arguments, environ=environ, stdin=password)
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = watchword("init", environ=environ).stdout
    curl = shlex.split(next(line for line in printed.splitlines() if "curl" in line))
    serve = [*COMMAND, "serve", "--bind", f"127.0.0.1:{port}"]
    with running(serve, environ=environ, port=port, log=tmp_path / "log") as server:

        def log_in(username: str, password: str = PASSWORD) -> httpx.Response:
            return httpx.post(f"{server.url}/login", json={"username": username, "password": password})

        program, url, header, content_type, data, body = curl
        assert (program, header, data) == ("curl", "-H", "-d")
        headers = dict([content_type.split(": ")])
        answer = httpx.post(url, headers=headers, content=body)
        assert answer.status_code == 200
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert httpx.get(f"{server.url}/me", headers=bearer).json()["scope"] == "admin"

        users("add", "Alice", "--password-stdin", "--scope", "reports:read", "--scope", "a", password=PASSWORD + "\r\n")
        assert log_in("alice").status_code == 200
        listed = [json.loads(line) for line in users("list", "--json").splitlines()]
        assert [(user["username"], user["scope"], user["disabled"]) for user in listed] == [
            ("admin", "admin", False),
            ("Alice", "reports:read a", False),
        ]

        users("disable", "ALICE")
        assert log_in("alice").json()["code"] == "invalid_credentials"
        assert "Alice\tdisabled\treports:read a\n" in users("list")
        users("enable", "alice")
        assert log_in("alice").status_code == 200

        users("set-password", "alice", "--password-stdin", password="another long password\nand a second line")
        assert log_in("alice").status_code == 401
        assert log_in("alice", "another long password").status_code == 200

        users("delete", "alice")
        assert log_in("alice", "another long password").status_code == 401
        assert users("list") == "admin\tenabled\tadmin\n"

        line = {"username": "bob", "password": PASSWORD, "scope": "reports:read"}
        assert "Added 1;" in users("import", "-", password=json.dumps(line))
        assert log_in("bob").status_code == 200
    secrets = (PASSWORD, "another long password", json.loads(body)["password"])
    assert not any(secret in server.log.read_text() for secret in secrets)
