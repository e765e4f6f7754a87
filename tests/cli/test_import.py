"""``watchword users import``: a report line by line, totals for people and programs, progress for people alone."""

import json
import signal
import subprocess
import time
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, change, fresh_environment, refusal, rows, run
from tests.cli.terminals import at_a_terminal
from tests.servers import watchword

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "ZGlnZXN0" * 5 + "ZGk"
GOOD = [json.dumps({"username": f"user{number:03}", "password_hash": HASH}) for number in range(700)]
BAD = json.dumps({"username": "weak", "password": "hunter2"})


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an instance that is set up."""
    environ = fresh_environment(tmp_path_factory.mktemp("import") / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    return environ


@pytest.fixture
def environ(installation: dict[str, str]) -> dict[str, str]:
    """The same, with nobody but admin in it."""
    change(database(installation), "DELETE FROM users WHERE canonical_name != 'admin'")
    return installation


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Seven hundred good lines, and in their middle a bad one, one for admin, and one that comes twice."""
    path = tmp_path / "users.jsonl"
    admin = json.dumps({"username": "Admin", "password_hash": HASH})
    path.write_text("\n".join([*GOOD[:350], BAD, admin, GOOD[0], *GOOD[350:]]))
    return path


def database(environ: dict[str, str]) -> Path:
    """The instance's SQLite file."""
    return Path(environ["WATCHWORD_INSTANCE"]) / "watchword.db"


def number_of_users(environ: dict[str, str]) -> int:
    """How many users there are."""
    number: int = rows(database(environ), "SELECT count(*) FROM users")[0][0]
    return number


REPORT = [
    "line 351: refused: The password must have at least 15 characters, this one has 7",
    "line 352: exists: there is such a user already; left as it is",
    "line 353: refused: the same user is on an earlier line",
]


def test_a_file_is_reported_line_by_line(environ: dict[str, str], file: Path) -> None:
    """First foretold by --dry-run, then done, then run again: reports on standard error, totals on standard output."""
    foretold = watchword("users", "import", "--dry-run", str(file), environ=environ)
    assert (foretold.returncode, foretold.stderr.splitlines()) == (1, REPORT)
    assert foretold.stdout == "Would add 700; 1 were there already; 2 refused.\n"
    assert number_of_users(environ) == 1

    done = watchword("users", "import", str(file), environ=environ)
    assert (done.returncode, done.stderr.splitlines()) == (1, REPORT)
    assert done.stdout == "Added 700; 1 were there already; 2 refused.\n"
    assert number_of_users(environ) == 701

    again = watchword("users", "import", "--json", str(file), environ=environ)
    assert json.loads(again.stdout) == {"added": 0, "exists": 701, "refused": 2, "dry_run": False}
    assert len(again.stderr.splitlines()) == 703
    assert number_of_users(environ) == 701


def test_standard_input_is_a_file_too(environ: dict[str, str]) -> None:
    """With ``-`` users come through a pipe; nothing refused is a status of 0 and silence on standard error."""
    done = watchword("users", "import", "-", "--json", environ=environ, stdin="\n".join(GOOD[:3]))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"added": 3, "exists": 0, "refused": 0, "dry_run": False}


def test_a_byte_order_mark_is_no_part_of_the_first_line(environ: dict[str, str], tmp_path: Path) -> None:
    """Programs on Windows put it in front of a file; one inside is still what it is, and refused."""
    path = tmp_path / "users.jsonl"
    path.write_bytes(BOM_UTF8 + "\n".join([GOOD[0], f"\ufeff{GOOD[1]}", GOOD[2]]).encode())
    done = watchword("users", "import", str(path), environ=environ)
    assert done.stdout == "Added 2; 0 were there already; 1 refused.\n"
    assert done.stderr.startswith("line 2: refused: ")


def test_progress_is_for_a_terminal_alone(environ: dict[str, str], file: Path) -> None:
    """On a terminal a bar follows the file to its end, and the report is readable beside it."""
    status, screen = at_a_terminal([*COMMAND, "users", "import", str(file)], environ=environ, stdin=False)
    assert status == 1
    assert "Importing" in screen
    assert "100%" in screen
    assert REPORT[0] in screen
    assert "Added 700;" in screen


def test_a_service_manager_ends_an_import_in_order(environ: dict[str, str]) -> None:
    """At SIGTERM, and not less so at two, the trail has all users that were added, and the command's end."""
    importing = subprocess.Popen(
        [*COMMAND, "users", "import", "-"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert importing.stdin
    try:
        importing.stdin.write("\n".join([*GOOD, ""]))
        importing.stdin.flush()
        wait_for_the_first_batch(environ)
        importing.send_signal(signal.SIGTERM)
        importing.send_signal(signal.SIGTERM)
        assert importing.communicate(timeout=30)[0] == ""
        assert importing.returncode == 128 + signal.SIGTERM
    finally:
        importing.kill()
        importing.wait()
    ((last,),) = rows(database(environ), "SELECT event FROM audit_events ORDER BY id DESC LIMIT 1")
    assert last == "sys_command_ended"


@pytest.mark.parametrize(
    ("number", "status", "line"), [(signal.SIGTERM, 143, ""), (signal.SIGINT, 1, "Error: interrupted; what was asked")]
)
def test_an_import_that_waits_for_more_ends_at_one_signal(
    environ: dict[str, str], number: int, status: int, line: str
) -> None:
    """What it waits for may never come, and nothing else runs meanwhile that could hear of it."""
    importing = subprocess.Popen(
        [*COMMAND, "users", "import", "-"],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert importing.stdin
    assert importing.stderr
    try:
        importing.stdin.write("\n".join([*GOOD, ""]))
        importing.stdin.flush()
        wait_for_the_first_batch(environ)
        time.sleep(0.5)  # until it has read what there is of the second
        importing.send_signal(number)
        assert importing.wait(timeout=30) == status
        told = importing.stderr.read()
    finally:
        importing.kill()
        importing.communicate()
    assert line in told
    assert "Traceback" not in told
    ((last,),) = rows(database(environ), "SELECT event FROM audit_events ORDER BY id DESC LIMIT 1")
    assert last == "sys_command_ended"


def wait_for_the_first_batch(environ: dict[str, str]) -> None:
    """Until an import of ``GOOD`` waits for the rest of its second batch, or is just about to."""
    deadline = time.monotonic() + 30
    while number_of_users(environ) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_file_that_is_not_there_is_a_usage_error(environ: dict[str, str], tmp_path: Path) -> None:
    """Before anything is opened."""
    done = watchword("users", "import", str(tmp_path / "nothing"), environ=environ)
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_a_database_that_is_not_ours_takes_nobody(tmp_path: Path) -> None:
    """Without our schema the import is refused in one line."""
    environ = fresh_environment(tmp_path, SECRET_KEY="a root of trust for one case 0123456789")
    database(environ).touch()
    line = refusal(watchword("users", "import", "-", environ=environ, stdin=GOOD[0]))
    assert line.startswith("watchword: WATCHWORD_DATABASE_URL: the database has no tables of ours yet")
