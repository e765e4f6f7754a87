"""``watchword audit …``: the trail of what happened, for people, for programs, and for whoever does not believe it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import COMMAND, change, refusal, rows
from tests.cli.test_users import PASSWORD
from tests.servers import Server, environment, watchword, watchword_server, workers_of

ADD_ALICE = ("users", "add", "alice", "--password-stdin", "--scope", "reports:read")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with a few commands behind it."""
    folder = tmp_path_factory.mktemp("audit") / "instance"
    environ = environment(folder)
    watchword("init", environ=environ).check_returncode()
    watchword(*ADD_ALICE, environ=environ, stdin=f"{PASSWORD}\n").check_returncode()
    for command in ("disable", "enable"):
        watchword("users", command, "alice", environ=environ).check_returncode()
    return folder


def exported(instance: Path, *arguments: str) -> list[dict[str, object]]:
    """What an export gives."""
    done = watchword("audit", "export", *arguments, environ=environment(instance))
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_commands_do_is_in_the_trail(instance: Path) -> None:
    """Each its event, by the command line, about whom, when; each command a writer of its own, which tells its end."""
    everything = exported(instance)
    assert [(line["event"], line["actor"], line["seq"]) for line in everything[1::2]] == [
        ("sys_command_ended", "cli", 2)
    ] * 4
    lines = everything[::2]
    assert [(line["event"], line["detail"], line["actor"], line["seq"]) for line in lines] == [
        ("user_created", "admin", "cli", 1),
        ("user_created", "reports:read", "cli", 1),
        ("user_updated", "disabled", "cli", 1),
        ("user_updated", "enabled", "cli", 1),
    ]
    assert len({line["writer"] for line in lines}) == 4
    assert len({line["user_id"] for line in lines[1:]}) == 1
    assert str(lines[0]["at"]).endswith("+00:00")
    assert len(str(lines[0]["digest"])) == 64


def test_an_export_of_a_span(instance: Path) -> None:
    """From a moment or a day on, and up to one; what is no time is a usage error."""
    everything = exported(instance)
    third = str(everything[4]["at"])
    assert exported(instance, "--since", third) == [line for line in everything if str(line["at"]) >= third]
    span = ("--since", "2020-01-01", "--until", third)
    assert exported(instance, *span) == [line for line in everything if str(line["at"]) < third]
    done = watchword("audit", "export", "--since", "yesterday", environ=environment(instance))
    assert done.returncode == 2
    assert "must be a day as 2026-01-31" in done.stderr


def test_a_tail_is_short_and_readable(instance: Path) -> None:
    """One line per event for people, and as JSON for programs."""
    done = watchword("audit", "tail", "-n", "2", environ=environment(instance))
    first, second = (line.split("\t") for line in done.stdout.splitlines())
    assert (first[1:5], second[1:5]) == (
        ["user_updated", "success", "enabled", "cli"],
        ["sys_command_ended", "success", "", "cli"],
    )
    assert first[5].startswith("user=")
    done = watchword("audit", "tail", "--json", environ=environment(instance))
    assert [json.loads(line) for line in done.stdout.splitlines()] == exported(instance)


def test_a_tail_is_followed(instance: Path) -> None:
    """What another command does comes out as it happens, into a pipe too; an interrupt ends it quietly."""
    environ = {**environment(instance), "PYTHONUNBUFFERED": ""}
    # A job in the background of a shell ignores interrupts, and so would what it starts.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    following = subprocess.Popen(
        [*COMMAND, "audit", "tail", "-n", "2", "--follow"],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, ours)
    try:
        assert following.stdout
        assert "\tenabled\t" in following.stdout.readline()
        assert "\tsys_command_ended\t" in following.stdout.readline()
        watchword("users", "disable", "alice", environ=environ).check_returncode()
        assert "\tdisabled\t" in following.stdout.readline()
        assert "\tsys_command_ended\t" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=30) == ("", "")
        assert following.returncode == 0
    finally:
        following.kill()
        following.wait()


