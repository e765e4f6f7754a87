"""Server processes on loopback ports: start one, wait for its first 200, read its CPU and memory, end it by id."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Server:
    """A server and all its children.

    Attributes:
        port: where it listens.
        process: the one that was started.
        start_seconds: from its start to its first 200.
    """

    port: int
    process: "subprocess.Popen[bytes]"
    start_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return cpu_seconds(self.process.pid)

    def pss_bytes(self) -> int:
        """Memory of all its processes, each shared page divided among those who share it."""
        return sum(_pss_bytes(pid) for pid in _tree(self.process.pid))


@contextmanager
def running(
    command: Sequence[str | Path], *, environ: Mapping[str, str], folder: Path, port: int, log: Path
) -> Iterator[Server]:
    """A server from its first 200 on ``GET /healthz`` to its end.

    Raises:
        RuntimeError: it ended or never answered; its log is in the message.
    """
    with log.open("ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(_POLL_SECONDS)
        yield Server(port, process, time.perf_counter() - started)
    finally:
        _stop(process)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(root: int) -> float:
    """User and system time so far of the living threads of a process and its descendants."""
    return sum(_cpu_seconds(pid) for pid in _tree(root))


def busy_share(seconds: float) -> float:
    """How much of all cores is in use while this process sleeps: what others do on this machine."""
    before = _jiffies()
    time.sleep(seconds)
    busy, total = (after - since for after, since in zip(_jiffies(), before, strict=True))
    return busy / total


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_START_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    family = _tree(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in family[1:]:  # orphans now, and still the ones that were seen as children
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _tree(root: int) -> list[int]:
    """A process and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(_stat(int(path.name))[1]), []).append(int(path.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before it may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):  # `stat` counts in hundredths of a second
        with suppress(OSError):  # ended meanwhile
            nanoseconds += int(thread.read_text().split()[0])
    return nanoseconds / 1e9


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _jiffies() -> tuple[int, int]:
    """Busy and all, over every core since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)
