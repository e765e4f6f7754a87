"""Bring users over from another system: one JSON object per line, each line judged by itself.

    {"username": "alice", "password_hash": "$argon2id$…", "scope": "reports:read", "disabled": false}
    {"username": "bob", "password": "correct horse battery staple"}

A hash may be of another system (``passwords.legacy``); the first login of its owner replaces it.

A line that cannot be taken is reported and the others go in, so that after mending the file the same import can be
run again: the names that are there already are left as they are.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, Literal

import msgspec

from watchword import strictjson, usernames
from watchword.audit import Event
from watchword.errors import WatchwordError
from watchword.flows.trail import write_down
from watchword.identifiers import new_id
from watchword.model import User, scope_from
from watchword.passwords import Hasher, PasswordRules, read_stored
from watchword.recorder import Asker
from watchword.store import Store, users
from watchword.store.connection import Connection

BATCH: Final = 500
"""Lines per transaction; each user is eight parameters, and SQLite takes 32,766 in a statement."""

MAX_REASON: Final = 80


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one line.

    Attributes:
        line: its number, from 1.
        status: added, there already (and left as it is), or refused.
        reason: why it was refused; never holds a password or a hash.
    """

    line: int
    status: Literal["added", "exists", "refused"]
    reason: str = ""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    username: str
    password_hash: str | None = None
    password: str | None = None
    scope: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    line: int
    user: User
    password: str | None = field(repr=False)


class _DryRun(Exception):
    """No error: it only undoes the transaction."""

    def __init__(self, added: set[str]) -> None:
        super().__init__()
        self.added = added


async def import_users(
    store: Store,
    hasher: Hasher,
    lines: Iterable[bytes],
    *,
    rules: PasswordRules,
    now: int,
    dry_run: bool,
    asker: Asker,
) -> AsyncIterator[Outcome]:
    """Take users from JSON lines; blank lines count and are passed over.

    Args:
        store: where they go.
        hasher: for lines that hold a plain password.
        lines: the file's lines.
        rules: for plain passwords; a password hash speaks for itself.
        now: the time at which the accounts are made.
        dry_run: judge every line and keep nothing.
        asker: who imports.

    Yields:
        An outcome for each line that is not blank, batch by batch.

    Raises:
        Unavailable: the database is away; what was yielded before is stored, and told in the audit trail.
    """
    seen: set[str] = set()
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, BATCH)):
        judged = [_judge(number, line, rules=rules, now=now, seen=seen) for number, line in batch]
        candidates = [verdict for verdict in judged if isinstance(verdict, _Candidate)]
        if not dry_run:
            candidates = await _hash_passwords(hasher, candidates)
        added = await _insert(store, [candidate.user for candidate in candidates], dry_run=dry_run, asker=asker)
        await write_down(asker.recorder, store)  # so that whoever kills us leaves no more than these few untold
        for verdict in judged:
            if isinstance(verdict, Outcome):
                yield verdict
            else:
                yield Outcome(verdict.line, "added" if verdict.user.canonical_name in added else "exists")


def _judge(number: int, line: bytes, *, rules: PasswordRules, now: int, seen: set[str]) -> _Candidate | Outcome:
    try:
        return _candidate(number, line, rules=rules, now=now, seen=seen)
    except (WatchwordError, ValueError) as fault:
        return Outcome(number, "refused", str(fault))


def _candidate(number: int, line: bytes, *, rules: PasswordRules, now: int, seen: set[str]) -> _Candidate:
    try:
        fields = msgspec.convert(strictjson.loads(line.strip()), _Line)
    except msgspec.ValidationError as fault:
        # It repeats the name of an unknown member, in which a slip is found. What is no name might be anything.
        reason = str(fault)
        is_fit = reason.isprintable() and len(reason) <= MAX_REASON
        raise ValueError(reason if is_fit else "has an unknown member") from None
    name = usernames.canonical(fields.username)
    if name in seen:
        raise ValueError("the same user is on an earlier line")
    if (fields.password is None) == (fields.password_hash is None):
        raise ValueError("needs one of password_hash and password")
    if fields.password_hash is not None:
        read_stored(fields.password_hash)
    if fields.password is not None:
        rules.check(fields.password, username=fields.username)
    user = User(
        id=new_id(),
        username=fields.username,
        canonical_name=name,
        password_hash=fields.password_hash,
        password_version=1,
        scope=scope_from(filter(None, fields.scope.split(" "))),
        disabled_at=now if fields.disabled else None,
        created_at=now,
    )
    seen.add(name)
    return _Candidate(number, user, fields.password)


async def _hash_passwords(hasher: Hasher, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    async def hashed(candidate: _Candidate, password: str) -> _Candidate:
        return replace(candidate, user=replace(candidate.user, password_hash=await hasher.hash(password)))

    done = [candidate for candidate in candidates if candidate.password is None]
    plain = [(candidate, candidate.password) for candidate in candidates if candidate.password is not None]
    for start in range(0, len(plain), hasher.threads):  # as many as run at once, so that none waits and none is refused
        chunk = plain[start : start + hasher.threads]
        done += await asyncio.gather(*(hashed(candidate, password) for candidate, password in chunk))
    return done


async def _insert(store: Store, batch: Sequence[User], *, dry_run: bool, asker: Asker) -> set[str]:
    async def insert(connection: Connection) -> set[str]:
        added = await users.insert_many(connection, batch)
        if dry_run:
            raise _DryRun(added)
        return added

    def tell(added: set[str]) -> None:
        for user in batch:
            if user.canonical_name in added:
                asker.tell(Event.USER_CREATED, user_id=user.id, detail=user.scope)

    if not batch:
        return set()
    try:
        return await store.write(insert, then=tell)
    except _DryRun as undone:
        return undone.added
