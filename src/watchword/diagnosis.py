"""What ``watchword doctor`` finds: server, settings, secret, database, keys and hashing of this installation.

It changes nothing, but that an SQLite file is in WAL mode from then on, and no finding holds a secret.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

from cryptography import x509

from watchword import hypercorn_toml, instruments, settings
from watchword.audit import Seals
from watchword.clock import system_clock
from watchword.errors import SchemaRefused, StartRefused, Unavailable
from watchword.flows import keyring
from watchword.flows.audit import recognise
from watchword.keys import KeyRefused
from watchword.model import Clock
from watchword.passwords import Parameters, backends
from watchword.passwords.guides import GUIDES
from watchword.settings import Settings
from watchword.store import Store, inspection, sequences
from watchword.store.sequences import Place

_CLOCKS_DIFFER: Final = 3
"""Seconds. Nodes that differ by less from the database differ by less than the default grace from each other."""

_MOMENT: Final = "%Y-%m-%d %H:%M:%SZ"

_WIDE: Final = {4: 8, 6: 32}
"""Prefixes shorter than these hold more than anybody's own network."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what.
        verdict: fine, worth a thought, or to be mended before the service can run.
        message: what was seen and, where something is to be done, what.
    """

    subject: str
    verdict: Literal["good", "note", "bad"]
    message: str


async def examine(environ: Mapping[str, str], *, clock: Clock = system_clock) -> list[Finding]:
    """Look at everything, in the order in which a start meets it; what cannot be reached ends the tour."""
    findings = [_judge_server(clock)]
    findings += [
        Finding("settings", "note", f"{name} is no setting" + (f"; did you mean {meant}?" if meant else ""))
        for name, meant in settings.unknown_names(environ).items()
    ]
    try:
        current = Settings.read(environ)
    except StartRefused as refusal:
        return [*findings, Finding("settings", "bad", str(refusal))]
    findings.append(Finding("settings", "good", f"{current.algorithm} tokens of {current.issuer}"))
    findings.append(_weigh_proxies(current))
    findings.append(_weigh_parameters(current))
    findings.append(_time_backends(current))
    findings.append(database := await _try_database(current, clock))
    if database.verdict != "bad":
        if not current.database_url.startswith("sqlite"):
            findings.append(await _compare_clocks(current, clock))
        elif told := _judge_mode(Path(current.database_url.removeprefix("sqlite:///"))):
            findings.append(told)
    return findings


def _judge_server(clock: Clock) -> Finding:
    """What is to be said of hypercorn.toml, and of its certificate what no start looks at: its time."""
    try:
        config = hypercorn_toml.read()
    except StartRefused as refusal:
        return Finding("server", "bad", str(refusal))
    if not config.certfile:
        return Finding("server", "good", "hypercorn.toml can be served, without a certificate")
    path = Path(config.certfile)
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())  # the server's own, and those that sign it
        begins = max(each.not_valid_before_utc for each in certificates)
        ends = min(each.not_valid_after_utc for each in certificates)
    except (ValueError, x509.InvalidVersion):  # OpenSSL takes some that this library does not, as of the year 0
        return Finding("server", "note", f"until when {path} is valid cannot be read")
    now = datetime.fromtimestamp(clock(), UTC)
    if now < begins:
        told = f"a certificate in {path} is not valid before {begins:{_MOMENT}}, and until then clients refuse it"
        return Finding("server", "note", f"{told}; is this machine's clock right?")
    if now > ends:
        told = f"a certificate in {path} expired at {ends:{_MOMENT}}, and clients refuse it"
        return Finding("server", "note", f"{told}; renew it, and send SIGHUP")
    return Finding("server", "good", f"hypercorn.toml can be served, with a certificate valid until {ends:{_MOMENT}}")


def _weigh_proxies(current: Settings) -> Finding:
    # Which proxies there are no setting tells; a service notices it when a forwarding header comes, and logs that.
    if not current.trusted_proxies:
        told = "none is trusted: who connects is who asks; behind a proxy set WATCHWORD_TRUSTED_PROXIES"
        return Finding("proxies", "good", told)
    told = f"trusted to say who asks: {', '.join(map(str, current.trusted_proxies))}"
    if any(network.prefixlen < _WIDE[network.version] for network in current.trusted_proxies):
        return Finding("proxies", "note", f"{told}; who is in there can be anybody: name the proxies alone")
    return Finding("proxies", "good", told)


def _weigh_parameters(current: Settings) -> Finding:
    chosen = f"Argon2id with {current.hash_memory_kib} KiB and {current.hash_passes} passes"
    if any(current.hash_memory_kib >= memory and current.hash_passes >= passes for memory, passes, _ in GUIDES):
        return Finding("hashing", "good", chosen)
    return Finding("hashing", "note", f"{chosen} is less than OWASP asks for; 19456 KiB and 2 passes are enough")


def _time_backends(current: Settings) -> Finding:
    parameters = Parameters(memory_kib=current.hash_memory_kib, passes=current.hash_passes)
    fastest, *others = backends.time_backends(parameters, tries=5)
    times = ", ".join(f"{timing.backend.name} {timing.seconds * 1000:.1f} ms" for timing in (fastest, *others))
    if fastest.backend.name == "argon2-cffi":
        return Finding("hashing", "good", f"one hash: {times}; the first is used")
    advice = "argon2-cffi built for this CPU is faster: `make setup` builds it where a C compiler is, if it has not yet"
    return Finding("hashing", "note", f"one hash: {times}; the first is used; {advice}")


def _judge_mode(path: Path) -> Finding | None:
    """What is to be said of an SQLite file that is not its owner's alone."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return None
    told = f"{path} is open to others (mode {mode:04o}), and holds the password hashes"
    return Finding("database", "note", f"{told}; run chmod 600 on it, and on its -wal and -shm where they are")


