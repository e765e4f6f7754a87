"""The supervisor behind ``watchword serve``: for each worker a socket of its own, and a plain Hypercorn on it.

Hypercorn's own multi-worker mode shares one socket, so that one worker may get all connections of a burst; it ends
with status 0 when a worker crashes, and cuts what is in flight when it is told to stop. Hence the laws of this file:

1. The parent binds one SO_REUSEPORT socket per worker, over which the kernel spreads connections, and keeps it for as
   long as it lives: what waits in its queue outlives the worker that would have taken it. A Unix socket all share.
2. A worker is ``hypercorn -w 0`` on its socket. It says when it serves, and drains by itself when the parent is gone.
3. A worker that dies is replaced on its socket, after a pause if it died young; one that cannot be started is tried
   again. If what sees to it fails itself, the service ends, for a place left empty would go unnoticed.
4. SIGTERM and SIGINT drain all. SIGHUP replaces one worker after the other, each serving before its predecessor drains.
"""

import asyncio
import errno
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hypercorn.config import Config

from watchword.errors import StartRefused

CHANNEL: Final = "WATCHWORD_WORKER_CHANNEL"
"""The variable that tells a worker its number, from 0, and the descriptor of its end of a socket pair; no setting."""
READY: Final = b"R"
APPLICATION: Final = "watchword.worker:create_app()"
START_SECONDS: Final = 30.0
YOUNG: Final = 1.0
"""Seconds of life below which a worker's death makes its successor wait."""
LONGEST_PAUSE: Final = 5.0

_UNIX: Final = "unix:"
"""How the address of a Unix socket begins."""
_TURN_SECONDS: Final = 1.0
"""To wait for another start in the same folder; it takes a moment."""

_ENDED_BEFORE_IT_SERVED: Final = -signal.SIGTERM
"""A worker that serves handles the signal; one that is still starting has nothing to drain, and dies of it."""

_log = logging.getLogger(__name__)


class WorkerFailed(StartRefused):
    """A worker ended before it served, or could not be started at all.

    Attributes:
        status: its exit status; above 0 it has said why on standard error.
    """

    def __init__(self, number: int, why: str, *, status: int = 0) -> None:
        super().__init__(f"worker {number} did not start ({why})")
        self.status = status


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    process: Process
    channel: socket.socket
    born: float


def run(*, bind: str | None, workers: int, environ: Mapping[str, str]) -> int:
    """Serve until told to stop.

    Args:
        bind: ``HOST:PORT``, or None for what hypercorn.toml says.
        workers: how many processes.
        environ: what they are started with.

    Returns:
        The exit status: 0 if every worker drained and ended well, above 0 also if the first one refused to start.

    Raises:
        StartRefused: the address is taken, or the first worker died, hung or could not be started.
    """
    config = Config.from_toml(hypercorn_toml())
    if bind is not None:
        config.bind = [bind]
    patience = config.graceful_timeout + config.shutdown_timeout
    slots = [
        _Slot(number, sockets, environ, patience=patience) for number, sockets in enumerate(_bind(config, sets=workers))
    ]
    try:
        return asyncio.run(_supervise(slots, listening=config.bind))
    except WorkerFailed as failure:
        if failure.status <= 0:
            raise
        return failure.status


async def _supervise(slots: Sequence["_Slot"], *, listening: Sequence[str]) -> int:
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)

    await slots[0].fill()  # alone, so that a refusal is said once
    _log.info("serving on %s with %d worker(s)", ", ".join(f"http://{each}" for each in listening), len(slots))
    keepers = [asyncio.create_task(slot.keep()) for slot in slots]
    keepers.append(asyncio.create_task(_replace_when(reload, slots)))
    await asyncio.wait([asyncio.create_task(stop.wait()), *keepers], return_when=asyncio.FIRST_COMPLETED)
    for keeper in keepers:
        keeper.cancel()
    ends = await asyncio.gather(*keepers, return_exceptions=True)
    faults = [end for end in ends if isinstance(end, Exception)]
    for fault in faults:
        _log.critical("the workers cannot be looked after any more and are drained", exc_info=fault)
    for slot in slots:
        slot.let_go()
    statuses = await asyncio.gather(*(slot.empty() for slot in slots))
    return 1 if faults or any(statuses) else 0


async def _replace_when(reload: asyncio.Event, slots: Sequence["_Slot"]) -> None:
    while True:
        await reload.wait()
        reload.clear()
        for slot in slots:
            await slot.replace()


