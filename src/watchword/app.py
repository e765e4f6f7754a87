"""Build the service: each instrument once, hand it over, mount the routes; start and stop.

The application is an ordinary Quart application with a guard, so your own routes may live in it too.
"""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart

from watchword import endpoints, telemetry, usernames
from watchword.audit import Event, Seals
from watchword.clock import system_clock, utc_milliseconds
from watchword.denials import Denials, since_boot
from watchword.errors import SettingRefused, Unavailable
from watchword.flows import Lifetimes, Tools, keyring, revocations
from watchword.flows.audit import keeping, recognise
from watchword.flows.housekeeping import keep_tidy
from watchword.flows.readiness import Readiness
from watchword.flows.rotation import keep_rotating
from watchword.guard import Guard
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused
from watchword.metrics import Metrics
from watchword.model import Clock
from watchword.networks import TrustedProxies
from watchword.passwords import Hasher, Parameters, PasswordRules
from watchword.passwords.pool import Observer, nobody_looks
from watchword.recorder import Asker, Recorder
from watchword.refresh_tokens import RefreshKeys
from watchword.scrapes import expose
from watchword.settings import Settings
from watchword.store import Store, migrations, store_at
from watchword.throttle import Throttle
from watchword.tokens import Profile

_log = logging.getLogger(__name__)

_DAY: Final = 86_400


def create_app(settings: Settings | None = None, *, clock: Clock = system_clock, worker: int = 0) -> Quart:
    """The login service as a Quart application.

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

    @app.before_serving
    async def start() -> None:
        _leave_sigterm_to_the_master()
        await start_tools(tools, settings, running)
        service = Asker(tools.recorder, actor="service")
        service.tell(Event.STARTUP)
        _run_beside(revocations.follow(tools.denials, store=tools.store, clock=clock), running)
        _run_beside(keyring.follow(tools.keys, store=tools.store, clock=clock), running)
        _run_beside(keep_rotating(tools.keys, store=tools.store, clock=clock, asker=service), running)
        kept = settings.audit_retention * _DAY
        _run_beside(keep_tidy(tools.store, clock=clock, seals=tools.recorder.seals, audit_kept=kept), running)
        if settings.metrics_bind is not None:
            host, port = settings.metrics_bind
            _run_beside(expose(tools.metrics.exposition, host, port + worker), running)

    @app.after_serving
    async def stop() -> None:
        await running.aclose()

    return app


def build_tools(settings: Settings, *, clock: Clock) -> Tools:
    """Make the instruments; nothing is opened yet."""
    metrics = Metrics()
    metrics.describe_log(telemetry.lines_lost)
    with _naming_the_database():
        store = store_at(settings.database_url, observe=metrics.database_used)
    denials = Denials(monotonic=since_boot)
    metrics.describe_news(denials)
    keys = build_keys(settings)
    if keys.rotates:
        metrics.describe_signing_key(lambda: keys.age(now=clock()))
    return Tools(
        store=store,
        hasher=build_hasher(settings, observe=metrics.hash_computed),
        throttle=Throttle(settings.secret_key),
        proxies=TrustedProxies(settings.trusted_proxies),
        keys=keys,
        ring=keys.ring,
        refresh_keys=RefreshKeys(settings.secret_key, settings.secret_key_fallbacks),
        denials=denials,
        profile=Profile(issuer=settings.issuer, audience=settings.audience),
        lifetimes=Lifetimes(
            access_token=settings.access_token_lifetime,
            idle=settings.refresh_idle_lifetime,
            session=settings.session_lifetime,
            grace=settings.refresh_grace,
        ),
        password_rules=build_password_rules(settings),
        clock=clock,
        metrics=metrics,
        recorder=build_recorder(settings, clock=clock, lose=metrics.audit_event_lost),
        readiness=Readiness(store, keys.ring),
    )


def build_recorder(settings: Settings, *, clock: Clock, lose: Callable[[], None] = lambda: None) -> Recorder:
    """Make what takes the events of this process.

    Args:
        settings: what the operator decided.
        clock: tells the time; one that was handed in knows none finer than seconds.
        lose: is told of each event that the table will not have.
    """
    return Recorder(
        Seals(settings.secret_key, settings.secret_key_fallbacks),
        milliseconds=utc_milliseconds if clock is system_clock else lambda: clock() * 1000,
        lose=lose,
    )


def build_keys(settings: Settings) -> KeyHolder:
    """Make the holder of the keys; it has none yet."""
    return KeyHolder(algorithm=settings.algorithm, secret=settings.secret_key, fallbacks=settings.secret_key_fallbacks)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The database alone, for as long as a command needs it.

    Raises:
        StartRefused: it cannot be reached, or not as it must be.
    """
    with _naming_the_database():
        store = await store_at(settings.database_url).open()
    try:
        yield store
    finally:
        await store.close()