def test_a_reader_who_has_enough_is_no_error(instance: Path) -> None:
    """``watchword audit export | head -1`` says nothing on standard error."""
    command = f"{sys.executable} -m watchword audit export | head -1"
    done = subprocess.run(
        ["sh", "-c", command], env=environment(instance), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_verify_tells_what_is_wrong(instance: Path, tmp_path: Path) -> None:
    """All is well; after a change by hand one line says where, for programs too, and the status is 1."""
    environ = environment(Path(shutil.copytree(instance, tmp_path / "instance")))
    database = tmp_path / "instance" / "watchword.db"
    change(database, "DELETE FROM audit_events WHERE id > 4")  # whole writers, and so no chain
    done = watchword("audit", "verify", environ=environ)
    assert (done.returncode, done.stdout) == (0, "4 events of 2 writers: 2 ended, 0 open, 0 broken.\n")
    ((writer,),) = rows(database, "SELECT writer FROM audit_events WHERE id = 3")
    change(database, "UPDATE audit_events SET user_id = 'mallory' WHERE id = 3")
    done = watchword("audit", "verify", environ=environ)
    assert (done.returncode, done.stdout) == (1, "3 events of 2 writers: 1 ended, 0 open, 1 broken.\n")
    assert done.stderr.startswith(f"broken: event 1 of writer {writer} is not as it was written")
    done = watchword("audit", "verify", "--json", environ=environ)
    states = {line["writer"]: line["state"] for line in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, states[writer], len(states)) == (1, "broken", 2)


def test_without_a_database_it_is_one_line(tmp_path: Path) -> None:
    """As for any command."""
    assert "run `watchword init`" in refusal(watchword("audit", "verify", environ=environment(tmp_path)))


def log_in(server: Server) -> None:
    """Make something happen."""
    answer = httpx.post(f"{server.url}/login", json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200


def test_a_process_that_is_killed_leaves_a_chain_that_verifies(instance: Path, tmp_path: Path) -> None:
    """After kill -9 its events are there from the first to one of the last, and all that happened is in the log; the
    chain is open and not broken. Its successor, ended in order, has ended.
    """
    copied = Path(shutil.copytree(instance, tmp_path / "instance"))
    change(copied / "watchword.db", "UPDATE users SET disabled_at = NULL")
    with watchword_server(copied) as server:
        for _ in range(20):
            log_in(server)
        time.sleep(0.05)  # the log is some milliseconds behind, the table up to 200
        (killed,) = workers_of(server)
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while workers_of(server) in ([killed], []) and time.monotonic() < deadline:
            time.sleep(0.05)
        while time.monotonic() < deadline:  # on the same socket, whose backlog holds who comes too early
            try:
                log_in(server)
                break
            except httpx.TransportError:
                time.sleep(0.05)
    told = [line for line in map(json.loads, server.log.read_text().splitlines()) if "writer" in line]
    first, second = dict.fromkeys(line["writer"] for line in told)
    assert [line["event"] for line in told if line["writer"] == first] == ["sys_startup"] + ["authn_login_success"] * 20
    assert [line["event"] for line in told if line["writer"] == second][-1] == "sys_shutdown"
    done = watchword("audit", "verify", "--json", environ=server.environ)
    assert done.returncode == 0, done.stderr
    verdicts = {line["writer"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert (verdicts[first]["state"], verdicts[second]["state"]) == ("open", "ended")
    assert 1 <= verdicts[first]["events"] <= 21
    assert verdicts[second]["events"] == len([line for line in told if line["writer"] == second])


@pytest.mark.parametrize("time", ["9999999999999999", "'abc'", "x'41'"])
def test_what_a_foreign_hand_wrote_hides_nothing(instance: Path, tmp_path: Path, time: str) -> None:
    """Tail and export show what is no time as it is, and what is behind it; a detail neither ends nor forges a line."""
    environ = environment(Path(shutil.copytree(instance, tmp_path / "instance")))
    forged = "char(27) || '[2J' || char(10) || 'forged'"
    change(
        tmp_path / "instance" / "watchword.db",
        f"UPDATE audit_events SET at = {time}, actor = x'41', detail = {forged} WHERE id = 3",
    )
    everything = watchword("audit", "tail", "-n", "10000", environ=environ)
    assert everything.returncode == 0, everything.stderr
    lines = everything.stdout.splitlines()
    assert lines[2].split("\t")[3:5] == ["\\x1b[2J\\nforged", "b'A'"]
    for command in (["tail", "-n", "10000", "--json"], ["export"]):
        done = watchword("audit", *command, environ=environ)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == len(lines)
