"""``watchword sessions …``: who is logged in, and an end to it."""

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import COMMAND, fresh_environment, refusal, rows, run
from tests.cli.test_users import PASSWORD
from tests.servers import free_port, running, watchword

AGENT = "Mozilla/5.0 (X11)"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an instance where alice and bob are logged in twice each."""
    folder = tmp_path_factory.mktemp("sessions")
    environ = fresh_environment(folder / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    lines = "\n".join(json.dumps({"username": name, "password": PASSWORD}) for name in ("alice", "bob"))
    watchword("users", "import", "-", environ=environ, stdin=lines).check_returncode()
    port = free_port()
    serve = [*COMMAND, "serve", "--bind", f"127.0.0.1:{port}"]
    with running(serve, environ=environ, port=port, log=folder / "log") as server:
        for name in ("alice", "bob", "alice", "bob"):
            body = {"username": name, "password": PASSWORD}
            answer = httpx.post(f"{server.url}/login", json=body, headers={"User-Agent": AGENT})
            assert answer.status_code == 200
    return environ


def listed(environ: dict[str, str], *arguments: str) -> list[dict[str, object]]:
    """What the command tells a program."""
    done = watchword("sessions", "list", "--json", *arguments, environ=environ)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_sessions_are_listed_for_programs_and_people(environ: dict[str, str]) -> None:
    """Everybody's or one user's; id, user, times, network, client, and nothing that a token is made of."""
    everybody = listed(environ)
    assert sorted(str(each["username"]) for each in everybody) == ["alice", "alice", "bob", "bob"]
    alices = listed(environ, "--user", "ALICE")
    assert [each["username"] for each in alices] == ["alice", "alice"]
    assert alices[0].keys() == {
        *("id", "user_id", "username", "auth_time", "refreshed_at", "ends_at", "network", "user_agent")
    }
    assert (alices[0]["network"], alices[0]["user_agent"]) == ("127.0.0.1", AGENT)
    shown = watchword("sessions", "list", "--user", "alice", environ=environ).stdout.splitlines()
    assert [line.split("\t")[0] for line in shown] == [each["id"] for each in alices]
    assert shown[0].split("\t")[1:2] + shown[0].split("\t")[3:] == ["alice", "127.0.0.1", AGENT]


def test_one_session_is_ended_and_then_all_of_a_user(environ: dict[str, str]) -> None:
    """What ended is gone from the list and announced to the service; bob's stay."""
    first, second = listed(environ, "--user", "alice")
    assert watchword("sessions", "end", str(first["id"]), environ=environ).stdout == "Ended 1.\n"
    assert [each["id"] for each in listed(environ, "--user", "alice")] == [second["id"]]
    assert watchword("sessions", "end", "--user", "alice", environ=environ).stdout == "Ended 1.\n"
    assert watchword("sessions", "end", "--user", "alice", environ=environ).stdout == "Ended 0.\n"
    assert len(listed(environ)) == 2
    database = Path(environ["WATCHWORD_INSTANCE"]) / "watchword.db"
    announced = {session_id for (session_id,) in rows(database, "SELECT session_id FROM revocations")}
    assert announced == {first["id"], second["id"]}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("end nobodys", "there is no session nobodys"),
        ("end -8q06c7i8MfxY-nwbCfmjw", "there is no session -8q06c7i8MfxY-nwbCfmjw"),
        ("end --q06c7i8MfxY-nwbCfmjw", "there is no session --q06c7i8MfxY-nwbCfmjw"),
        ("end -h806c7i8MfxY-nwbCfmjw", "there is no session -h806c7i8MfxY-nwbCfmjw"),
        ("end -8q06c7ih8fxY-nwbCfmjw", "there is no session -8q06c7ih8fxY-nwbCfmjw"),
        ("end n\udcffbody", r"there is no session n\udcffbody"),  # bytes that are no UTF-8
        ("end --user nobody", "there is no user nobody"),
        ("list --user nobody", "there is no user nobody"),
        ("list --user nobody --json", "there is no user nobody"),
    ],
)
def test_what_is_not_there_is_one_line(environ: dict[str, str], arguments: str, line: str) -> None:
    """Status 1 and one line that says what is missing."""
    assert line in refusal(watchword("sessions", *arguments.split(), environ=environ))


@pytest.mark.parametrize("arguments", ["end", "end an-id --user alice"])
def test_it_must_be_said_what_is_to_end(environ: dict[str, str], arguments: str) -> None:
    """Neither nothing nor both: a usage error, and nothing ends."""
    done = watchword("sessions", *arguments.split(), environ=environ)
    assert done.returncode == 2
    assert "needs an ID or --user NAME" in done.stderr