async def _compare_clocks(current: Settings, clock: Clock) -> Finding:
    """Hold this machine's clock against the one that all nodes have in common."""
    try:
        async with instruments.open_store(current) as store:
            theirs = await store.read(inspection.clock)
    except (StartRefused, Unavailable) as fault:
        return Finding("clock", "bad", str(fault))
    ahead = clock() - theirs
    if abs(ahead) < _CLOCKS_DIFFER:
        return Finding("clock", "good", "as the database's")
    told = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the database's: let NTP set both"
    return Finding("clock", "note", f"{told}; nodes that differ by REFRESH_GRACE take a repeated refresh for a theft")


async def _judge_by_the_trail(current: Settings, store: Store) -> Finding | None:
    """What is to be said of a secret where no stored key, as under HS256, but the audit trail knows another."""
    try:
        await recognise(store, seals=Seals(current.secret_key, current.secret_key_fallbacks))
    except KeyRefused as refusal:
        return Finding("keys", "bad", f"WATCHWORD_SECRET_KEY: {refusal}")
    return None


async def _judge_sequences(store: Store) -> Finding | None:
    """What is to be said of PostgreSQL where rows came without the numbers that were given to them, or out of turn."""
    for sequence in await store.read(sequences.odd):
        told = f"{sequence} gives numbers out of turn, and others miss what has a smaller one"
        return Finding("database", "bad", f"{told}; do {sequences.in_turn(sequence)}")
    unseen = []
    for table, sequence in (await store.read(sequences.of_tables)).items():
        place = await store.read(partial(sequences.place, table=table, sequence=sequence))
        if place is Place.BELOW:
            told = (
                f"the next number for {table} is below those of its rows, as in a logical replica or a restore of data"
            )
            return Finding("database", "bad", f"{told}; do {sequences.caught_up(table, sequence)}")
        if place is Place.UNSEEN:
            unseen.append(table)
    if unseen:
        told = f"whether the next number for {' and for '.join(unseen)} is above those of the rows"
        return Finding("database", "note", f"{told} only the owner can see: have them run `watchword doctor`")
    return None


async def _try_database(current: Settings, clock: Clock) -> Finding:
    kind = current.database_url.partition(":")[0]
    try:
        async with instruments.open_store(current) as store:
            await inspection.check(store)
            await inspection.rehearse(store)
            numbers = await _judge_sequences(store) if store.dialect == "postgresql" else None
            if numbers is not None and numbers.verdict == "bad":
                return numbers
            keys = instruments.build_keys(current)
            await keyring.catch_up(keys, store=store, clock=clock)
            if not keys.count and (strange := await _judge_by_the_trail(current, store)):
                return strange
    except SchemaRefused as refusal:
        return Finding("database", "bad", str(refusal))
    except StartRefused as refusal:
        advice = "" if kind == "sqlite" else "; see that it runs and lets this user in"
        return Finding("database", "bad", f"{refusal}{advice}")
    except Unavailable as fault:
        return Finding("database", "bad", f"WATCHWORD_DATABASE_URL: {fault}")
    except KeyRefused as refusal:
        add = "add the one that it was sealed under to WATCHWORD_SECRET_KEY_FALLBACKS, or as a line to its _FILE"
        advice = f"{add}, unless it has leaked: docs/keys.md has what to do then"
        return Finding("keys", "bad", f"WATCHWORD_SECRET_KEY: {refusal}; {advice}")
    told = f"{kind} is there, at the right schema, with {keys.count} key(s) that open"
    if numbers is not None:
        return replace(numbers, message=f"{told}; {numbers.message}")
    return Finding("database", "good", told)
