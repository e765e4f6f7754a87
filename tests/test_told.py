"""What is said of a trouble that lasts: each reason once, and when it is over."""

import asyncio
import logging

import pytest

import watchword.told
from tests.waiting import eventually
from watchword.errors import Unavailable
from watchword.told import Told

AWAY = "WARNING no news: the database is away; nobody passes"
LOCKED = "WARNING no news: the database is locked; nobody passes"
OVER = "INFO there are news"
CALM = 0.3


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Of something that goes wrong."""
    monkeypatch.setattr(watchword.told, "CALM", CALM)
    caplog.set_level(logging.INFO)
    log = logging.getLogger(__name__)
    return Told(log, trouble="no news", meanwhile="nobody passes", over="there are news", foreseen=Unavailable)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said."""
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


async def test_each_reason_is_told_once_and_the_end(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Also where two take turns; and all of it again, should it begin again."""
    for _ in range(2):
        for _ in range(3):
            told.say(Unavailable("the database is away"))
            told.say(Unavailable("the database is locked"))
        told.is_over()
        told.is_over()
        await eventually(lambda: lines(caplog)[-1] == OVER)
    assert lines(caplog) == [AWAY, LOCKED, OVER] * 2


async def test_a_trouble_that_comes_and_goes_is_one(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """A database that fails every second time filled the log: it is over when it has not come again for a while."""
    for _ in range(20):
        told.say(Unavailable("the database is away"))
        told.is_over()
        await asyncio.sleep(CALM / 10)
    assert lines(caplog) == [AWAY]
    await eventually(lambda: lines(caplog) == [AWAY, OVER])


async def test_who_stops_looking_tells_no_end(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it lasted is what nobody knows; another may look by then, and find the trouble again."""
    told.say(Unavailable("the database is away"))
    told.is_over()
    told.close()
    await asyncio.sleep(2 * CALM)
    assert lines(caplog) == [AWAY]


async def test_an_end_without_a_trouble_is_not_told(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was wrong."""
    told.is_over()
    await asyncio.sleep(2 * CALM)
    assert lines(caplog) == []


def test_what_was_not_foreseen_is_shown_whole(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Once as well, whatever its words are: for whoever mends it the place counts."""
    for _ in range(2):
        told.say(ZeroDivisionError("division by zero"))
    assert lines(caplog) == ["WARNING no news: ZeroDivisionError; nobody passes"]
    assert "ZeroDivisionError: division by zero" in caplog.text


def test_reasons_without_an_end_do_not_fill_the_log(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """One that names a number or a moment is another each time; a fault of ours is told all the same."""
    for number in range(1000):
        told.say(Unavailable(f"connection {number} was lost"))
    assert len(caplog.records) < 50
    told.say(ZeroDivisionError("division by zero"))
    assert lines(caplog)[-1] == "WARNING no news: ZeroDivisionError; nobody passes"
