"""How many hashes are computed at once, unless the operator says so."""

import os
from pathlib import Path

import pytest

from watchword.processors import cores, cores_worth


@pytest.mark.parametrize(
    ("limit", "worth"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("1000 100000\n", 1),
        ("0 100000\n", 1),
        ("6400000 100000", 64),
        ("max 100000\n", None),
        ("100000 0\n", None),
        ("100000\n", None),
        ("", None),
    ],
)
def test_what_a_quota_is_worth(limit: str, worth: int | None) -> None:
    """Whole processors, rounded up, and one at least; what is no quota limits nothing."""
    assert cores_worth(limit) == worth


@pytest.fixture(autouse=True)
def _a_large_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of 64 processors, whose control groups are in a folder of the test."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr("watchword.processors._OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr("watchword.processors._CGROUPS", tmp_path)


@pytest.mark.parametrize(
    ("own", "limited", "expected"),
    [
        ("0::/\n", ".", 2),
        ("1:cpu:/other\n0::/machine/box\n", "machine/box", 2),
        ("0::/machine/box\n", "machine", 2),
        ("0::/machine\n", "machine/box", 64),
        ("1:cpu:/machine\n", "machine", 64),
        ("0::/../elsewhere\n", "machine", 64),
    ],
)
def test_a_containers_quota_is_heeded(tmp_path: Path, own: str, limited: str, expected: int) -> None:
    """That of its own control group or of one around it: a large host has more processors than it may use."""
    (tmp_path / "cgroup").write_text(own)
    (tmp_path / limited).mkdir(parents=True, exist_ok=True)
    (tmp_path / limited / "cpu.max").write_text("200000 100000\n")
    assert cores() == expected


def test_without_control_groups_all_are_used() -> None:
    """Where nothing can be read, there is no quota to be heeded."""
    assert cores() == 64
