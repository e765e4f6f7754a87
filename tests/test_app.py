"""The application's life: it is started once."""

from pathlib import Path

import pytest
from quart.testing.app import LifespanError

from tests.builders import cheap_settings
from watchword.app import create_app
from watchword.settings import Settings

REFUSAL = r"this application was started before; make another with create_app\(\)"


async def test_another_start_says_what_to_do(settings: Settings) -> None:
    """What it is made of has been closed; another application with the same settings starts."""
    app = create_app(settings)
    async with app.test_app():
        pass
    with pytest.raises(LifespanError, match=REFUSAL):
        await app.test_app().startup()
    async with create_app(settings).test_app() as started:
        assert (await started.test_client().get("/readyz")).status_code == 200


async def test_a_start_that_was_refused_was_one(tmp_path: Path) -> None:
    """Had the database come meanwhile it would start, and answer no login: the threads for hashes have ended."""
    app = create_app(cheap_settings(instance=tmp_path, database_url=f"sqlite:///{tmp_path / 'away.db'}"))
    for refusal in ("there is no database at", REFUSAL):
        with pytest.raises(LifespanError, match=refusal):
            await app.test_app().startup()
