"""Who logs in: numbered users with one password, hashed once at the cost that every program here is set to."""

import json
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher

from watchword.passwords import Parameters

PARAMETERS: Final = Parameters(memory_kib=19_456, passes=2)
PASSWORD: Final = "correct horse battery staple"


def username(number: int) -> str:
    """The name of one of them."""
    return f"user-{number:07}"


@cache
def password_hash(parameters: Parameters = PARAMETERS) -> str:
    """What is stored for each: the same string, as nobody wants to wait for a million hashes."""
    hasher = PasswordHasher(time_cost=parameters.passes, memory_cost=parameters.memory_kib, parallelism=1)
    return hasher.hash(PASSWORD)


def write_import_file(file: Path, *, users: int, parameters: Parameters = PARAMETERS) -> Path:
    """JSON lines for ``watchword users import``."""
    stored = password_hash(parameters)
    with file.open("w") as lines:
        for number in range(users):
            lines.write(json.dumps({"username": username(number), "password_hash": stored}) + "\n")
    return file
