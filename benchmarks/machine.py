"""What must be known to read the figures: the machine, the versions, the day."""

import importlib.metadata
import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers import REQUIREMENTS, ROOT, Program
from watchword.processors import cores

_OURS: Final = (
    "quart hypercorn uvloop pyjwt cryptography asyncpg msgspec argon2-cffi argon2-cffi-bindings pynacl"
).split()
_PEERS: Final = {
    "flask": ("flask", "flask-jwt-extended", "gunicorn", "argon2-cffi", "argon2-cffi-bindings"),
    "fastapi_users": ("fastapi-users", "fastapi", "sqlalchemy", "uvicorn", "pwdlib", "argon2-cffi-bindings"),
    "quart": ("quart", "hypercorn", "pyjwt", "argon2-cffi", "argon2-cffi-bindings"),
}


def facts(programs: Sequence[Program]) -> dict[str, str]:
    """Names and values for the page's last table; nothing in it tells whose machine this is."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
        "CPU": f"{_cpu()}, {cores()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "our packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _OURS),
        **{f"{program.title}": f"`{program.deployed}`{_pins(program.name)}" for program in programs},
    }


def _pins(name: str) -> str:
    pins = dict(_pinned(REQUIREMENTS / f"{name}.txt")) if name in _PEERS else {}
    return "".join(f", {package} {pins[package]}" for package in _PEERS.get(name, ()))


def _pinned(requirements: Path) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^([a-z0-9-]+)==([^ ;]+)", requirements.read_text(), re.MULTILINE):
        yield match[1], match[2]


def _cpu() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "--", "src", "requirements") else ""
        return f"{git('rev-parse', '--short', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
