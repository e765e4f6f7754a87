"""A log that takes no more: whoever asks is answered all the same, and what was not written is counted (F16)."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, environment, free_port, running, watchword

PIPE_BYTES = 4096
SECONDS = 20.0
LOST = "watchword_log_lines_lost_total "


class Pipe:
    """A pipe by name that a server logs to, and that nobody reads until the test does."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_lines(self, words: bytes, count: int) -> None:
        """Read until so many lines with these words have come, each of them whole."""
        read, deadline = b"", time.monotonic() + SECONDS
        while read.count(words) < count:
            assert time.monotonic() < deadline, read[-1000:]
            with suppress(BlockingIOError):
                read += os.read(self._end, PIPE_BYTES)
        for line in read.splitlines()[:count]:
            json.loads(line)

    def close(self) -> None:
        """Read no more: what is written now finds nobody."""
        os.close(self._end)


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    """A pipe of one page."""
    return Pipe(tmp_path / "pipe")


@pytest.fixture
def server(tmp_path: Path, pipe: Pipe) -> Iterator[Server]:
    """A service whose standard error is the pipe."""
    port, metrics = free_port(), free_port()
    environ = environment(tmp_path / "instance", METRICS_BIND=f"127.0.0.1:{metrics}")
    watchword("init", environ=environ).check_returncode()
    command = [sys.executable, "-m", "watchword", "serve", "--bind", f"127.0.0.1:{port}"]
    with running(command, environ=environ, port=port, log=pipe.path) as server:
        yield server


def lines_lost(server: Server) -> float:
    """What the service tells about its log."""
    patient = httpx.HTTPTransport(retries=5)  # its listener comes a second after the service
    with httpx.Client(transport=patient, timeout=SECONDS) as prometheus:
        page = prometheus.get(f"http://{server.environ['WATCHWORD_METRICS_BIND']}/metrics").text
    return float(next(line for line in page.splitlines() if line.startswith(LOST)).removeprefix(LOST))


async def asked(server: Server, *, times: int) -> list[int]:
    """The statuses of so many requests, each of which leaves a line."""
    async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as client:
        return [(await client.get("/healthz")).status_code for _ in range(times)]


async def test_a_log_that_nobody_reads_stops_nobody(server: Server, pipe: Pipe) -> None:
    """With the pipe full long ago all are answered, what waited is written once it is read, and the end is orderly."""
    assert await asked(server, times=200) == [200] * 200
    await asyncio.to_thread(pipe.read_lines, b'"route":"/healthz"', 200)
    assert lines_lost(server) == 0
    assert await asked(server, times=100) == [200] * 100
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, SECONDS) == 0


async def test_a_log_whose_reader_is_gone_stops_nobody(server: Server, pipe: Pipe) -> None:
    """All are answered, and each line that nobody will read is counted."""
    pipe.close()
    assert await asked(server, times=20) == [200] * 20
    deadline = time.monotonic() + SECONDS
    while lines_lost(server) < 20:
        assert time.monotonic() < deadline
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, SECONDS) == 0
