"""What tests of the guard may ask for: an issuer, an application that believes it, and news of ended sessions."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import Stopwatch
from tests.guard.issuer import Issuer
from watchword import Guard
from watchword.denials import Denials


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests says nothing to a guard."""
    for name in ("ISSUER", "AUDIENCE", "SERVICE_TOKEN"):
        for suffix in ("", "_FILE"):
            monkeypatch.delenv(f"WATCHWORD_{name}{suffix}", raising=False)


@pytest.fixture
def issuer() -> Issuer:
    """Who signs the tokens."""
    return Issuer()


@pytest.fixture
def app(issuer: Issuer) -> Quart:
    """Anybody's application, guarded by the issuer's published keys."""
    app = Quart(__name__)
    Guard(app, keys=issuer.keys, issuer=issuer.url)
    return app


@pytest.fixture
def client(app: Quart) -> Client:
    """A client of the application."""
    return app.test_client()


@pytest.fixture
def stopwatch() -> Stopwatch:
    """The clock of the denials."""
    return Stopwatch()


@pytest.fixture
def denials(stopwatch: Stopwatch) -> Denials:
    """Denials with news of this moment."""
    denials = Denials(monotonic=stopwatch)
    denials.learnt_all(seq=0, asked_at=stopwatch.seconds, now=0)
    return denials
