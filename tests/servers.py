"""Real processes on loopback ports, ended by their id."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.builders import SECRET

START_SECONDS = 20.0
LOG_SECONDS = 5.0
LOG_DELAY = 0.05
STOP_SECONDS = 30.0

CHEAP_HASHES = {"WATCHWORD_HASH_MEMORY_KIB": "8", "WATCHWORD_HASH_PASSES": "1"}
NO_METRICS = {"WATCHWORD_METRICS_BIND": "off"}  # several servers of one test run would want the same port


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves.

    Attributes:
        url: where, without a slash at the end.
        process: to be signalled.
        environ: what it was started with, for commands on the same instance.
        log: the file that its standard error goes to.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    environ: Mapping[str, str]
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a raw socket."""
        return "127.0.0.1", int(self.url.rpartition(":")[2])

    def logged(self, lines: int = 1, *, since: int = 0) -> str:
        """What it has logged from an offset on, as soon as that is so many lines: it writes some 20 ms later."""
        deadline = time.monotonic() + LOG_SECONDS
        while (written := self.log.read_bytes()[since:]).count(b"\n") < lines and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(LOG_DELAY)  # for what should not be there
        return self.log.read_bytes()[since:].decode("ascii") if written else ""


def environment(instance: Path, **settings: str) -> dict[str, str]:
    """This process's environment with our settings and no others of Watchword's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return {
        **inherited,
        **CHEAP_HASHES,
        **NO_METRICS,
        "WATCHWORD_INSTANCE": str(instance),
        "WATCHWORD_SECRET_KEY": SECRET,
        **{f"WATCHWORD_{name}": value for name, value in settings.items()},
    }


def watchword(
    *arguments: str, environ: Mapping[str, str], stdin: str = "", cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours to its end."""
    return subprocess.run(
        [sys.executable, "-m", "watchword", *arguments],
        env=environ,
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def workers_of(server: Server) -> list[int]:
    """The ids of the processes that answer."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(number) for number in children.read_text().split()]


@contextmanager
def watchword_server(instance: Path, *, port: int | None = None, workers: int = 1, **settings: str) -> Iterator[Server]:
    """``watchword serve`` on an instance that is set up first."""
    environ = environment(instance, **settings)
    if "DATABASE_URL" in settings or instance.exists():
        watchword("init", environ=environ).check_returncode()
    else:
        shutil.copytree(_set_up(tuple(settings.items())), instance)
    instance.mkdir(parents=True, exist_ok=True)  # for the log, where nothing else is kept there
    port = port or free_port()
    command = [sys.executable, "-m", "watchword", "serve", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    with running(command, environ=environ, port=port, log=instance / "server.log") as server:
        yield server


@cache
def _set_up(settings: tuple[tuple[str, str], ...]) -> Path:
    """An instance with nothing but what ``init`` makes, to be copied: that takes a tenth of the time."""
    folder = Path(tempfile.mkdtemp(prefix="watchword-instance-"))
    atexit.register(shutil.rmtree, folder)
    watchword("init", environ=environment(folder, **dict(settings))).check_returncode()
    return folder


@contextmanager
def running(command: list[str], *, environ: Mapping[str, str], port: int, log: Path) -> Iterator[Server]:
    """A server process, from its first answer to its end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    server = Server(f"http://127.0.0.1:{port}", process, environ, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode}:\n{server.log.read_text()}")
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=1):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to say that it has no such path
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the server did not answer in {START_SECONDS} s:\n{server.log.read_text()}")
