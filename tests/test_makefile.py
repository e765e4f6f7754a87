"""What make takes for done already."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose .venv is made, as far as make can tell."""
    home = tmp_path / "checkout"
    stamps = home / ".venv" / "stamps"
    stamps.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, home)
    shutil.copytree(ROOT / "requirements", home / "requirements")
    (home / ".venv" / "pyvenv.cfg").write_text(f"command = /usr/bin/python3 -m venv --clear {home}/.venv\n")
    for name in ("venv", "service", "watchword"):
        (stamps / name).touch()
    return home


def plan(checkout: Path) -> str:
    """What `make setup` would do."""
    command = ["make", "--dry-run", "setup", "NATIVE=0"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout


def test_a_venv_that_is_made_is_left_alone(checkout: Path) -> None:
    """Twice does nothing, also where the .venv is a link to one that was made elsewhere."""
    assert "Nothing to be done" in plan(checkout)
    linked = checkout.parent / "linked"
    shutil.copytree(checkout, linked, ignore=shutil.ignore_patterns(".venv"))
    (linked / ".venv").symlink_to(checkout / ".venv")
    assert "Nothing to be done" in plan(linked)


def test_the_venv_of_a_copied_checkout_is_made_anew(checkout: Path) -> None:
    """Its programs name the original's folder, whose code they would run."""
    copy = shutil.copytree(checkout, checkout.parent / "copy", copy_function=shutil.copy2)
    assert "-m venv --clear .venv" in plan(copy)
