"""``watchword bench`` against a real service, as a user runs it."""

import asyncio
import json
import re
import shlex
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.tiny import Seen, answer, tiny_server
from tests.builders import PASSWORD
from tests.cli.commands import COMMAND
from tests.cli.terminals import at_a_terminal
from tests.servers import Server, environment, free_port, watchword, watchword_server

PHASES = ["logins alone", "logins beside /me", "/me alone", "/me beside logins"]
QUICKLY = ("--seconds", "0.5", "--clients", "4", "--rate", "40")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with hashes that cost next to nothing."""
    with watchword_server(tmp_path_factory.mktemp("service") / "instance") as server:
        yield server


@pytest.fixture(scope="module")
def crowd(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of users whom the service knows."""
    path = tmp_path_factory.mktemp("crowd") / "crowd.jsonl"
    watchword("bench", "--make-users", "20", str(path), environ=service.environ).check_returncode()
    watchword("users", "import", str(path), environ=service.environ).check_returncode()
    return path


def bench(service: Server, *arguments: str, users: Path) -> "subprocess.CompletedProcess[str]":
    """A short run against the service."""
    return watchword("bench", service.url, "--users", str(users), *QUICKLY, *arguments, environ=service.environ)


def write_users(path: Path, *users: dict[str, str]) -> Path:
    """A file of users."""
    path.write_text("".join(f"{json.dumps(user)}\n" for user in users))
    return path


def test_json_has_the_numbers_of_all_four_phases(service: Server, crowd: Path) -> None:
    """A script reads one object: the plan, and for each phase counts, rates and times that belong together."""
    done = bench(service, "--json", users=crowd)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result.keys() == {
        "url", "users", "clients", "rate", "seconds", "phases", "generator_was_the_limit", "remarks",
    }  # fmt: skip
    plan = (result["url"], result["users"], result["clients"], result["rate"], result["seconds"])
    assert plan == (service.url, 20, 4, 40.0, 0.5)
    assert [phase["name"] for phase in result["phases"]] == PHASES
    for phase in result["phases"]:
        assert phase["statuses"].keys() == {"200"}
        times = phase["times"]
        assert times["count"] == phase["statuses"]["200"] > 0
        assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
        assert 0 <= phase["goodput"] <= phase["rate"]
        assert phase["refusals"] is None
        assert phase["generator_cpu"] > 0
    for guarded in result["phases"][2:]:
        assert guarded["statuses"]["200"] == 20  # the rate, and not what the service is in the mood for


