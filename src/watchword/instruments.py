"""Make each instrument from the settings, and see that the database and the secret are the right ones.

For a service and for commands; no web framework is loaded here, so that a command starts in half the time.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from watchword import telemetry
from watchword.audit import Seals
from watchword.clock import since_boot, system_clock, utc_milliseconds
from watchword.denials import Denials
from watchword.errors import SettingRefused, Unavailable
from watchword.flows import Lifetimes, Tools, keyring
from watchword.flows.audit import recognise
from watchword.keyholder import KeyHolder
from watchword.keys import KeyRefused
from watchword.metrics import Metrics
from watchword.model import Clock
from watchword.networks import TrustedProxies
from watchword.passwords import Hasher, Parameters, PasswordRules
from watchword.passwords.pool import Observer, nobody_looks
from watchword.readiness import Readiness
from watchword.recorder import Recorder
from watchword.refresh_tokens import RefreshKeys
from watchword.settings import Settings
from watchword.store import Store, inspection, store_at
from watchword.throttle import Throttle
from watchword.tokens import Profile


def build_tools(settings: Settings, *, clock: Clock) -> Tools:
    """Make the instruments; nothing is opened yet."""
    metrics = Metrics()
    metrics.describe_log(telemetry.lines_lost)
    with naming_the_database():
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


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The database alone, for as long as a command needs it.

    Raises:
        StartRefused: it cannot be reached, or not as it must be.
    """
    with naming_the_database():
        store = await store_at(settings.database_url).open()
    try:
        yield store
    finally:
        await store.close()


async def preflight(settings: Settings) -> None:
    """See whether the service could start and write, while a refusal is still one line and not a server's traceback.

    Raises:
        StartRefused: it could not.
    """
    async with open_store(settings) as store:
        await load_keys(build_keys(settings), store=store, clock=system_clock)
        with naming_the_database():
            await inspection.rehearse(store)


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


async def load_keys(keys: KeyHolder, *, store: Store, clock: Clock) -> None:
    """Fill the key holder from the database, and sign once.

    Raises:
        StartRefused: the database cannot be reached or is not ours, or the secret opens none of its keys.
    """
    try:
        with naming_the_database():
            await inspection.check(store)
            await keyring.load(keys, store=store, clock=clock)
        keys.ring.signer.rehearse()
    except KeyRefused as fault:
        raise SettingRefused("SECRET_KEY", str(fault)) from fault


@contextmanager
def naming_the_database() -> Iterator[None]:
    """Name the setting by which the database was found, where it is away."""
    try:
        yield
    except Unavailable as fault:
        raise SettingRefused("DATABASE_URL", str(fault)) from fault
    except ModuleNotFoundError as fault:  # the driver of PostgreSQL is an extra
        raise SettingRefused("DATABASE_URL", f"needs {fault.name}; install watchword[postgresql]") from fault
