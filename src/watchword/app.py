"""Build the service: hand the instruments over, mount the routes; start and stop.

The application is an ordinary Quart application with a guard, so your own routes may live in it too.
"""

import asyncio
import logging
import multiprocessing
import signal
import threading
from contextlib import AsyncExitStack
from typing import Final

from quart import Quart

from watchword import endpoints, usernames
from watchword.audit import Event
from watchword.beside import run_beside
from watchword.clock import system_clock
from watchword.errors import StartRefused
from watchword.flows import Tools, keyring, revocations
from watchword.flows.audit import keeping
from watchword.flows.housekeeping import keep_tidy
from watchword.flows.rotation import keep_rotating
from watchword.guard import Guard
from watchword.instruments import build_tools, load_keys, naming_the_database
from watchword.model import Clock
from watchword.recorder import Asker
from watchword.scrapes import expose
from watchword.settings import Settings

_log = logging.getLogger(__name__)

_DAY: Final = 86_400


def create_app(settings: Settings | None = None, *, clock: Clock = system_clock, worker: int = 0) -> Quart:
    """The login service as a Quart application, to be started once.

    Args:
        settings: what the operator decided; read from the environment where not given.
        clock: tells the time.
        worker: which of several processes this is, from 0; each has a listener for its metrics on a port of its own.

    Raises:
        SettingRefused: a setting is missing or wrong. The database is looked at when the application starts.
    """
    settings = settings or Settings.read()
    tools = build_tools(settings, clock=clock)
    app = Quart("watchword", static_folder=None)
    app.config.update(WATCHWORD_ISSUER=settings.issuer, WATCHWORD_AUDIENCE=settings.audience)
    Guard(app, keys=tools.ring, clock=clock, denials=tools.denials)
    endpoints.mount(app, tools, api_docs=settings.api_docs)
    running = AsyncExitStack()
    is_used = False

    @app.before_serving
    async def start() -> None:
        nonlocal is_used
        if is_used:  # a stop, or a start that was refused, has closed the instruments
            raise StartRefused("this application was started before; make another with create_app()")
        is_used = True
        _leave_sigterm_to_the_master()
        await start_tools(tools, settings, running)
        service = Asker(tools.recorder, actor="service")
        service.tell(Event.STARTUP)
        run_beside(revocations.follow(tools.denials, store=tools.store, clock=clock), running, log=_log)
        run_beside(keyring.follow(tools.keys, store=tools.store, clock=clock), running, log=_log)
        run_beside(keep_rotating(tools.keys, store=tools.store, clock=clock, asker=service), running, log=_log)
        kept = settings.audit_retention * _DAY
        run_beside(keep_tidy(tools.store, clock=clock, seals=tools.recorder.seals, audit_kept=kept), running, log=_log)
        if settings.metrics_bind is not None:
            host, port = settings.metrics_bind
            run_beside(expose(tools.metrics.exposition, host, port + worker), running, log=_log)

    @app.after_serving
    async def stop() -> None:
        await running.aclose()

    return app


async def start_tools(tools: Tools, settings: Settings, running: AsyncExitStack) -> None:
    """Open the database, load the keys and which sessions have ended, choose what computes hashes, keep an audit trail.

    What was opened is on the stack, or closed again if the start fails.

    Args:
        tools: what to start.
        settings: what the operator decided.
        running: ends what was started.

    Raises:
        StartRefused: the database cannot be reached or is not ours, or its keys do not open.
    """
    async with AsyncExitStack() as starting:
        starting.callback(tools.hasher.close)
        with naming_the_database():
            await tools.store.open()
        starting.push_async_callback(tools.store.close)
        await starting.enter_async_context(keeping(Asker(tools.recorder, actor="service"), tools.store))
        starting.push_async_callback(tools.throttle.errands_done)
        await load_keys(tools.keys, store=tools.store, clock=tools.clock)
        usernames.rehearse()
        backend = await asyncio.to_thread(lambda: tools.hasher.backend)
        tools.metrics.describe_hashing(
            tools.hasher.pool.queue,
            backend=backend.name,
            memory_kib=settings.hash_memory_kib,
            passes=settings.hash_passes,
            threads=settings.hash_threads,
        )
        # Last, for news that are old when the first request comes let nobody pass: on a machine that is short of
        # processor time the hashes above take seconds.
        with naming_the_database():
            await revocations.catch_up(tools.denials, store=tools.store, clock=tools.clock)
        running.push_async_exit(starting.pop_all())


def _leave_sigterm_to_the_master() -> None:
    """Under plain `hypercorn -w N` the master's SIGTERM would end a worker before it has answered what is in flight.

    Other masters, as uvicorn's, tell their workers to end by that very signal, for which these have a handler. Where
    the service has a thread of its own, Python lets it set none, and signals are the business of whose process it is.
    """
    is_a_worker = multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread()
    if is_a_worker and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
