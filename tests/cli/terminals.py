"""A terminal for a program that looks whether it has one."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping


def at_a_terminal(command: list[str], *, environ: Mapping[str, str], typed: str = "", stdin: bool) -> tuple[int, str]:
    """Run a program whose standard error, and if asked for standard input, is a terminal.

    Args:
        command: the program.
        environ: its environment.
        typed: what somebody types, a line for each question.
        stdin: whether it can ask.

    Returns:
        Its exit status, and all that was on the screen.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        command,
        env={**environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs if stdin else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen, lines, deadline = b"", typed.splitlines(keepends=True), time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                shown = os.read(ours, 65536)
            except OSError:  # how Linux tells that nobody has the terminal open any more
                break
            if not shown:
                break
            screen += shown
            if lines and screen.endswith(b": "):
                os.write(ours, lines.pop(0).encode())
        return process.wait(10), screen.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
