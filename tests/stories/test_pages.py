"""What the pages have a reader write to a file is for nobody else to read: secrets, and copies of the database."""

import shutil
import time
from pathlib import Path

import pytest

from tests.servers import environment, watchword
from tests.stories.pages import blocks, paste

SECRETS = {
    "a service token": ("guard.md", "clients add reports", "watchword"),
    "a client's secret": ("recipes.md", "clients add gateway", "client_secret"),
    "the password hashes of Django": ("passwords.md", "manage.py shell", "users.jsonl"),
}


@pytest.mark.parametrize(("page", "command", "file"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_for_its_owner_to_read(tmp_path: Path, page: str, command: str, file: str) -> None:
    """Though new files are for everybody, as on most machines."""
    environ = environment(tmp_path / "instance")
    watchword("init", environ=environ).check_returncode()
    (tmp_path / "manage.py").write_text("print({})")
    (block,) = (block for block in blocks(page) if command in block)
    assert "#" not in block  # which an interactive zsh does not take for a comment
    paste(block.replace("/run/secrets/", ""), folder=tmp_path, environ=environ)
    written = tmp_path / file
    assert written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
def test_a_database_is_backed_up_again_and_again(tmp_path: Path) -> None:
    """Each time to a file of its own, which nobody else may read."""
    environ = environment(tmp_path / "instance")
    watchword("init", environ=environ).check_returncode()
    (block,) = (block for block in blocks("reliability.md") if "VACUUM INTO" in block)
    (line,) = (line for line in block.splitlines() if "VACUUM INTO" in line)
    for _ in range(2):
        paste(line.replace("/backup/", ""), folder=tmp_path, environ=environ)
        time.sleep(1)
    modes = [copy.stat().st_mode & 0o777 for copy in tmp_path.glob("watchword-*.db")]
    assert modes == [0o600, 0o600]