async def test_users_log_in_in_turn_and_requests_carry_the_token(service: Server, tmp_path: Path) -> None:
    """Nobody logs in a second time before everybody else did; each guarded request has the token that a login gave."""

    async def tell_a_token(_: Seen) -> bytes:
        return answer(200, b'{"token": "abc.def"}')

    names = [f"user{number}" for number in range(7)]
    users = write_users(tmp_path / "users.jsonl", *({"username": name, "password": PASSWORD} for name in names))
    async with tiny_server(tell_a_token) as tiny:
        command = [*COMMAND, "bench", f"http://localhost:{tiny.port}", "--users", str(users), *QUICKLY]
        process = await asyncio.create_subprocess_exec(*command, env=service.environ, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0
    assert all(f"Host: localhost:{tiny.port}\r\n" in seen.head for seen in tiny.seen)
    logins = [json.loads(seen.body) for seen in tiny.seen if seen.head.startswith("POST /login HTTP/1.1\r\n")]
    guarded = [seen for seen in tiny.seen if seen.head.startswith("GET /me HTTP/1.1\r\n")]
    assert len(logins) + len(guarded) == len(tiny.seen)
    assert len(guarded) == 2 * 0.5 * 40
    assert all("Authorization: Bearer abc.def\r\n" in seen.head for seen in guarded)
    assert all(login["password"] == PASSWORD for login in logins)
    counts = Counter(login["username"] for login in logins)
    counts["user0"] -= 2  # who fetched the tokens
    assert counts.keys() == set(names)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_table_has_a_row_for_each_phase(service: Server, crowd: Path) -> None:
    """In a pipe there is a plain table on standard output and nothing on standard error."""
    done = bench(service, users=crowd)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["answers/s", "p50", "p90", "p99", "max", "statuses"]
    for row, name in zip(rows, PHASES, strict=False):
        assert row.startswith(name)
        assert "200 × " in row
        assert row.count(" ms") + row.count(" s ") >= 4
    assert "The load generator used up to" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_report_is_a_page(service: Server, crowd: Path, tmp_path: Path) -> None:
    """--report writes a page about this very service."""
    path = tmp_path / "report.html"
    done = bench(service, "--report", str(path), users=crowd)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    root = ElementTree.fromstring(path.read_text())
    port = service.url.rpartition(":")[2]
    assert [heading.text for heading in root.iter("h1")] == [f"127.0.0.1:{port} under load"]
    assert len(list(root.iter("svg"))) == 6


def test_numbers_outlive_a_report_or_an_output_that_fails(service: Server, crowd: Path, tmp_path: Path) -> None:
    """A full disk in place of one loses only that one, with one line and a status of 1."""
    done = bench(service, "--json", "--report", "/dev/full", users=crowd)
    assert (done.returncode, done.stderr) == (1, "Error: /dev/full cannot be written: No space left on device\n")
    assert [phase["name"] for phase in json.loads(done.stdout)["phases"]] == PHASES
    path = tmp_path / "report.html"
    command = [*COMMAND, "bench", service.url, "--users", str(crowd), *QUICKLY, "--report", str(path)]
    with Path("/dev/full").open("wb") as full:
        status = subprocess.run(command, env=service.environ, stdout=full, check=False).returncode
    assert status == 1
    assert path.read_text().endswith("</html>\n")


def test_a_terminal_shows_the_run_while_it_lasts(service: Server, crowd: Path) -> None:
    """On a terminal each phase has a bar with its rate; when all is over the table stands alone."""
    command = [*COMMAND, "bench", service.url, "--users", str(crowd), "--seconds", "1.2", "--rate", "50"]
    status, screen = at_a_terminal(command, environ=service.environ, stdin=False)
    assert status == 0
    live, _, table = screen.rpartition("answers/s")
    for name in PHASES:
        assert re.search(rf"{name} +\x1b.*━.*\d/s", live), name
        assert re.search(rf"{name} .*200 × ", table), name


def test_an_overloaded_service_is_waited_for(tmp_path: Path) -> None:
    """503s are counted, their Retry-After is kept, and the time over retries is told."""
    users = write_users(tmp_path / "users.jsonl", {"username": "bob", "password": PASSWORD})
    with watchword_server(
        tmp_path / "instance", HASH_MEMORY_KIB="16384", HASH_PASSES="8", HASH_MAX_WAIT="0.05"
    ) as slow:
        watchword("users", "import", str(users), environ=slow.environ).check_returncode()
        arguments = ("--users", str(users), "--clients", "16", "--seconds", "2.5", "--rate", "5", "--json")
        done = watchword("bench", slow.url, *arguments, environ=slow.environ)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    logins = result["phases"][0]
    assert logins["statuses"].keys() == {"200", "503"}
    assert logins["refusals"]["count"] == logins["statuses"]["503"]
    assert logins["over_retries"]["count"] == logins["statuses"]["200"]
    assert logins["unfinished"] <= 16
    assert logins["statuses"]["503"] <= 16 * 3 + logins["statuses"]["200"]  # nobody hammered
    assert "16 clients shared 1 users" in "".join(result["remarks"])


async def test_refusals_are_told_below_the_table(service: Server, tmp_path: Path) -> None:
    """Whoever reads the table learns how many were refused, how quickly, and how long it took them in all."""
    logins = 0

    async def refuse_every_other_login(seen: Seen) -> bytes:
        nonlocal logins
        logins += seen.head.startswith("POST")
        if seen.head.startswith("POST") and logins % 2 == 0:
            return answer(503, b"{}", "Retry-After: 0")
        return answer(200, b'{"token": "abc"}')

    users = write_users(tmp_path / "users.jsonl", {"username": "bob", "password": PASSWORD})
    async with tiny_server(refuse_every_other_login) as tiny:
        command = [*COMMAND, "bench", f"http://127.0.0.1:{tiny.port}", "--users", str(users), *QUICKLY]
        process = await asyncio.create_subprocess_exec(*command, env=service.environ, stdout=subprocess.PIPE)
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert re.search(rb"logins alone .*200 \xc3\x97 [\d,]+, 503 \xc3\x97 [\d,]+", said)
    assert re.search(rb"logins alone: [\d,]+ refusals, 99 % of them within .+ Over all tries one took .+\(p99\)", said)


def test_nothing_listens(crowd: Path, service: Server) -> None:
    """Where no service is, that is said in one line, and at once."""
    url = f"http://127.0.0.1:{free_port()}"
    done = watchword("bench", url, "--users", str(crowd), environ=service.environ)
    assert done.returncode == 1
    assert done.stderr == f"Error: nothing answers at {url}; is the service running there?\n"
    assert done.stdout == ""


def test_a_wrong_password_is_named_before_any_load(service: Server, tmp_path: Path) -> None:
    """Who cannot log in is told by name, never with the password."""
    users = write_users(tmp_path / "users.jsonl", {"username": "mallory", "password": "not the right one"})
    done = bench(service, users=users)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: mallory cannot log in at {service.url}; ")
    assert "users import" in done.stderr
    assert "not the right one" not in done.stderr


def test_wrong_passwords_further_down_are_remarked(service: Server, crowd: Path, tmp_path: Path) -> None:
    """The numbers are given, and that some of them are of failed logins is said with them."""
    users = tmp_path / "users.jsonl"
    users.write_text(crowd.read_text() + json.dumps({"username": "mallory", "password": "not the right one"}) + "\n")
    result = json.loads(bench(service, "--json", users=users).stdout)
    assert result["phases"][0]["statuses"]["401"] > 0
    assert any("answered 401" in remark for remark in result["remarks"])


@pytest.mark.parametrize("confirmed", [[], ["--i-may-load", "192.0.2.2"]])
def test_another_machine_is_not_loaded_without_confirmation(service: Server, crowd: Path, confirmed: list[str]) -> None:
    """An address that is not loopback needs its very name said again, or nothing is sent."""
    done = watchword("bench", "http://192.0.2.1", "--users", str(crowd), *confirmed, environ=service.environ)
    assert done.returncode == 2
    assert "192.0.2.1 is not this machine" in done.stderr
    assert "--i-may-load 192.0.2.1" in done.stderr


def test_a_confirmed_machine_is_loaded(crowd: Path) -> None:
    """With its name said again the address is tried: here 0.0.0.0, which is this machine and not loopback."""
    port = free_port()
    arguments = ("bench", f"http://0.0.0.0:{port}", "--users", str(crowd), "--i-may-load", "0.0.0.0")
    done = watchword(*arguments, environ=environment(crowd.parent))
    assert done.returncode == 1
    assert "nothing answers at" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("https://127.0.0.1 --users {crowd}", "http://127.0.0.1:8000"),
        ("http://127.0.0.1", "Missing option '--users'"),
        ("http://127.0.0.1 --users {folder}/absent.jsonl", "absent.jsonl"),
        ("http://127.0.0.1 --users {folder}/empty.jsonl", "there is nobody in the file"),
        ("http://127.0.0.1 --users {folder}/hashes.jsonl", "line 2: has no plain password"),
        ("http://127.0.0.1 --users {crowd} --clients 0", "--clients"),
        ("http://127.0.0.1 --users {crowd} --rate 0", "--rate"),
        ("http://127.0.0.1 --users {crowd} --rate nan", "--rate"),
        ("http://127.0.0.1 --users {crowd} --seconds nan", "--seconds"),
        ("http://127.0.0.1 --users {crowd} --seconds 301", "--seconds"),
        ("http://127.0.0.1 --users {crowd} --report {folder}/absent/report.html", "there is no folder"),
        ("--make-users 0 {folder}/new.jsonl", "--make-users"),
        ("--make-users 1 -", "FILE must be the path of a file"),
        ("--make-users 1 ''", "FILE must be the path of a file"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_load(
    service: Server, crowd: Path, tmp_path: Path, arguments: str, complaint: str
) -> None:
    """A wrong argument or file is a refusal that says which, with the status of a wrong call."""
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "hashes.jsonl").write_text(
        '{"username": "a", "password": "b"}\n{"username": "c", "password_hash": "$"}\n'
    )
    given = shlex.split(arguments.format(crowd=crowd, folder=tmp_path))
    done = watchword("bench", *given, environ=service.environ)
    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize("way", ["crowd.jsonl", "./crowd.jsonl", "hard.jsonl", "soft.jsonl"])
def test_the_users_are_not_overwritten_by_the_report(service: Server, crowd: Path, tmp_path: Path, way: str) -> None:
    """The file may be all that knows the passwords: by whatever name it is given again, it stays as it is."""
    users = tmp_path / "crowd.jsonl"
    users.write_bytes(crowd.read_bytes())
    (tmp_path / "hard.jsonl").hardlink_to(users)
    (tmp_path / "soft.jsonl").symlink_to(users)
    done = bench(service, "--report", f"{tmp_path}/{way}", users=users)
    assert users.read_bytes() == crowd.read_bytes()
    assert done.returncode == 2
    assert "the report would overwrite" in done.stderr


def test_made_users_are_for_their_owner_alone(service: Server, tmp_path: Path) -> None:
    """The file of passwords is readable by its owner only, and an older one is never overwritten."""
    path = tmp_path / "crowd.jsonl"
    done = watchword("bench", "--make-users", "3", str(path), environ=service.environ)
    assert done.returncode == 0
    assert f"watchword users import {path}" in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_text()
    assert len(written.splitlines()) == 3
    again = watchword("bench", "--make-users", "3", str(path), environ=service.environ)
    assert again.returncode == 1
    assert "File exists" in again.stderr
    assert path.read_text() == written


def test_the_advised_command_is_for_a_shell(service: Server, tmp_path: Path) -> None:
    """Copied as it stands it imports the file, though there is a blank or a quote in its name."""
    path = tmp_path / "the crowd's.jsonl"
    made = watchword("bench", "--make-users", "1", str(path), environ=service.environ)
    (line,) = (line for line in made.stdout.splitlines() if line.startswith("  watchword "))
    assert shlex.split(line) == ["watchword", "users", "import", str(path)]


def test_a_file_named_as_an_option_is_advised_as_a_file(
    tmp_path: Path, service: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``users import -x`` knows no such option."""
    monkeypatch.chdir(tmp_path)
    made = watchword("bench", "--make-users", "1", "-x", environ=service.environ)
    assert "  watchword users import ./-x\n" in made.stdout
    assert (tmp_path / "-x").exists()


@pytest.mark.parametrize(
    ("output", "told", "is_there"),
    [
        (">/dev/full", "standard output failed (No space left on device), but what was asked for is done", True),
        (">&-", "standard output is closed; nothing was done", False),
    ],
)
def test_an_output_that_fails_says_whether_there_is_a_file(
    service: Server, tmp_path: Path, output: str, told: str, *, is_there: bool
) -> None:
    """Else a second try is the first to tell, which finds the file in its way."""
    path = tmp_path / "crowd.jsonl"
    line = f"exec {shlex.join([*COMMAND, 'bench', '--make-users', '3', str(path)])} {output}"
    done = subprocess.run(["sh", "-c", line], env=service.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"Error: {told}\n")
    assert path.exists() == is_there


def test_users_that_do_not_fit_leave_no_file(service: Server, tmp_path: Path) -> None:
    """Half a file would be in the way when there is room again."""
    path = tmp_path / "crowd.jsonl"
    command = shlex.join([*COMMAND, "bench", "--make-users", "500", str(path)])
    limited = ["sh", "-c", f"ulimit -f 1; exec {command}"]
    done = subprocess.run(limited, env=service.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"Error: {path} cannot be made: File too large\n")
    assert not path.exists()
