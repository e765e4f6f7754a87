"""What tests of the guard may ask for: an issuer, and an application that believes it."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.guard.issuer import Issuer
from watchword import Guard


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
