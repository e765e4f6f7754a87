"""What tests of commands share: environments without a secret, refusals that are one line, a look into an instance."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import click.testing

from tests.servers import environment
from watchword import cli

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "watchword"]
HYPERCORN = [sys.executable, "-m", "hypercorn", "-c", str(ROOT / "hypercorn.toml"), "watchword.asgi:create_app()"]


def fresh_environment(instance: Path, **settings: str) -> dict[str, str]:
    """An environment in which nobody has given a secret yet."""
    environ = environment(instance, **settings)
    if "SECRET_KEY" not in settings:
        del environ["WATCHWORD_SECRET_KEY"]
    return environ


def run(command: list[str], *, environ: Mapping[str, str], seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """A program that is expected to end by itself in time."""
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def at_once(commands: list[list[str]], environ: Mapping[str, str]) -> list["subprocess.CompletedProcess[str]"]:
    """Programs that run at the same time, each to its end."""
    processes = [
        subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]


def in_process(*arguments: str, environ: Mapping[str, str]) -> click.testing.Result:
    """A command of ours run in this process, which is quicker; a refusal of ours is the result's exception."""
    return click.testing.CliRunner().invoke(cli.watchword, arguments, env=environ)


def refusal(done: "subprocess.CompletedProcess[str]", *, status: int = 1) -> str:
    """The one line with which a program has refused to go on."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def rows(database: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a SQLite file holds."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def change(database: Path, statement: str) -> None:
    """Do to a SQLite file what nobody should."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def digests(folder: Path) -> dict[str, str]:
    """The content of every file."""
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
