"""``watchword users …``: what goes wrong is one line and a status of 1; passwords come from people or from a pipe."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, change, fresh_environment, refusal, run
from tests.cli.terminals import at_a_terminal
from tests.servers import watchword

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an instance with two users, admin and alice."""
    environ = fresh_environment(tmp_path_factory.mktemp("users") / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    watchword("users", "add", "alice", "--password-stdin", environ=environ, stdin=PASSWORD).check_returncode()
    return environ


@pytest.mark.parametrize(
    ("arguments", "password", "line"),
    [
        ("add carol --password-stdin", "too short", "The password must have at least 15 characters, this one has 9"),
        ("add carol --password-stdin", "", "password: must not be empty"),
        ("add carol --password-stdin --scope a\\b", PASSWORD, "scope: must be visible ASCII"),
        ("add carol --password-stdin --scope=", PASSWORD, "scope: must be visible ASCII without spaces, quotes and "),
        (f"add carol --password-stdin --scope {'s' * 1501}", PASSWORD, "scope: must have at most 1500 characters"),
        ("add ca\trol --password-stdin", PASSWORD, "A user name cannot have"),
        ("add ALICE --password-stdin", PASSWORD, "there is a user ALICE already"),
        ("set-password nobody --password-stdin", PASSWORD, "there is no user nobody"),
        ("set-password alice --password-stdin", "too short", "The password must have at least 15 characters"),
        ("disable nobody", "", "there is no user nobody"),
        ("enable nobody", "", "there is no user nobody"),
        ("delete nobody", "", "there is no user nobody"),
    ],
)
def test_what_cannot_be_done_is_one_line(environ: dict[str, str], arguments: str, password: str, line: str) -> None:
    """Status 1, one line that says why, never the password, and no user more or less."""
    done = watchword("users", *arguments.split(" "), environ=environ, stdin=password)
    told = refusal(done)
    assert line in told
    assert not password or password not in told


def test_nobody_came_or_went(environ: dict[str, str]) -> None:
    """After all that was refused the users are those of before, in the order of their names, for eye and program."""
    assert watchword("users", "list", environ=environ).stdout == "admin\tenabled\tadmin\nalice\tenabled\t\n"
    listed = watchword("users", "list", "--json", environ=environ).stdout.splitlines()
    admin, alice = map(json.loads, listed)
    assert admin.keys() == {"id", "username", "scope", "disabled", "created_at"}
    assert (alice["username"], alice["scope"], alice["disabled"]) == ("alice", "", False)
    assert admin["id"] != alice["id"]


def test_a_password_is_judged_by_the_name_as_the_user_writes_it(environ: dict[str, str]) -> None:
    """Also if the operator finds the user by another spelling of it."""
    name = "\N{FULLWIDTH LATIN SMALL LETTER E}velyn.hawthorne"
    watchword("users", "add", name, "--password-stdin", environ=environ, stdin=PASSWORD).check_returncode()
    for spelling in (name, "evelyn.hawthorne"):
        done = watchword("users", "set-password", spelling, "--password-stdin", environ=environ, stdin=f"{name}zq7xw")
        assert "besides the user name" in refusal(done)
    watchword("users", "delete", name, environ=environ).check_returncode()


def test_a_user_whose_name_nobody_could_take_any_more_can_be_shut_out(tmp_path: Path) -> None:
    """A name of before there was a bound on what takes long to read; to nobody who could not log in is access given."""
    instance = tmp_path / "instance"
    environ = fresh_environment(instance)
    run([*COMMAND, "init"], environ=environ).check_returncode()
    name = "カ" + "・" * 9
    change(instance / "watchword.db", f"UPDATE users SET username = '{name}', canonical_name = '{name}'")
    for command in ("users enable", "users set-password --password-stdin", "users add --password-stdin"):
        refused = watchword(*command.split(), name, environ=environ, stdin=PASSWORD)
        assert "at most 8 katakana middle dots" in refusal(refused)
    for command in ("users disable", "sessions end --user", "sessions list --user", "users delete"):
        run([*COMMAND, *command.split(), name], environ=environ).check_returncode()


@pytest.mark.parametrize("command", ["add carol", "set-password alice"])
def test_without_a_terminal_a_password_must_be_piped(environ: dict[str, str], command: str) -> None:
    """Nobody can be asked: a usage error says what to use, and what happens to be on standard input is no password."""
    done = watchword("users", *command.split(), environ=environ, stdin=PASSWORD)
    assert done.returncode == 2
    assert "use --password-stdin" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["add carol", "set-password alice"])
