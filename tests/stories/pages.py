"""The commands of a page, pasted into a shell as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^(?P<indent> *)```(?:ba)?sh\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    """The blocks of a page of ``docs/`` that are for a shell, in order."""
    return [dedent(found["text"]) for found in BLOCK.finditer((DOCS / page).read_text())]


def paste(text: str, *, folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run commands to their end that are pasted in a folder, where new files are for everybody to read.

    ``watchword`` is ours. What fails is a failure of the test, and so is an answer to curl from 400 on.
    """
    command = folder / "bin" / "watchword"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m watchword "$@"\n')
    command.chmod(0o755)
    (folder / ".curlrc").write_text("fail\n")
    path = os.pathsep.join((str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**environ, "PATH": path, "CURL_HOME": str(folder)},
        umask=0o022,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done