class _Slot:
    """One worker's place: its sockets, whoever serves on them now, and predecessors that still drain."""

    def __init__(
        self, number: int, sockets: Sequence[socket.socket], environ: Mapping[str, str], *, patience: float
    ) -> None:
        self._number = number
        self._sockets = sockets
        self._environ = environ
        self._patience = patience
        self._serving: _Worker | None = None
        self._living: set[_Worker] = set()
        self._filling = asyncio.Lock()

    async def fill(self) -> None:
        """Start a worker and wait until it serves; then it is the one who does.

        Raises:
            WorkerFailed: it ended, took too long, or could not be started.
        """
        try:
            worker = await self._start()
        except (OSError, RuntimeError) as fault:  # no descriptor, process or memory; no thread, which asyncio waits in
            raise WorkerFailed(self._number, str(fault)) from fault
        self._living.add(worker)
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await asyncio.get_running_loop().sock_recv(worker.channel, len(READY))
            if said != READY:
                await worker.process.wait()  # it closed its end because it is ending
        except TimeoutError:
            said = b""
        if said != READY:
            status = await self._dismiss(worker)
            raise WorkerFailed(self._number, f"status {status}", status=status)
        self._serving = worker

    async def keep(self) -> None:
        """See to it that somebody serves here, for ever."""
        pause = 0.0
        while True:
            if self._serving is not None:
                worker = self._serving
                status = await worker.process.wait()
                async with self._filling:
                    if worker is not self._serving:
                        continue  # it was replaced
                    self._serving = None
                self._living.discard(worker)
                worker.channel.close()
                is_young = asyncio.get_running_loop().time() - worker.born < YOUNG
                _log.error("worker %d ended with status %d and is replaced", self._number, status)
                pause = _longer(pause) if is_young else 0.0
            await asyncio.sleep(pause)
            try:
                async with self._filling:
                    if self._serving is None:  # else SIGHUP came during the pause
                        await self.fill()
            except WorkerFailed as failure:
                _log.error("%s; trying again", failure)
                pause = _longer(pause)

    async def replace(self) -> None:
        """Let a new worker serve, then let its predecessor drain; if the new one fails, the old one stays."""
        try:
            async with self._filling:
                predecessor = self._serving  # after the wait: it may have been started during it
                await self.fill()
        except WorkerFailed as failure:
            _log.error("%s; its predecessor stays", failure)
            return
        if predecessor is not None:
            await self._dismiss(predecessor)

    def let_go(self) -> None:
        """Close our side of the sockets: whoever comes when the workers have closed theirs is refused at once.

        He would wait in a queue that nobody takes from any more, and be cut off when we end.
        """
        for each in self._sockets:
            each.close()

    async def empty(self) -> int:
        """Drain whoever is here; return an exit status that is 0 if all ended well."""
        statuses = await asyncio.gather(*(self._dismiss(worker) for worker in tuple(self._living)))
        return max((abs(status) for status in statuses if status != _ENDED_BEFORE_IT_SERVED), default=0)

    async def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ExitStack() as failing, theirs:
            failing.enter_context(ours)
            process = await create_subprocess_exec(
                *(sys.executable, "-m", "hypercorn", "-c", str(hypercorn_toml()), "-w", "0"),
                *(part for each in self._sockets for part in ("-b", f"fd://{each.fileno()}")),
                APPLICATION,
                env={**self._environ, CHANNEL: f"{self._number}/{theirs.fileno()}"},
                stdin=DEVNULL,
                pass_fds=[theirs.fileno(), *(each.fileno() for each in self._sockets)],
                process_group=0,  # a terminal's Ctrl-C and hang-up are ours to pass on
            )
            failing.pop_all()
        return _Worker(process, ours, born=asyncio.get_running_loop().time())

    async def _dismiss(self, worker: _Worker) -> int:
        """Tell a worker to drain, and insist when it has had its time."""
        if worker.process.returncode is None:
            worker.process.terminate()
        try:
            async with asyncio.timeout(self._patience):
                status = await worker.process.wait()
        except TimeoutError:
            worker.process.kill()
            status = await worker.process.wait()
        self._living.discard(worker)
        worker.channel.close()
        return status


def _longer(pause: float) -> float:
    return min(LONGEST_PAUSE, max(0.1, 2 * pause))


def _bind(config: Config, *, sets: int) -> list[list[socket.socket]]:
    """Bind the addresses once per worker; they listen as soon as a worker does.

    A Unix socket is bound once for all, as its file leads to one alone. The configuration tells which port 0 became.
    """
    try:
        with ExitStack() as turns:
            for address in config.bind:
                if address.startswith(_UNIX):
                    path = Path(address.removeprefix(_UNIX))
                    turns.enter_context(_turn_in(path.parent))
                    _expect_nobody_at(path)
            config.workers = 1  # a first time without SO_REUSEPORT: whoever has the address would share it unnoticed
            first = _bound(config)
            shared = [each for each in first if each.family == socket.AF_UNIX]
            for each in shared:
                each.listen(config.backlog)  # or it would look abandoned until a worker does, and be taken from us
        listening = [_with_its_port(name, each) for name, each in zip(config.bind, first, strict=False)]
        for each in set(first) - set(shared):
            each.close()
        config.workers = 2  # asks Hypercorn for SO_REUSEPORT
        config.bind = [address for address in listening if not address.startswith(_UNIX)]
        bound = [[*shared, *_bound(config)] for _ in range(sets)]
        config.bind = listening
        return bound
    except (OSError, OverflowError, UnicodeError) as fault:  # taken or forbidden, a port beyond 65535, no host name
        reason = getattr(fault, "strerror", None) or fault
        raise StartRefused(f"cannot listen on {', '.join(config.bind)} ({reason})") from None


@contextmanager
def _turn_in(folder: Path) -> Iterator[None]:
    """Let no other start of ours look for a socket in a folder and bind it: of two at once both would find nobody.

    Raises:
        OSError: the turn did not come, or the folder is out of reach.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        last = time.monotonic() + _TURN_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > last:
                    raise
                time.sleep(_TURN_SECONDS / 100)
        yield
    finally:
        os.close(descriptor)


def _expect_nobody_at(path: Path) -> None:
    """See that nobody serves behind the file of a Unix socket, which Hypercorn would remove.

    Raises:
        OSError: somebody does, or the file is out of reach.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path)) or errno.EADDRINUSE
    if error not in {errno.ENOENT, errno.ECONNREFUSED}:
        raise OSError(error, os.strerror(error))


def _with_its_port(bind: str, bound: socket.socket) -> str:
    host, _, port = bind.rpartition(":")
    return f"{host}:{bound.getsockname()[1]}" if port == "0" else bind


def _bound(config: Config) -> list[socket.socket]:
    sockets = config.create_sockets()
    return [*sockets.secure_sockets, *sockets.insecure_sockets]


def hypercorn_toml() -> Path:
    """The file beside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "hypercorn.toml"
    return installed if installed.exists() else package.parents[1] / "hypercorn.toml"