def test_a_byte_order_mark_is_no_part_of_a_password(environ: dict[str, str], command: str) -> None:
    """An editor puts it in front of a file, where nobody sees it; nobody could type the password that it begins."""
    done = watchword("users", *command.split(), "--password-stdin", environ=environ, stdin=f"\ufeff{PASSWORD}\n")
    assert done.returncode == 2
    assert "the password begins with a byte order mark" in done.stderr
    assert PASSWORD not in done.stderr
    assert "carol" not in watchword("users", "list", environ=environ).stdout


def test_at_a_terminal_a_password_is_asked_for_twice_and_not_shown(environ: dict[str, str]) -> None:
    """Two answers that differ are asked for again; what is typed never stands on the screen."""
    typed = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    status, screen = at_a_terminal([*COMMAND, "users", "add", "dave"], environ=environ, typed=typed, stdin=True)
    assert status == 0, screen
    assert "Added dave." in screen
    assert screen.count("Password:") == 2
    assert PASSWORD not in screen
    watchword("users", "delete", "dave", environ=environ).check_returncode()


def test_a_database_that_fails_names_its_setting(tmp_path: Path) -> None:
    """What goes wrong in the database amid a command is one line too, and says which setting leads there."""
    instance = tmp_path / "instance"
    environ = fresh_environment(instance)
    run([*COMMAND, "init"], environ=environ).check_returncode()
    change(instance / "watchword.db", "DROP TABLE users")
    line = refusal(run([*COMMAND, "users", "list"], environ=environ))
    assert line == "watchword: WATCHWORD_DATABASE_URL: the database answers: no such table: users\n"


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
def test_a_secret_that_is_not_the_services_changes_nothing(tmp_path: Path, algorithm: str) -> None:
    """What a command would tell the audit trail under it would be called broken: it is refused before it acts."""
    theirs = fresh_environment(tmp_path, ALGORITHM=algorithm, SECRET_KEY="a root of trust for one case 0123456789")
    run([*COMMAND, "init"], environ=theirs).check_returncode()
    another = {**theirs, "WATCHWORD_SECRET_KEY": "another root of trust 9753108642 and so"}
    line = refusal(run([*COMMAND, "users", "disable", "admin"], environ=another))
    assert line.startswith("watchword: WATCHWORD_SECRET_KEY: ")
    assert "sealed under another secret" in line
    assert run([*COMMAND, "users", "list"], environ=another).stdout == "admin\tenabled\tadmin\n"
    with_the_former = {**another, "WATCHWORD_SECRET_KEY_FALLBACKS": theirs["WATCHWORD_SECRET_KEY"]}
    run([*COMMAND, "users", "disable", "admin"], environ=with_the_former).check_returncode()
    run([*COMMAND, "users", "enable", "admin"], environ=theirs).check_returncode()


def test_one_key_that_is_spoilt_keeps_nobody_from_acting(tmp_path: Path) -> None:
    """The secret has proven itself by another key, and a user must be locked out also then."""
    environ = fresh_environment(tmp_path / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    run([*COMMAND, "keys", "rotate"], environ=environ).check_returncode()
    change(tmp_path / "instance" / "watchword.db", "UPDATE signing_keys SET sealed = x'00' WHERE generation = 1")
    run([*COMMAND, "users", "disable", "admin"], environ=environ).check_returncode()


def test_what_the_trail_does_not_take_is_told_at_the_terminal(tmp_path: Path) -> None:
    """The user is locked out all the same, and each event is a line of JSON, as in the log of a service."""
    environ = fresh_environment(tmp_path / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    change(tmp_path / "instance" / "watchword.db", "ALTER TABLE audit_events RENAME TO audit_events_of_before")
    done = run([*COMMAND, "users", "disable", "admin"], environ=environ)
    assert (done.returncode, done.stdout) == (0, "Disabled admin.\n")
    *told, first, second = done.stderr.splitlines()
    assert told[-1].startswith("2 audit events are only in the log: ")
    disabled, ended = json.loads(first), json.loads(second)
    assert (disabled["event"], disabled["detail"], disabled["actor"], disabled["seq"]) == (
        "user_updated",
        "disabled",
        "cli",
        1,
    )
    assert (ended["event"], ended["seq"], ended["writer"]) == ("sys_command_ended", 2, disabled["writer"])