def build_hasher(settings: Settings, *, observe: Observer = nobody_looks) -> Hasher:
    """Make the password hasher, which begins to time its back ends on the configured parameters."""
    return Hasher(
        Parameters(memory_kib=settings.hash_memory_kib, passes=settings.hash_passes),
        threads=settings.hash_threads,
        max_wait=settings.hash_max_wait,
        observe=observe,
    )


def build_password_rules(settings: Settings) -> PasswordRules:
    """Make the rules for new passwords, which know by what name the service is reached."""
    return PasswordRules(settings.password_min_length, service_names=(urlsplit(settings.issuer).hostname or "",))


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
        with _naming_the_database():
            await tools.store.open()
        starting.push_async_callback(tools.store.close)
        await starting.enter_async_context(keeping(Asker(tools.recorder, actor="service"), tools.store))
        starting.push_async_callback(tools.throttle.errands_done)
        await _load_keys(tools.keys, store=tools.store, clock=tools.clock)
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
        with _naming_the_database():
            await revocations.catch_up(tools.denials, store=tools.store, clock=tools.clock)
        running.push_async_exit(starting.pop_all())


async def preflight(settings: Settings) -> None:
    """See whether the service could start and write, while a refusal is still one line and not a server's traceback.

    Raises:
        StartRefused: it could not.
    """
    async with open_store(settings) as store:
        await _load_keys(build_keys(settings), store=store, clock=system_clock)
        with _naming_the_database():
            await migrations.rehearse(store)


async def check_secret(settings: Settings, store: Store) -> None:
    """See that the secret is that of the services on this database, before a command seals under it what they read.

    What tells is whether it opens a stored key or, where there is none, as under HS256, has sealed a recent event.

    Raises:
        SettingRefused: it is another one.
        Unavailable: the database is away, slow or locked.
    """
    keys = build_keys(settings)
    try:
        try:
            await keyring.catch_up(keys, store=store, clock=system_clock)
        except KeyRefused:
            if not keys.count:  # one that is spoilt among others keeps nobody from locking a user out
                raise
        if not keys.count:
            await recognise(store, seals=Seals(settings.secret_key, settings.secret_key_fallbacks))
    except KeyRefused as fault:
        raise SettingRefused("SECRET_KEY", str(fault)) from fault


async def _load_keys(keys: KeyHolder, *, store: Store, clock: Clock) -> None:
    try:
        with _naming_the_database():
            await migrations.check(store)
            await keyring.load(keys, store=store, clock=clock)
        keys.ring.signer.rehearse()
    except KeyRefused as fault:
        raise SettingRefused("SECRET_KEY", str(fault)) from fault


@contextmanager
def _naming_the_database() -> Iterator[None]:
    try:
        yield
    except Unavailable as fault:
        raise SettingRefused("DATABASE_URL", str(fault)) from fault
    except ModuleNotFoundError as fault:  # the driver of PostgreSQL is an extra
        raise SettingRefused("DATABASE_URL", f"needs {fault.name}; install watchword[postgresql]") from fault


def _run_beside(work: Coroutine[Any, Any, None], running: AsyncExitStack) -> None:
    """Let work go on beside the requests until the application stops; should it end by itself, the log says why."""
    task = asyncio.create_task(work, name=getattr(work, "__qualname__", None))
    task.add_done_callback(_tell_its_end)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    running.push_async_callback(end)


def _tell_its_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.error("%s has ended and is not begun again", task.get_name(), exc_info=fault)


def _leave_sigterm_to_the_master() -> None:
    """Under plain `hypercorn -w N` the master's SIGTERM would end a worker before it has answered what is in flight."""
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
