"""``watchword clients …``: a secret is told once, what goes wrong is one line and a status of 1."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, fresh_environment, refusal, run
from tests.servers import watchword


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an instance without clients."""
    environ = fresh_environment(tmp_path_factory.mktemp("clients") / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    return environ


def test_a_client_comes_and_goes(environ: dict[str, str]) -> None:
    """Its secret is all of standard output, is told to nobody again, and stands in no file of the instance."""
    added = watchword("clients", "add", "reports", "--scope", "tokens:introspect", environ=environ)
    assert added.returncode == 0, added.stderr
    assert re.fullmatch(r"wws_[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\n", added.stdout)
    assert added.stderr == "Added reports. Its secret is shown this once.\n"
    (line,) = watchword("clients", "list", "--json", environ=environ).stdout.splitlines()
    client = json.loads(line)
    assert client.keys() == {"id", "name", "scope", "created_at"}
    assert (client["name"], client["scope"]) == ("reports", "tokens:introspect")
    assert added.stdout.startswith(f"wws_{client['id']}.")
    shown = watchword("clients", "list", environ=environ).stdout
    assert re.fullmatch(rf"reports\t{client['id']}\t\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ\ttokens:introspect\n", shown)
    random = added.stdout.rpartition(".")[2].strip().encode()
    assert not any(random in path.read_bytes() for path in Path(environ["WATCHWORD_INSTANCE"]).rglob("*"))
    assert watchword("clients", "revoke", "reports", environ=environ).stdout == "Revoked reports.\n"
    assert watchword("clients", "list", environ=environ).stdout == ""


def test_what_cannot_be_done_is_one_line(environ: dict[str, str]) -> None:
    """Status 1 and one line that says why."""
    watchword("clients", "add", "taken", "--scope", "metrics:read", environ=environ).check_returncode()
    for arguments, line in (
        ("add taken --scope metrics:read", "there is a client taken already"),
        ("add a:b --scope metrics:read", "name: must be"),
        (
            "add other --scope admin",
            "scope: must be one or more of tokens:introspect, tokens:revoke, revocations:read, metrics:read",
        ),
        ("revoke nobody", "there is no client nobody"),
        ("revoke n\udcffbody", r"there is no client n\udcffbody"),  # bytes that are no UTF-8
    ):
        assert line in refusal(watchword("clients", *arguments.split(), environ=environ))
    names = [line.split("\t")[0] for line in watchword("clients", "list", environ=environ).stdout.splitlines()]
    assert names == ["taken"]


def test_it_must_be_said_what_a_client_may_do(environ: dict[str, str]) -> None:
    """Without a scope: a usage error, and no client."""
    done = watchword("clients", "add", "idle", environ=environ)
    assert done.returncode == 2
    assert "--scope" in done.stderr
