"""The supervisor behind ``watchword serve``: for each worker a socket of its own, and a plain Hypercorn on it.

Hypercorn's own multi-worker mode shares one socket, so that one worker may get all connections of a burst; it ends
with status 0 when a worker crashes, and cuts what is in flight when it is told to stop. Hence the laws of this file:

1. The parent binds one SO_REUSEPORT socket per worker, over which the kernel spreads connections, and keeps it for as
   long as it lives: what waits in its queue outlives the worker that would have taken it. A Unix socket all share, and
   one that was handed to it open.
2. A worker is ``hypercorn -w 0`` on its socket. It says when it serves, and drains by itself when the parent is gone.
3. A worker that dies is replaced on its socket, after a pause if it died young; one that cannot be started is tried
   again. One that serves is asked every few seconds whether its event loop turns, and killed if it has not answered
   for half a minute: whoever comes to its socket would wait for ever. If what sees to all this fails itself, the
   service ends, for a place left empty would go unnoticed.
4. SIGTERM and SIGINT drain all. SIGHUP replaces one worker after the other, each serving before its predecessor drains.
"""

import asyncio
import logging
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from hypercorn.config import Config

from watchword import hypercorn_toml
from watchword.addresses import bind_for_all
from watchword.errors import StartRefused

CHANNEL: Final = "WATCHWORD_WORKER_CHANNEL"
"""The variable that tells a worker its number, from 0, and the descriptor of its end of a socket pair; no setting."""
READY: Final = b"R"
LIVING: Final = b"L"
"""The question whether a worker's event loop turns, and the answer."""
APPLICATION: Final = "/dev/null/watchword.worker:create_app()"
"""In a folder that holds nothing: Hypercorn looks for modules there first, and else in the one we were started in."""
START_SECONDS: Final = 30.0
YOUNG: Final = 1.0
"""Seconds of service below which a worker's death makes its successor wait."""
LONGEST_PAUSE: Final = 5.0
SILENCE_SECONDS: Final = 30.0
"""For which a worker may leave all questions unanswered; a loop that something keeps for seconds is no reason yet."""
LOOKS: Final = 10
"""Questions in that time. They are counted, and no clock is compared: when machine or container stood still, the
supervisor, which did too, has missed no more than one."""

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

    def ask(self) -> None:
        """Ask whether its event loop turns; nothing is waited for."""
        with suppress(OSError):  # it is ending
            self.channel.send(LIVING)

    def has_answered(self) -> bool:
        """Whether it has said anything since the last time."""
        try:
            return self.channel.recv(LOOKS) != b""
        except OSError:  # it has not, or is ending
            return False


def run(*, bind: str | None, workers: int, environ: Mapping[str, str], silence: float = SILENCE_SECONDS) -> int:
    """Serve until told to stop.

    Args:
        bind: ``HOST:PORT``, ``unix:PATH`` or ``fd://NUMBER``, or None for what hypercorn.toml says.
        workers: how many processes.
        environ: what they are started with.
        silence: seconds without a sign of life after which one of them is killed.

    Returns:
        The exit status: 0 if every worker drained and ended well, above 0 also if the first one refused to start.

    Raises:
        StartRefused: hypercorn.toml cannot be served, the address is taken, or the first worker died, hung or could not
            be started.
    """
    config = hypercorn_toml.read()
    if bind is not None:
        config.bind = [bind]
    patience = config.graceful_timeout + config.shutdown_timeout
    slots = [
        _Slot(number, sockets, environ, patience=patience, silence=silence)
        for number, sockets in enumerate(bind_for_all(config, sets=workers))
    ]
    try:
        return asyncio.run(_supervise(slots, listening=_shown(config)))
    except WorkerFailed as failure:
        if failure.status <= 0:
            raise
        return failure.status


def _shown(config: Config) -> list[str]:
    scheme = "https" if config.ssl_enabled else "http"
    return [each if each.startswith(("unix:", "fd://")) else f"{scheme}://{each}" for each in config.bind]


