"""What make takes for done already."""

import os
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


@pytest.mark.parametrize(
    ("bind", "given", "issuer"),
    [
        ("", {}, "none"),
        ("127.0.0.1:9123", {}, "http://127.0.0.1:9123"),
        ("localhost:9123", {}, "http://localhost:9123"),
        ("127.0.0.1:9123", {"WATCHWORD_ISSUER": "https://login.example"}, "https://login.example"),
        ("127.0.0.1:9123", {"WATCHWORD_ISSUER_FILE": "/run/secrets/issuer"}, "none"),  # or it would be set twice
        ("0.0.0.0:9123", {}, "none"),  # nobody's address
        ("unix:/run/watchword.sock", {}, "none"),
    ],
)
def test_the_printed_curl_leads_where_the_service_is(
    checkout: Path, bind: str, given: dict[str, str], issuer: str
) -> None:
    """``init`` prints it with the issuer, and the service gives tokens of the same one."""
    program = checkout / ".venv" / "bin" / "watchword"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$1: ${WATCHWORD_ISSUER:-none}"\n')
    program.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    command = ["make", "--silent", "run", "NATIVE=0", f"BIND={bind}"]
    done = subprocess.run(command, cwd=checkout, env=environ | given, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"init: {issuer}", f"serve: {issuer}"]
