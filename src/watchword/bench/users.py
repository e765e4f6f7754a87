"""The users who log in: a file of JSON lines, as ``watchword users import`` takes it, with plain passwords.

{"username": "bench-3f9c2a-0001", "password": "…"}
"""

import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from watchword import strictjson


@dataclass(frozen=True, slots=True)
class User:
    """Who can log in."""

    username: str
    password: str = field(repr=False)


class _Line(msgspec.Struct):
    username: str
    password: str | None = None
    disabled: bool = False


def read_users(lines: Iterable[bytes]) -> list[User]:
    """The users of a file; blank lines are passed over.

    Raises:
        ValueError: a line does not tell who can log in; the message has its number and nothing of its text.
    """
    users = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                users.append(_user(line))
            except ValueError as fault:
                raise ValueError(f"line {number}: {fault}") from None
    return users


def make_users(count: int) -> Iterator[str]:
    """Lines of such a file: names that nobody has yet, and random passwords."""
    batch = secrets.token_hex(3)
    for number in range(1, count + 1):
        yield json.dumps({"username": f"bench-{batch}-{number:04}", "password": secrets.token_urlsafe(18)})


def _user(line: bytes) -> User:
    try:
        fields = msgspec.convert(strictjson.loads(line.strip()), _Line)
    except msgspec.ValidationError as fault:
        raise ValueError(str(fault)) from None
    if fields.password is None:
        raise ValueError("has no plain password to log in with")
    if fields.disabled:
        raise ValueError("is of a disabled user")
    return User(fields.username, fields.password)
