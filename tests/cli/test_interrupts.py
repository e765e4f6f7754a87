"""Ctrl-C while a command changes something: what was asked for may be done, and the command does not deny it."""

from pathlib import Path

import click
import pytest

from tests.builders import SECRET
from tests.cli.commands import COMMAND, fresh_environment, run
from watchword.cli.database import with_asker
from watchword.recorder import Asker
from watchword.settings import Settings
from watchword.store import Store


def test_an_interrupt_does_not_deny_a_change(tmp_path: Path) -> None:
    """It comes while the write is under way, which goes on: one line says that it may be done."""
    environ = fresh_environment(tmp_path, SECRET_KEY=SECRET)
    run([*COMMAND, "init"], environ=environ).check_returncode()

    async def story(_store: Store, _asker: Asker) -> None:
        raise KeyboardInterrupt

    with pytest.raises(click.ClickException, match="interrupted; what was asked for may have been done all the same"):
        with_asker(Settings.read(environ), story)
