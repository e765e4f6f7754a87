"""The listener for the metrics: what goes wrong with it costs the service nothing, and is told once."""

import asyncio
import logging

import pytest

from watchword import metrics
from watchword.metrics import Metrics


@pytest.mark.parametrize("host", ["metrics..internal", f"{'m' * 70}.internal"])
async def test_a_host_that_cannot_be_one_is_told_once(
    host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What no resolver takes for a name is told as an address that is taken: once, however often it is tried."""
    monkeypatch.setattr(metrics, "_RETRY_SECONDS", 0.01)
    caplog.set_level(logging.WARNING, logger=metrics.__name__)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Metrics().expose(host, 9464)
    (told,) = caplog.messages
    assert told.startswith(f"no metrics on {host}:9464 yet: ")
