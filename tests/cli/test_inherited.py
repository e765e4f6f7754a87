"""What commands inherit from whoever starts them: signals that are ignored or blocked, another program's variables."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, run
from tests.servers import Server, environment, free_port, running, watchword, workers_of

DEAF = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes its arguments, with SIGCHLD ignored and what should be heard blocked."""


def test_a_command_waits_for_its_children(tmp_path: Path) -> None:
    """Who ignores SIGCHLD has none to wait for; the first hash is tried in one, and is computed all the same."""
    environ = environment(tmp_path)
    watchword("init", environ=environ).check_returncode()
    done = subprocess.run(
        [sys.executable, "-c", DEAF, *COMMAND, "users", "add", "dora", "--password-stdin"],
        env=environ,
        input="kestrel-harbour-violet-94",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Added dora.\n")


def test_serve_hears_what_it_is_told(tmp_path: Path) -> None:
    """SIGHUP replaces the workers, which hear as well, and SIGTERM ends the service with 0."""
    environ, port = environment(tmp_path), free_port()
    watchword("init", environ=environ).check_returncode()
    command = [sys.executable, "-c", DEAF, *COMMAND, "serve", "--bind", f"127.0.0.1:{port}"]
    with running(command, environ=environ, port=port, log=tmp_path / "log") as server:
        (first,) = workers_of(server)
        assert _is_unblocked(first)
        server.process.send_signal(signal.SIGHUP)
        _wait_for_another(server, first)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(25) == 0
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize("is_there", [True, False])
def test_another_programs_folder_for_metrics_is_left_alone(tmp_path: Path, name: str, is_there: bool) -> None:
    """Nothing is written there, and where there is none the service starts all the same."""
    folder = tmp_path / "elsewhere"
    if is_there:
        folder.mkdir()
    environ, port = environment(tmp_path) | {name: str(folder)}, free_port()
    run([*COMMAND, "init"], environ=environ).check_returncode()
    with running([*COMMAND, "serve", "--bind", f"127.0.0.1:{port}"], environ=environ, port=port, log=tmp_path / "log"):
        assert folder.exists() == is_there
        assert not is_there or list(folder.iterdir()) == []


def _is_unblocked(process: int) -> bool:
    (blocked,) = (
        int(line.split()[1], 16)
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith("SigBlk:")
    )
    return not blocked & sum(1 << (number - 1) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))


def _wait_for_another(server: Server, first: int) -> None:
    deadline = time.monotonic() + 20
    while first in (workers := workers_of(server)) or not workers:
        assert time.monotonic() < deadline
        time.sleep(0.05)
