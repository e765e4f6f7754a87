"""Processes that end with the program which started them: each is known by its id, and has a log of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

START_SECONDS = 30
STOP_SECONDS = 30


class Processes:
    """Python programs that run at the same time.

    Args:
        folder: where their logs go.
        environ: what all of them are started with.
    """

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._begun: list[subprocess.Popen[bytes]] = []
        self._servers: dict[str, tuple[subprocess.Popen[bytes], str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C would leave some of them behind
        for process in reversed(self._begun):
            process.terminate()
        for process in reversed(self._begun):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *program: str, stdin: str = "") -> str:
        """A program to its end; what it writes."""
        done = subprocess.run(
            [sys.executable, "-m", *program],
            env=self._environ, input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(program)}: {done.stderr}")
        return done.stdout

    def begin(self, *program: str, log: str, **environ: str) -> "subprocess.Popen[bytes]":
        """A program that goes on beside this one."""
        with (self._folder / f"{log}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *program],
                env={**self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us alone: we end them in order
            )
        self._begun.append(process)
        return process

    def serve(self, name: str, *program: str, port: int, **environ: str) -> str:
        """A server, which may not answer yet; its address."""
        url = f"http://127.0.0.1:{port}"
        process = self.begin(*program, "--bind", f"127.0.0.1:{port}", log=name, **environ)
        self._servers[name] = (process, url)
        return url

    def until_all_answer(self) -> None:
        """Wait for the servers that were begun."""
        deadline = time.monotonic() + START_SECONDS
        for name, (process, url) in self._servers.items():
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{name} does not answer:\n{(self._folder / f'{name}.log').read_text()}")
                time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether there is a server, whatever it says."""
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """Ours, without settings of a real Watchword, whose database this must not touch."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return {**inherited, **settings}
