"""GET /metrics beside the other routes: the same text as on the listener of its own, for a service with the scope."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.endpoints.contract import COMMON, headers_of
from tests.endpoints.services import a_service, bearer
from watchword.flows import Tools


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is counted is the same on any database."""
    return sqlite_url


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/openmetrics-text; version=1.0.0", "text/plain; version=x.y"]
)
async def test_metrics_are_prometheus_text(tools: Tools, client: Client, accept: str) -> None:
    """In the one form that every scraper reads, whatever else it would like, with this process's own requests in it."""
    secret = await a_service(tools, "metrics:read")
    for _ in range(3):
        await client.get("/healthz")
    response = await client.get("/metrics", headers={**bearer(secret), "Accept": accept})
    assert response.status_code == 200
    headers = dict(headers_of(response))
    assert headers.pop("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert {name: headers[name] for name in COMMON if name != "content-type"}.items() <= COMMON.items()
    text = await response.get_data(as_text=True)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (answered,) = (
        sample.value
        for sample in families["watchword_request_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["route"] == "/healthz"
    )
    assert answered == 3
    assert secret not in text
