"""Calibration: every set that the guides allow is measured, and none is made weaker."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from watchword import calibration
from watchword.calibration import raise_passes
from watchword.cli.calibrate import calibrate
from watchword.passwords import Parameters
from watchword.passwords.guides import GUIDES
from watchword.processors import cores
from watchword.settings import MAX_HASH_PASSES, Settings


@given(passes=st.integers(1, 20), milliseconds=st.floats(0.1, 1000), target=st.floats(0.1, 10_000))
def test_a_target_never_weakens_a_set(passes: int, milliseconds: float, target: float) -> None:
    """Passes only grow, and with them the expected time stays at or under the target unless it was over it already."""
    before = Parameters(memory_kib=7168, passes=passes)
    after = raise_passes(before, milliseconds=milliseconds, target_ms=target)
    assert after.memory_kib == before.memory_kib
    assert after.passes >= before.passes
    assert after.passes <= MAX_HASH_PASSES
    if after.passes > before.passes:
        assert after.passes * milliseconds / passes <= target * 1.000001


def test_every_set_is_told_with_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON each set has its cost here, and settings that the service accepts as they stand."""
    done = CliRunner().invoke(calibrate, ["--json", "--seconds", "0.1"])
    assert done.exit_code == 0
    sets = [json.loads(line) for line in done.output.splitlines()]
    assert [(each["memory_kib"], each["passes"]) for each in sets] == [guide[:2] for guide in GUIDES]
    for each in sets:
        assert each["milliseconds"] > 0
        assert each["logins_per_second"] > 0
        assert each["pool_mib"] == round(cores() * each["memory_kib"] / 1024, 1)
        environ = dict(setting.split("=") for setting in each["settings"].split())
        settings = Settings.read({**environ, "WATCHWORD_SECRET_KEY": "a root secret for tests, 0123456789 and more"})
        assert (settings.hash_memory_kib, settings.hash_passes) == (each["memory_kib"], each["passes"])


def test_a_target_out_of_reach_is_told_and_its_settings_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No set has more passes than the settings take; the line about it is no line of the JSON."""
    monkeypatch.setattr(calibration, "GUIDES", GUIDES[-1:])
    done = CliRunner().invoke(calibrate, ["--json", "--seconds", "0.1", "--target-ms", "10000"])
    assert done.exit_code == 0
    assert done.stderr == "For 10000 ms some would need more passes than the settings take.\n"
    assert json.loads(done.stdout)["passes"] == MAX_HASH_PASSES


@pytest.mark.parametrize("option", ["--target-ms", "--seconds"])
@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_a_time_is_a_number_within_bounds(option: str, value: str) -> None:
    """NaN is under no bound and over none, and would go through to a traceback or to sets that nobody measured."""
    done = CliRunner().invoke(calibrate, [option, value])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}'" in done.stderr


def test_people_read_a_table() -> None:
    """Without --json there is a row for each set, whose first words can be pasted."""
    done = CliRunner().invoke(calibrate, ["--seconds", "0.1"])
    rows = [line for line in done.output.splitlines() if line.startswith("WATCHWORD_")]
    assert len(rows) == len(GUIDES)
    assert all("WATCHWORD_HASH_PASSES=" in row and " ms " in row and " MiB " in row for row in rows)
