"""watchword openapi: what the service would answer, without a service."""

import json
import subprocess
from pathlib import Path

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.cli.commands import COMMAND, fresh_environment, refusal, run
from tests.servers import free_port, watchword_server


def test_it_prints_what_the_service_answers(tmp_path: Path) -> None:
    """The same settings, the same bytes."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    with watchword_server(tmp_path / "instance", port=port, ISSUER=issuer, PASSWORD_MIN_LENGTH="9") as server:
        answer = httpx.get(f"{server.url}/openapi.json")
        printed = subprocess.run([*COMMAND, "openapi"], env=server.environ, capture_output=True, check=True)
    assert answer.status_code == 200
    assert printed.stdout == answer.content
    assert printed.stderr == b""
    assert json.loads(printed.stdout)["servers"] == [{"url": server.url}]


def test_it_needs_nothing(tmp_path: Path) -> None:
    """No instance, no secret, no database, and it makes none; the text is one JSON object for people and programs."""
    environ = fresh_environment(tmp_path / "instance", SECRET_KEY_FILE=str(tmp_path / "absent"))
    printed = run([*COMMAND, "openapi"], environ=environ)
    assert printed.returncode == 0, printed.stderr
    OpenAPIV31SpecValidator(json.loads(printed.stdout)).validate()
    assert printed.stdout.startswith('{\n  "openapi": "3.1.0",\n')
    assert printed.stdout.endswith("}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """A description of an address that is none would help nobody."""
    environ = fresh_environment(tmp_path / "instance", ISSUER="login.example")
    assert "WATCHWORD_ISSUER" in refusal(run([*COMMAND, "openapi"], environ=environ))
