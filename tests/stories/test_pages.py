"""What the pages have a reader write to a file holds secrets, and is for nobody else to read."""

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
