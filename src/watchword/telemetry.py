"""What the service tells about itself: one JSON line per request, and every other event as a JSON line too.

Field by field in ``docs/request-log.md``. Never a password, a token, a hash, a key, a query string or a raw path.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_request_log = logging.getLogger("watchword.request")

_MAX_METHOD: Final = 20
"""Characters: all registered methods are shorter, and a client may send one as long as a request's headers."""

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


def log_to_stderr() -> None:
    """Send the logs of this process to standard error as JSON lines; for a process that is ours alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("databases").setLevel(logging.WARNING)  # at DEBUG it logs every bound value


def request_answered(
    *, request_id: str, method: str, route: str | None, status: int, milliseconds: float, code: str | None
) -> None:
    """Write the one line of a request.

    Args:
        request_id: also in the answer.
        method: the HTTP method.
        route: the rule that matched, not what was asked for; None where none did.
        status: the answer's.
        milliseconds: from the request's arrival at the application to its answer.
        code: the stable word of an error answer.
    """
    fields = {
        "request_id": request_id,
        "method": method[:_MAX_METHOD],
        "route": route,
        "status": status,
        "ms": round(milliseconds, 1),
        "code": code,
    }
    _request_log.info("request", extra={name: value for name, value in fields.items() if value is not None})
