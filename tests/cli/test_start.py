"""A start that cannot succeed: one clear line, a status that is not 0, nothing left running — served either way."""

import json
import signal
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, HYPERCORN, change, digests, fresh_environment, refusal, run
from tests.servers import free_port, running

CANARY = "canary-in-the-url"
OTHER_SECRET = "another root secret, 9876543210 and more"


def starts() -> list[list[str]]:
    """The two ways to serve, each on a port that nobody has."""
    return [[*COMMAND, "serve", "--bind", f"127.0.0.1:{free_port()}"], [*HYPERCORN, "-b", f"127.0.0.1:{free_port()}"]]


def refuse_both(environ: Mapping[str, str]) -> str:
    """The one line of either way to serve, which is the same."""
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda command: run(command, environ=environ, seconds=20), starts()))
    serve, hypercorn = map(refusal, done)
    assert serve == hypercorn
    assert serve.startswith("watchword: WATCHWORD_")
    return serve


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        pytest.param({"ALGORITHM": "none"}, "WATCHWORD_ALGORITHM: must be one of", id="no algorithm"),
        pytest.param({"SECRET_KEY": "changeme" * 5}, "WATCHWORD_SECRET_KEY: can be guessed", id="an example secret"),
        pytest.param(
            {"SECRET_KEY": "/run/secrets/watchword_secret_key"},
            "WATCHWORD_SECRET_KEY: looks like a file's name; the setting for one ends with _FILE",
            id="a file for a secret",
        ),
        pytest.param(
            {"SECRET_KEY": "$(openssl rand -base64 48)"},
            "WATCHWORD_SECRET_KEY: looks like a template that nothing has filled in",
            id="a template for a secret",
        ),
        pytest.param({"SECRET_KEY": OTHER_SECRET}, "WATCHWORD_SECRET_KEY: the stored signing key", id="another secret"),
        pytest.param(
            {"DATABASE_URL": "postgresql://u:{canary}@127.0.0.1:{port}/db"},
            "WATCHWORD_DATABASE_URL: the database answers: [Errno 111] Connect call failed",
            id="PostgreSQL is down",
        ),
        pytest.param(
            {"DATABASE_URL": "sqlite:///{tmp}/elsewhere.db"},
            "WATCHWORD_DATABASE_URL: there is no database at",
            id="no database",
        ),
    ],
)
def test_a_wrong_setting_is_refused(instance: Path, tmp_path: Path, settings: dict[str, str], line: str) -> None:
    """A setting that is wrong, or at odds with the database, is named; its secrets are not."""
    blanks = {"tmp": str(tmp_path), "canary": CANARY, "port": str(free_port())}
    filled = {name: value.format(**blanks) for name, value in settings.items()}
    refused = refuse_both(fresh_environment(instance, **filled))
    assert line in refused
    assert not any(secret in refused for secret in (CANARY, "changeme", OTHER_SECRET))


def test_a_missing_secret_is_refused(instance: Path) -> None:
    """No secret anywhere: none is made up, and the line says which command makes one."""
    (instance / "secret_key").unlink()
    assert "run `watchword init`" in refuse_both(fresh_environment(instance))
    assert [path.name for path in instance.iterdir()] == ["watchword.db"]


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        pytest.param("DROP TABLE alembic_version", "run `watchword migrate`", id="no schema"),
        pytest.param("UPDATE alembic_version SET version_num = '9999'", "this version does not know", id="unknown"),
        pytest.param("DROP TABLE signing_keys", "no such table", id="half a schema"),
        pytest.param("UPDATE signing_keys SET sealed = x'00'", "sealed under another secret", id="a spoilt key"),
    ],
)
def test_a_foreign_database_is_refused(instance: Path, statement: str, line: str) -> None:
    """A schema that is not the expected one, or keys that do not open, and the database is left as it is."""
    change(instance / "watchword.db", statement)
    before = digests(instance)
    assert line in refuse_both(fresh_environment(instance))
    assert digests(instance) == before


