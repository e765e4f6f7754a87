"""GET /metrics: what this process counts, for those who cannot reach the listener that is for metrics alone."""

from functools import partial
from typing import Final

from quart import Response

from watchword.endpoints.bearer import service_token
from watchword.flows import Tools
from watchword.flows.admission import admit_bearer
from watchword.metrics import TEXT
from watchword.model import ClientScope
from watchword.threads import Threads

_THREAD: Final = Threads(1, name="exposition")
"""Of its own: a scrape must not wait for the slow views of a program that has ours beside its own."""


async def metrics(tools: Tools) -> Response:
    """Expose the metrics of the worker that answers."""
    token = service_token()
    await tools.store.read(partial(admit_bearer, service_token=token, scope=ClientScope.METRICS_READ))
    return Response(await _THREAD.run(tools.metrics.exposition), content_type=TEXT)
