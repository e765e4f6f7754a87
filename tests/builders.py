"""Things that tests are about, made in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from watchword import client_secrets
from watchword.flows import Tools, admin
from watchword.flows.issue import Issued
from watchword.flows.login import log_in as log_in_flow
from watchword.flows.refresh import refresh as refresh_flow
from watchword.identifiers import new_id, new_salt
from watchword.model import Client, Session, User
from watchword.passwords import PasswordRules
from watchword.recorder import Asker
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


class Stopwatch:
    """A clock that never goes back, and stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def cheap_settings(*, instance: Path, database_url: str, **changes: Any) -> Settings:
    """Settings with hashes that cost next to nothing."""
    settings = replace(
        Settings.read({"WATCHWORD_SECRET_KEY": SECRET, "WATCHWORD_METRICS_BIND": "off"}),
        instance=instance,
        database_url=database_url,
        hash_memory_kib=8,
        hash_passes=1,
        hash_threads=2,
        hash_max_wait=10.0,
    )
    return replace(settings, **changes)


def a_user(username: str = "Alice", **changes: Any) -> User:
    """A user as it might stand in the table."""
    user = User(
        id=new_id(),
        username=username,
        canonical_name=username.lower(),
        password_hash="a hash",
        password_version=1,
        scope="reports:read",
        disabled_at=None,
        created_at=1_800_000_000,
    )
    return replace(user, **changes)


def a_session(user: User, **changes: Any) -> Session:
    """A session of a user, a second old, as it might stand in the table."""
    session = Session(
        id=new_id(),
        user_id=user.id,
        auth_time=1_800_000_000,
        expires_at=1_802_592_000,
        salt=new_salt(),
        counter=0,
        refreshed_at=1_800_000_000,
        ends_at=1_800_604_800,
        token_expires_at=1_800_000_900,
        password_version=user.password_version,
        network="192.0.2.1",
        user_agent="a browser",
    )
    return replace(session, **changes)


def a_client(name: str = "reports", **changes: Any) -> tuple[Client, str]:
    """A client as it might stand in the table, and its secret."""
    client_id = new_id()
    secret = client_secrets.make(client_id)
    client = Client(
        id=client_id,
        name=name,
        scope="tokens:introspect",
        secret_digest=client_secrets.digest(secret),
        created_at=1_800_000_000,
    )
    return replace(client, **changes), secret


def an_asker(tools: Tools, **changes: Any) -> Asker:
    """Somebody at a place that does not matter."""
    return replace(Asker(tools.recorder, actor="user", network="127.0.0.1", user_agent="tests"), **changes)


async def add_user(tools: Tools, username: str = "alice", *, password: str = PASSWORD, scope: str = "") -> User:
    """A user who can log in."""
    return await admin.add_user(
        tools.store,
        tools.hasher,
        username=username,
        password=password,
        scopes=scope.split(),
        rules=PasswordRules(min_length=8),
        now=tools.clock(),
        asker=an_asker(tools, actor="cli"),
    )


async def log_in(tools: Tools, username: str = "alice", password: str = PASSWORD) -> Issued:
    """A login from a place that does not matter."""
    return await log_in_flow(tools, username=username, password=password, asker=an_asker(tools))


async def refresh(tools: Tools, *, refresh_token: str) -> Issued:
    """A refresh from a place that does not matter."""
    return await refresh_flow(tools, refresh_token=refresh_token, asker=an_asker(tools))


async def insert_user(tools: Tools, user: User) -> User:
    """A user exactly as given, whatever the rules say."""
    await tools.store.write(lambda connection: users.insert(connection, user))
    return user