def test_a_file_that_is_no_database_is_refused(instance: Path) -> None:
    """Neither overwritten nor taken for an empty database."""
    (instance / "watchword.db").write_text("something else\n" * 1000)
    before = digests(instance)
    assert "file is not a database" in refuse_both(fresh_environment(instance))
    assert digests(instance) == before


@pytest.mark.parametrize("command", ["migrate", "users list", "users delete admin"])
def test_commands_refuse_a_database_that_a_newer_version_made(instance: Path, command: str) -> None:
    """No command touches tables whose meaning it cannot know."""
    change(instance / "watchword.db", "UPDATE alembic_version SET version_num = '9999'")
    before = digests(instance)
    line = refusal(run([*COMMAND, *command.split()], environ=fresh_environment(instance)))
    assert "WATCHWORD_DATABASE_URL: the database is at" in line
    assert digests(instance) == before


def test_a_taken_port_is_refused(instance: Path) -> None:
    """Somebody listens there already: one line, and the process ends instead of waiting for nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run([*COMMAND, "serve", "--bind", address], environ=fresh_environment(instance), seconds=20)
    assert f"cannot listen on {address} (" in refusal(done)


@pytest.mark.parametrize("address", ["127.0.0.1:65536", "192.0.2.1:8000", "127.0.0.1:\udcff"])
def test_an_address_that_cannot_be_had_is_refused(instance: Path, address: str) -> None:
    """Whatever the system or Python says to it, the one line names the address, bytes that are no text escaped."""
    done = run([*COMMAND, "serve", "--bind", address], environ=fresh_environment(instance), seconds=20)
    shown = address.encode(errors="backslashreplace").decode()
    assert f"cannot listen on {shown} (" in refusal(done)


@pytest.mark.parametrize("address", ["", ":8000", "nonsense", "[]:8000", "]:8000", "[::1:{port}", "[[::1]]:{port}"])
def test_an_address_without_a_host_is_refused(instance: Path, address: str) -> None:
    """An empty host would mean every interface, which nobody may ask for by mistake; nor is half a bracket one."""
    bind = address.format(port=free_port())
    done = run([*COMMAND, "serve", "--bind", bind], environ=fresh_environment(instance), seconds=20)
    assert done.returncode == 2
    assert "must be HOST:PORT" in done.stderr


def test_workers_of_hypercorn_refuse_as_clearly(instance: Path) -> None:
    """Under ``-w 1`` the status is Hypercorn's own to lose, but it ends, and with the same one line."""
    command = [*HYPERCORN, "-w", "1", "-b", f"127.0.0.1:{free_port()}"]
    done = run(command, environ=fresh_environment(instance, SECRET_KEY=OTHER_SECRET), seconds=20)
    assert done.stderr.startswith("watchword: WATCHWORD_SECRET_KEY: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("way", [0, 1], ids=["serve", "hypercorn"])
def test_all_that_a_server_tells_is_json_and_told_once(instance: Path, tmp_path: Path, way: int) -> None:
    """From the first line, where it listens, to the last one each line is one JSON object and none comes twice."""
    command = starts()[way]
    port = int(command[-1].rpartition(":")[2])
    with running(command, environ=fresh_environment(instance), port=port, log=tmp_path / "log") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    events = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]
    assert [event for event in events if event.startswith("Running on")] == [
        f"Running on http://127.0.0.1:{port} (CTRL + C to quit)"
    ]
    others = {event for event in events if not event.startswith("Running on")} - {"request"}
    supervisors = {f"serving on http://127.0.0.1:{port} with 1 worker(s)"} if way == 0 else set()
    assert others == {"sys_startup", "sys_shutdown", *supervisors}
    assert [events.count(name) for name in ("sys_startup", "sys_shutdown")] == [1, 1]


def test_an_orderly_end_needs_no_second_signal(instance: Path, tmp_path: Path) -> None:
    """With nothing in flight SIGINT ends the service at once, with 0."""
    port = free_port()
    command = [*COMMAND, "serve", "--bind", f"127.0.0.1:{port}"]
    with running(command, environ=fresh_environment(instance), port=port, log=tmp_path / "log") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.address, timeout=5).close()
