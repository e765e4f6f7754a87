"""Things that tests are about, made in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from watchword.flows import Tools, admin
from watchword.model import User
from watchword.settings import Settings
from watchword.store import users

PASSWORD = "correct horse battery staple"
SECRET = "a root secret for tests, 0123456789 and more"


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = 1_800_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """The time."""
        return self.now

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds


def cheap_settings(*, instance: Path, database_url: str, **changes: Any) -> Settings:
    """Settings with hashes that cost next to nothing."""
    settings = Settings(
        instance=instance,
        database_url=database_url,
        secret_key=SECRET.encode(),
        hash_memory_kib=8,
        hash_passes=1,
        hash_threads=2,
        hash_max_wait=10.0,
    )
    return replace(settings, **changes)


async def add_user(tools: Tools, username: str = "alice", *, password: str = PASSWORD, scope: str = "") -> User:
    """A user who can log in."""
    return await admin.add_user(
        tools.store,
        tools.hasher,
        username=username,
        password=password,
        scopes=scope.split(),
        min_length=8,
        now=tools.clock(),
    )


async def insert_user(tools: Tools, user: User) -> User:
    """A user exactly as given, whatever the rules say."""
    await tools.store.write(lambda connection: users.insert(connection, user))
    return user
