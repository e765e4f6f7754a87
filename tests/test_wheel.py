"""The wheel: installed somewhere else, without the checkout, it sets up, migrates and serves."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import fresh_environment
from tests.servers import free_port, running

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by the back end that pyproject.toml names."""
    folder = tmp_path_factory.mktemp("wheel")
    program = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return folder / built.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that has the wheel, and what it depends on from ours."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    programs = home / "bin"
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    # Only the folder: the .pth files in it, and with them the editable checkout, are not read.
    (site_packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    script = programs / "watchword"
    script.write_text(f"#!{programs / 'python'}\nfrom watchword.cli import main\nmain()\n")
    script.chmod(0o755)
    return programs


def run(command: list[str], *, environ: Mapping[str, str], cwd: Path) -> str:
    """What a program prints that is expected to succeed."""
    done = subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    """The package, its migrations and Hypercorn's file, the licence; no tests, no leavings."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {"watchword/hypercorn.toml", "watchword/migrations/env.py"} <= set(names)
    migrations = {path.name for path in (ROOT / "alembic" / "versions").glob("*.py")}
    assert {f"watchword/migrations/versions/{name}" for name in migrations} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"watchword"}
    assert not any("__pycache__" in name or name.endswith((".db", "secret_key")) for name in names)


def test_it_serves_from_another_folder(installed: Path, tmp_path: Path) -> None:
    """init, migrate, serve and a login, where no checkout is in reach and the instance is in the working folder."""
    environ = {
        name: value
        for name, value in fresh_environment(tmp_path / "instance").items()
        if name not in {"PYTHONPATH", "PYTHONHOME"}
    }
    watchword = str(installed / "watchword")
    where = (
        "import watchword, watchword.serve as s, watchword.store.migrations as m;"
        "print(watchword.__file__, s.hypercorn_toml.find(), m._scripts())"
    )
    places = run([str(installed / "python"), "-c", where], environ=environ, cwd=tmp_path).split()
    assert all(place.startswith(f"{installed.parent}{os.sep}") for place in places), places
    assert [Path(place).name for place in places] == ["__init__.py", "hypercorn.toml", "migrations"]

    printed = run([watchword, "init"], environ=environ, cwd=tmp_path)
    assert run([watchword, "migrate"], environ=environ, cwd=tmp_path) == "The database is up to date.\n"
    port = free_port()
    serve = [watchword, "serve", "--bind", f"127.0.0.1:{port}"]
    with running(serve, environ=environ, port=port, log=tmp_path / "log") as server:
        credentials = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
        answer = httpx.post(f"{server.url}/login", json=credentials)
        assert answer.status_code == 200
        assert "server" not in answer.headers  # as the installed hypercorn.toml says
    assert sorted(path.name for path in tmp_path.iterdir()) == ["instance", "log"]