async def _supervise(slots: Sequence["_Slot"], *, listening: Sequence[str]) -> int:
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)

    await slots[0].fill()  # alone, so that a refusal is said once
    _log.info("serving on %s with %d worker(s)", ", ".join(listening), len(slots))
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
        self,
        number: int,
        sockets: Sequence[socket.socket],
        environ: Mapping[str, str],
        *,
        patience: float,
        silence: float,
    ) -> None:
        self._number = number
        self._sockets = sockets
        self._environ = environ
        self._patience = patience
        self._silence = silence
        self._serving: _Worker | None = None
        self._since = 0.0
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
            await self._dismiss(worker)
            why = f"not within {START_SECONDS:g} s; do HASH_MEMORY_KIB and HASH_PASSES cost too much here?"
            raise WorkerFailed(self._number, why) from None
        if said != READY:
            status = await self._dismiss(worker)
            raise WorkerFailed(self._number, f"status {status}", status=status)
        self._serving, self._since = worker, asyncio.get_running_loop().time()

    async def keep(self) -> None:
        """See to it that somebody serves here, for ever."""
        pause = 0.0
        while True:
            if self._serving is not None:
                worker = self._serving
                await self._watch(worker)
                async with self._filling:
                    if worker is not self._serving:
                        continue  # it was replaced
                    self._serving = None
                self._living.discard(worker)
                worker.channel.close()
                is_young = asyncio.get_running_loop().time() - self._since < YOUNG
                _log.error("worker %d ended with status %d and is replaced", self._number, worker.process.returncode)
                pause = _longer(pause) if is_young else 0.0
            await asyncio.sleep(pause)
            try:
                async with self._filling:
                    if self._serving is None:  # else SIGHUP came during the pause
                        await self.fill()
            except WorkerFailed as failure:
                _log.error("%s; trying again", failure)
                pause = _longer(pause)

    async def _watch(self, worker: _Worker) -> None:
        """Return when a worker that serves has ended, or serves here no more; kill it if it gives no sign of life."""
        silent = 0
        worker.ask()
        ended = asyncio.create_task(worker.process.wait())  # one for all looks: asyncio keeps each that was given up
        try:
            while worker is self._serving:
                done, _ = await asyncio.wait([ended], timeout=self._silence / LOOKS)
                if done:
                    return
                silent = 0 if worker.has_answered() else silent + 1
                worker.ask()
                if silent == LOOKS:
                    _log.error(
                        "worker %d has given no sign of life for %g s and is killed", self._number, self._silence
                    )
                    with suppress(ProcessLookupError):  # it has ended by itself
                        worker.process.kill()
        finally:
            ended.cancel()

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

        He would wait in a queue that nobody takes from any more, and be cut off when we end. Only a socket that systemd
        has opened and holds too keeps him for who serves next.
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
                *(sys.executable, "-P", "-m", "hypercorn", "-c", str(hypercorn_toml.find()), "-w", "0"),
                *(part for each in self._sockets for part in ("-b", f"fd://{each.fileno()}")),
                APPLICATION,
                env={**self._environ, CHANNEL: f"{self._number}/{theirs.fileno()}"},
                stdin=DEVNULL,
                pass_fds=[theirs.fileno(), *(each.fileno() for each in self._sockets)],
                process_group=0,  # a terminal's Ctrl-C and hang-up are ours to pass on
            )
            failing.pop_all()
        return _Worker(process, ours)

    async def _dismiss(self, worker: _Worker) -> int:
        """Tell a worker to drain, and insist when it has had its time."""
        if worker.process.returncode is None:
            worker.process.terminate()
        try:
            async with asyncio.timeout(self._patience):
                status = await worker.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):  # it may have ended in that very moment
                worker.process.kill()
            status = await worker.process.wait()
        self._living.discard(worker)
        worker.channel.close()
        return status


def _longer(pause: float) -> float:
    return min(LONGEST_PAUSE, max(0.1, 2 * pause))
