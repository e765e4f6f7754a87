"""What a process counts and times, for Prometheus: logins, hashes, requests, database; see ``docs/metrics.md``.

One ``Metrics`` per application, handed to whoever observes; no label ever holds a name, an address or a token.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

TEXT: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of what is exposed to those who ask for no other form."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Other methods share a label: a client could invent any number of them."""

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_WAIT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_HASH_SECONDS: Final = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25)
_DATABASE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0)


class Queue(Protocol):
    """What the hash pool lets be seen of its queue."""

    @property
    def depth(self) -> int:
        """Jobs that wait or run."""
        ...

    @property
    def expected_wait(self) -> float:
        """Seconds until a job that comes now would start."""
        ...


class News(Protocol):
    """What those who check tokens let be seen of what they know."""

    @property
    def staleness(self) -> float:
        """Seconds for which a session that ended elsewhere may have gone unnoticed."""
        ...


class _LinesLost(Collector):
    """A counter that somebody else counts."""

    def __init__(self, lines_lost: Callable[[], int]) -> None:
        self._lines_lost = lines_lost

    def collect(self) -> Iterator[Metric]:
        """The count, as it is now."""
        yield CounterMetricFamily(
            "watchword_log_lines_lost", "Lines of the log that could not be written.", value=self._lines_lost()
        )


class Metrics:
    """The instruments of one process.

    Attributes:
        registry: what is exposed; Prometheus's own collectors of the process and of Python are in it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._logins = Counter(
            "watchword_logins", "Attempts to log in, by how they ended.", ["outcome", "reason"], registry=self.registry
        )
        self._requests = Histogram(
            "watchword_request_seconds",
            "Requests and their times, from arrival at the application to the answer.",
            ["method", "route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._hash_wait = Histogram(
            "watchword_hash_wait_seconds",
            "How long a hash waited for its turn.",
            buckets=_WAIT_SECONDS,
            registry=self.registry,
        )
        self._hash = Histogram(
            "watchword_hash_seconds", "How long a hash took.", buckets=_HASH_SECONDS, registry=self.registry
        )
        database = Histogram(
            "watchword_database_seconds",
            "How long a read or a write transaction took, its wait for a connection included.",
            ["kind"],
            buckets=_DATABASE_SECONDS,
            registry=self.registry,
        )
        self._audit_lost = Counter(
            "watchword_audit_lost", "Audit events that are only in the log.", registry=self.registry
        )
        # Finding a child by its labels costs more than observing.
        self._reads, self._writes = database.labels("read"), database.labels("write")
        self._seen: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def exposition(self) -> bytes:
        """What those are answered who ask for no other form."""
        return generate_latest(self.registry)

    def describe_hashing(self, queue: Queue, *, backend: str, memory_kib: int, passes: int, threads: int) -> None:
        """Tell what computes the hashes, and show the queue in front of it."""
        Info("watchword_hashing", "What computes password hashes.", registry=self.registry).info(
            {"backend": backend, "memory_kib": str(memory_kib), "passes": str(passes), "threads": str(threads)}
        )
        depth = Gauge("watchword_hash_queue_depth", "Hashes that wait or run.", registry=self.registry)
        depth.set_function(lambda: queue.depth)
        wait = Gauge(
            "watchword_hash_expected_wait_seconds",
            "How long a hash that is asked for now would wait.",
            registry=self.registry,
        )
        wait.set_function(lambda: queue.expected_wait)

    def describe_news(self, news: News) -> None:
        """Show how old the latest news of ended sessions are."""
        staleness = Gauge(
            "watchword_revocation_staleness_seconds",
            "For how long a session that ended elsewhere may have gone unnoticed.",
            registry=self.registry,
        )
        staleness.set_function(lambda: news.staleness)

    def describe_log(self, lines_lost: Callable[[], int]) -> None:
        """Show how many lines of the log could not be written."""
        self.registry.register(_LinesLost(lines_lost))

    def describe_signing_key(self, age: Callable[[], float]) -> None:
        """Show for how many seconds the key that signs has done so."""
        gauge = Gauge(
            "watchword_signing_key_age_seconds",
            "For how long the key that signs has done so.",
            registry=self.registry,
        )
        gauge.set_function(age)

    def login_ended(self, outcome: str, reason: str = "") -> None:
        """Count an attempt to log in: its outcome, and the reason of a refusal."""
        self._logins.labels(outcome, reason).inc()

    def hash_computed(self, waited: float, took: float) -> None:
        """Time a hash, in seconds."""
        self._hash_wait.observe(waited)
        self._hash.observe(took)

    def database_used(self, kind: str, seconds: float) -> None:
        """Time a ``read`` or a ``write``."""
        (self._reads if kind == "read" else self._writes).observe(seconds)

    def audit_event_lost(self) -> None:
        """Count an event that found no room while the database was away."""
        self._audit_lost.inc()

    def request_answered(self, *, method: str, route: str | None, status: int, seconds: float) -> None:
        """Time a request."""
        key = (method if method in _METHODS else "other", route or "none", status)
        observe = self._seen.get(key)
        if observe is None:
            observe = self._seen[key] = self._requests.labels(*map(str, key)).observe
        observe(seconds)
