"""Standard streams that are closed, full or in another encoding: one line in place of a traceback."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, fresh_environment, rows, run

PASSWORD = "kestrel-harbour-violet-94"


def shell(line: str, environ: Mapping[str, str], *, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command of ours with the shell's redirections."""
    return subprocess.run(
        ["sh", "-c", f"exec {shlex.join(COMMAND)} {line}"],
        env=environ,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An instance that is set up."""
    environ = fresh_environment(tmp_path_factory.mktemp("streams") / "instance")
    run([*COMMAND, "init"], environ=environ).check_returncode()
    return environ


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("users add dora --password-stdin <&-", "watchword: standard input or standard output is closed"),
        ("users import - <&-", "watchword: standard input or standard output is closed"),
        ("users list >&-", "watchword: standard input or standard output is closed"),
        ("users list >/dev/full", "watchword: [Errno 28] No space left on device"),
        ("openapi >/dev/full", "watchword: [Errno 28] No space left on device"),
        ("clients add a --scope metrics:read >&-", "Error: standard output is closed; nothing was done"),
        ("init >&-", "Error: standard output is closed; nothing was done"),
    ],
)
def test_a_stream_that_fails_is_one_line(environ: dict[str, str], line: str, said: str) -> None:
    """Status 1 and what is wrong; Python's own complaint at its end does not follow."""
    done = shell(line, environ)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(said)
    assert done.stderr.count(b"\n") == 1


def test_a_closed_stderr_is_no_fault(environ: dict[str, str]) -> None:
    """There is nobody to tell anything to, and the command does what it is asked for."""
    done = shell("users import - --json 2>&-", environ)
    assert (done.returncode, done.stdout) == (0, b'{"added": 0, "exists": 0, "refused": 0, "dry_run": false}\n')


@pytest.mark.parametrize("name", ["full", "unread"])
def test_a_stderr_that_fails_keeps_no_command_from_its_work(environ: dict[str, str], name: str) -> None:
    """What would be told there is lost quietly, and neither a secret nor users, totals or a status are lost with it."""
    with stderr_that_fails(name) as stderr:

        def outcome(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes]:
            done = subprocess.run(
                [*COMMAND, *arguments], env=environ, input=stdin, stdout=subprocess.PIPE, stderr=stderr, check=False
            )
            return done.returncode, done.stdout

        status, secret = outcome("clients", "add", name, "--scope", "metrics:read")
        assert (status, secret[:4]) == (0, b"wws_")
        good = json.dumps({"username": name, "password": PASSWORD}).encode()
        totals = b"Added 1; 0 were there already; 2 refused.\n"
        assert outcome("users", "import", "-", stdin=b"{}\n{}\n" + good) == (1, totals)
        assert outcome("users", "disable", "nobody") == (1, b"")
        assert outcome("users", "disable") == (2, b"")


@contextmanager
def stderr_that_fails(name: str) -> Iterator[int]:
    """The descriptor of a full device, or of a pipe whose reader has gone."""
    if name == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, descriptor = os.pipe()
        os.close(reader)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_secret_that_is_lost_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    """The disk is full when it is shown: what was made stays, and the line says how to get another secret."""
    done = shell("clients add gateway --scope metrics:read >/dev/full", environ)
    assert done.returncode == 1
    assert done.stderr.decode().endswith("a secret is lost: run `watchword clients revoke gateway` and add it again\n")
    done = shell("init >/dev/full", fresh_environment(tmp_path / "instance"))
    assert done.returncode == 1
    assert done.stderr.decode().endswith("a secret is lost: run `watchword users set-password admin`\n")


def test_no_password_is_lost_with_what_is_told_before(tmp_path: Path, postgresql_url: str) -> None:
    """`init` beside a SQLite file has a line to write before it: the first user is made when that is written."""
    environ = fresh_environment(tmp_path, DATABASE_URL=postgresql_url)
    (tmp_path / "watchword.db").touch()
    assert shell("init >/dev/full", environ).returncode == 1
    assert b"with the password" in shell("init", environ).stdout


def test_no_secret_is_made_for_a_closed_output(environ: dict[str, str], tmp_path: Path) -> None:
    """What would be shown to nobody is not made in the first place."""
    shell("clients add nobody --scope metrics:read >&-", environ)
    database = Path(environ["WATCHWORD_INSTANCE"]) / "watchword.db"
    assert rows(database, "SELECT count(*) FROM clients WHERE name = 'nobody'") == [(0,)]
    shell("init >&-", fresh_environment(tmp_path / "instance"))
    assert list(tmp_path.iterdir()) == []


CHANGES = [
    ("users add {name} --password-stdin", (1, 1)),
    ("users import -", (1, 1)),
    ("users disable {name}", (1, 0)),
    ("users enable {name}", (1, 1)),
    ("users set-password {name} --password-stdin", (1, 1)),
    ("sessions end --user {name}", (1, 1)),
    ("users delete {name}", (0, 0)),
    ("migrate", (0, 0)),
    ("keys rotate", (0, 0)),
    ("keys rotate --now", (0, 0)),
    ("clients add {name} --scope metrics:read", (0, 0)),
    ("clients revoke {name}", (0, 0)),
]
"""Each with how many users of the name there are afterwards, and how many may log in."""


def test_what_is_done_is_told_as_done_where_the_output_is_full(environ: dict[str, str]) -> None:
    """A full disk is told as that of standard output: the database had room, and a second try would be refused."""
    database = Path(environ["WATCHWORD_INSTANCE"]) / "watchword.db"
    counts = "SELECT count(*), count(*) FILTER (WHERE disabled_at IS NULL) FROM users WHERE username = 'fullness'"
    for line, expected in CHANGES:
        stdin = json.dumps({"username": "fullness", "password": PASSWORD}).encode()
        done = shell(f"{line.format(name='fullness')} >/dev/full", environ, stdin=stdin)
        told = "and a secret is lost" if line.startswith("clients add") else "but what was asked for is done"
        assert done.returncode == 1
        assert (
            done.stderr.decode()
            .splitlines()[-1]
            .startswith(f"Error: standard output failed (No space left on device), {told}")
        ), line
        assert rows(database, counts) == [expected], line
    assert rows(database, "SELECT count(*) FROM clients WHERE name = 'fullness'") == [(0,)]
    assert rows(database, "SELECT count(*) FROM signing_keys") == [(2,)]


def test_nothing_is_done_for_a_closed_output(environ: dict[str, str]) -> None:
    """Whoever changes something learns what became of it: that is nothing, in a line and with status 1."""
    database = Path(environ["WATCHWORD_INSTANCE"]) / "watchword.db"

    def content() -> list[list[tuple[object, ...]]]:
        return [rows(database, f"SELECT * FROM {table}") for table in ("users", "clients", "signing_keys")]

    shell("users add admin --password-stdin", environ, stdin=PASSWORD.encode())
    before = content()
    for line, _ in CHANGES:
        done = shell(f"{line.format(name='admin')} >&-", environ, stdin=f"{PASSWORD}\n".encode())
        assert (done.returncode, done.stderr) == (1, b"Error: standard output is closed; nothing was done\n"), line
    assert content() == before


def test_nothing_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What a command opens, or a program that it starts, is never taken for standard input, output or error."""
    seen = tmp_path / "seen"
    story = (
        "import os, sys; from watchword.cli.streams import settle; settle(); opened = os.open(os.devnull, 0);"
        "print(opened > 2, all(map(os.get_inheritable, range(3))), file=open(sys.argv[1], 'w'))"
    )
    line = f"exec {shlex.join([sys.executable, '-c', story, str(seen)])} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", line], check=True)
    assert seen.read_text() == "True True\n"


def test_letters_that_the_locale_lacks_are_escaped(environ: dict[str, str]) -> None:
    """A user whose name cannot be written is added and said to be, and the list goes on behind him."""
    latin = {**environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = shell("users add 日本 --password-stdin", latin, stdin=f"{PASSWORD}\n".encode())
    assert (done.returncode, done.stdout) == (0, rb"Added \u65e5\u672c." + b"\n")
    assert rb"\u65e5\u672c" in shell("users list", latin).stdout


def test_a_password_in_another_encoding_is_refused(environ: dict[str, str]) -> None:
    """Bytes that are no text of the stream's encoding are refused without a word of them."""
    strict = {**environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = shell("users add dora --password-stdin", strict, stdin=PASSWORD.encode() + b"\xff\n")
    assert done.returncode == 2
    assert done.stderr.endswith(b"Error: the password is not utf-8\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("users add dora --password-stdin", b"watchword: password: must not be longer than 1024 characters\n"),
        ("users import -", b"Error: line 1 has no end; is this a file of users?\n"),
        (
            "bench http://127.0.0.1 --users -",
            b"Error: line 1 has no end; is this a file of users?\n",
        ),
    ],
)
def test_a_line_without_an_end_is_refused(environ: dict[str, str], line: str, said: bytes) -> None:
    """No more of it is read than a line can have, and one line says so."""
    endless = f"ulimit -v 1000000; exec {shlex.join(COMMAND)} {line} </dev/zero"
    done = subprocess.run(["sh", "-c", endless], env=environ, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", said)


@pytest.mark.parametrize("length", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_line_that_is_too_long_is_refused_and_the_others_go_in(environ: dict[str, str], length: int) -> None:
    """As any line that cannot be taken, also if what it begins with could be."""
    users = [json.dumps({"username": f"long-{length}-{number}", "password": PASSWORD}).encode() for number in range(3)]
    lines = [users[0], users[1].ljust(length), users[2]]
    done = shell("users import - --json", environ, stdin=b"\n".join(lines))
    assert json.loads(done.stdout)["refused"] == 1
    assert (done.returncode, json.loads(done.stdout)["added"]) == (1, 2)
    assert done.stderr.startswith(b"line 2: refused: not JSON")


def test_the_longest_password_fits(environ: dict[str, str]) -> None:
    """A line of 1,024 characters beside its end is read whole, whichever end it has."""
    longest = "Ä".join(f"{number:04}" for number in range(1000))[:1024]
    for name, end in (("lf", "\n"), ("crlf", "\r\n"), ("none", "")):
        done = shell(f"users add longest-{name} --password-stdin", environ, stdin=f"{longest}{end}".encode())
        assert (done.returncode, done.stderr) == (0, b"")
    assert shell("users add longer --password-stdin", environ, stdin=f"{longest}1\n".encode()).returncode == 1


def test_a_folder_that_is_gone_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    """A relative instance folder, which is the default, is nowhere when the current folder is removed."""
    relative = {name: value for name, value in environ.items() if name != "WATCHWORD_INSTANCE"}
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && exec {shlex.join(COMMAND)} users list"
    done = subprocess.run(["sh", "-c", line], env=relative, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ("watchword: WATCHWORD_INSTANCE: is relative to the current folder, which has been removed\n")
