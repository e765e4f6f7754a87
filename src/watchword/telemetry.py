"""What the service tells about itself: one JSON line per request, one per audit event, and all else as JSON lines too.

Field by field in ``docs/request-log.md`` and ``docs/audit.md``. Never a password, a token, a hash, a key, a query
string or a raw path.
"""

import asyncio
import atexit
import json
import logging
import sys
from datetime import UTC, datetime
from io import FileIO
from typing import Final

import msgspec

from watchword.clock import utc_milliseconds
from watchword.sink import Sink, Writable

_ENCODER: Final = msgspec.json.Encoder()

_MAX_METHOD: Final = 20
"""Characters: all registered methods are shorter, and a client may send one as long as a request's headers."""

_EVENTS: Final = logging.getLogger("watchword.audit")

_PLAIN_RECORD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: whatever is in a field, it cannot end the line or forge another."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and event first, then what was passed as ``extra``."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields |= {name: value for name, value in record.__dict__.items() if name not in _PLAIN_RECORD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class SinkHandler(logging.Handler):
    """Sends each record to a sink as one line."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record and hand it over."""
        try:
            self._sink.put(self.format(record).encode(errors="backslashreplace") + b"\n")
        except Exception:  # as logging's own handlers have it: whoever logs is not to fail of it
            self.handleError(record)


class LineWriter:
    """Hands lines over a few at a time: one system call for all that came within ``DELAY`` seconds.

    A process that ends has written everything; one that is killed loses what it was about to write.
    """

    DELAY: Final = 0.02

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Take a line, without its end."""
        if not self._lines:
            asyncio.get_running_loop().call_later(self.DELAY, self.flush)
        self._lines.append(line)

    def write(self, line: bytes) -> None:
        """Take a line, and hand it and all before it over at once: who kills this process then hardly takes it back."""
        self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Hand over what was added."""
        lines, self._lines = self._lines, []
        if lines:
            self.sink.put(b"\n".join([*lines, b""]))

    def finish(self) -> None:
        """See that what was added is written, unless nothing can be."""
        self.flush()
        self.sink.drain()


class RequestLine(msgspec.Struct, omit_defaults=True):
    """The fields of a request's line, in their order; one that has nothing to say is left out."""

    time: str
    level: str
    event: str
    request_id: str
    method: str
    status: int
    ms: float
    route: str | None = None
    code: str | None = None


class EventLine(msgspec.Struct, omit_defaults=True):
    """The fields of an audit event's line, in their order; see ``audit.Entry``."""

    time: str
    level: str
    event: str
    outcome: str
    actor: str
    detail: str = ""
    user_id: str = ""
    session_id: str = ""
    network: str = ""
    request_id: str = ""
    writer: str = ""
    seq: int = 0


class _Calendar:
    """Writes the time of many lines a second, of which only the milliseconds change."""

    second = 0
    text = ""

    @classmethod
    def timestamp(cls, milliseconds: int) -> str:
        second, rest = divmod(milliseconds, 1000)
        if second != cls.second:
            cls.second, cls.text = second, datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")
        return f"{cls.text}.{rest:03}+00:00"


timestamp = _Calendar.timestamp
"""Milliseconds since the epoch as ISO 8601, in UTC."""


class _State:
    writer: LineWriter | None = None
    """Where request lines go; nowhere in a process that is not ours alone."""


def log_to_stderr() -> None:
    """Send the logs of this process to standard error as JSON lines; for a process that is ours alone."""
    sink = Sink(FileIO(sys.stderr.fileno(), "w", closefd=False))
    handler = SinkHandler(sink)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    _write_requests_through(LineWriter(sink))


def write_requests_to(file: Writable | None) -> None:
    """Write each request's line to a file from now on, or none."""
    _write_requests_through(None if file is None else LineWriter(Sink(file)))


def lines_lost() -> int:
    """How many lines of this process's log could not be written."""
    return 0 if _State.writer is None else _State.writer.sink.lost


def _write_requests_through(writer: LineWriter | None) -> None:
    if _State.writer is not None:
        _State.writer.finish()
        atexit.unregister(_State.writer.finish)
    _State.writer = writer
    if writer is not None:
        atexit.register(writer.finish)


def request_answered(
    *, request_id: str, method: str, route: str | None, status: int, seconds: float, code: str | None
) -> None:
    """Write the one line of a request.

    Args:
        request_id: also in the answer.
        method: the HTTP method.
        route: the rule that matched, not what was asked for; None where none did.
        status: the answer's.
        seconds: from the request's arrival at the application to its answer.
        code: the stable word of an error answer.
    """
    if _State.writer is None:
        return
    line = RequestLine(
        time=timestamp(utc_milliseconds()),
        level="info",
        event="request",
        request_id=request_id,
        method=method[:_MAX_METHOD],
        status=status,
        ms=round(seconds * 1000, 1),
        route=route,
        code=code,
    )
    _State.writer.add(_ENCODER.encode(line))


def encoded(line: EventLine) -> bytes:
    """An audit event's line, without its end."""
    return _ENCODER.encode(line)


def event_happened(line: EventLine) -> None:
    """Write the line of an audit event, at once; in a process that is not ours alone, hand it to ``logging``."""
    if _State.writer is not None:
        _State.writer.write(encoded(line))
        return
    fields = msgspec.to_builtins(line)
    del fields["time"]
    _EVENTS.log(_LEVELS[fields.pop("level")], fields.pop("event"), extra=fields)


_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING}
