"""Ctrl-C while a command works: it does not deny what it may have done, and a second one ends it at once."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from tests.builders import SECRET
from tests.cli.commands import COMMAND, fresh_environment, run
from tests.servers import environment
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


IN_THE_WORK = """
async def work():
    print("begun", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("told", flush=True)
        await asyncio.sleep(60)

run_to_the_end(work())
"""
BEHIND_IT = """
async def work():
    print("begun", flush=True)
    await asyncio.sleep(60)

try:
    run_to_the_end(work())
except KeyboardInterrupt:
    print("told", flush=True)
    time.sleep(60)
"""
INTERRUPTS = """
import asyncio, signal, time
from watchword.cli.endings import run_to_the_end

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
"""


@pytest.mark.parametrize("program", [IN_THE_WORK, BEHIND_IT], ids=["in the work", "behind it"])
def test_a_second_interrupt_ends_a_command_at_once(program: str) -> None:
    """It ends by the signal, with nothing on standard error, whatever the first one has left to be done."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTS + program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            for line in ("begun\n", "told\n"):
                assert process.stdout.readline() == line
                process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == -signal.SIGINT
        finally:
            process.kill()


def test_two_interrupts_that_come_together_are_no_fault(tmp_path: Path) -> None:
    """As ``timeout -s INT`` sends them, to the command and to its group: nothing is said of the command's insides."""
    environ = environment(tmp_path)
    run([*COMMAND, "init"], environ=environ).check_returncode()
    follow = "import signal; signal.signal(2, signal.default_int_handler); from watchword.cli import main; main()"
    for milliseconds in (0.1, 0.5, 1, 1.5, 2, 3):
        with subprocess.Popen(
            [sys.executable, "-c", follow, "audit", "tail", "-n", "1", "--follow"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            try:
                assert process.stdout.readline()
                process.send_signal(signal.SIGINT)
                time.sleep(milliseconds / 1000)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=30)[1] == ""
                assert process.returncode in {0, -signal.SIGINT}
            finally:
                process.kill()
