"""The settings: environment variables ``WATCHWORD_<NAME>``, read and checked once, when a process of ours starts.

Each may come as ``WATCHWORD_<NAME>_FILE`` instead, the name of a file that holds the value, as container platforms hand
over secrets. Only the front door (``app``, ``asgi``, ``instruments``, and ``cli`` with ``diagnosis`` and
``calibration``) loads this file; all others are handed what they need.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Self, TypeVar

from watchword import database_urls
from watchword.environment import PREFIX, text_in, text_of
from watchword.errors import SettingRefused
from watchword.issuers import address
from watchword.networks import Network, networks
from watchword.processors import cores
from watchword.shared_secrets import is_guessable, is_path, is_template

SECRET_FILE: Final = "secret_key"
DATABASE_FILE: Final = "watchword.db"
DEFAULT_METRICS_BIND: Final[tuple[str, int] | None] = ("127.0.0.1", 9464)
MIN_SECRET_BYTES: Final = 32
ALGORITHMS: Final = ("ES256", "RS256", "EdDSA", "HS256")
# No more than ``passwords.encoded`` reads back, or nobody could log in with a hash that was just stored.
MAX_HASH_MEMORY_KIB: Final = 1_048_576
MAX_HASH_PASSES: Final = 64
MAX_HASH_WORK_KIB: Final = 4 * MAX_HASH_MEMORY_KIB
MAX_ISSUER: Final = 200
MAX_AUDIENCE: Final = 100
"""Bytes in a token. With more, that of the longest name and scope would be longer than ``tokens`` takes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides (``docs/settings.md``). Lifetimes are seconds, memory is KiB.

    Attributes:
        instance: the folder of the generated secret and of the SQLite file.
        database_url: ``sqlite:///PATH`` or ``postgresql://…``.
        secret_key: seals signing keys, keys the MAC of refresh tokens and, under HS256, signs.
        secret_key_fallbacks: its predecessors, which still open and verify.
        algorithm: what signs access tokens: one of ``ALGORITHMS``.
        issuer: the exact ``iss`` of our tokens.
        audience: the exact ``aud``, or None for none, which is the default under HS256.
        access_token_lifetime: from ``iat`` to ``exp``.
        refresh_idle_lifetime: from a refresh, or the login, to the end of a session that is not refreshed again.
        session_lifetime: from login to the session's end, however often it is refreshed.
        refresh_grace: for how long after a refresh the token that was exchanged gets the same answer again.
        hash_memory_kib: Argon2id's memory.
        hash_passes: Argon2id's passes.
        hash_threads: how many hashes this process computes at once.
        hash_max_wait: for how long a login may wait for its hash before it is refused.
        password_min_length: code points of a new password.
        trusted_proxies: the networks of the proxies whose ``X-Forwarded-For`` is believed.
        audit_retention: for how many days audit events are kept.
        metrics_bind: host and port of the listener for ``/metrics``, the first worker's; None for no listener.
        api_docs: whether ``/openapi.json`` and ``/docs`` are there.
    """

    instance: Path
    database_url: str = field(repr=False)
    secret_key: bytes = field(repr=False)
    secret_key_fallbacks: tuple[bytes, ...] = field(repr=False)
    algorithm: str
    issuer: str
    audience: str | None
    access_token_lifetime: int
    refresh_idle_lifetime: int
    session_lifetime: int
    refresh_grace: int
    hash_memory_kib: int
    hash_passes: int
    hash_threads: int
    hash_max_wait: float
    password_min_length: int
    trusted_proxies: tuple[Network, ...]
    audit_retention: int
    metrics_bind: tuple[str, int] | None
    api_docs: bool

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check all settings.

        Raises:
            SettingRefused: the first one that is missing or wrong.
        """
        source = _Source(environ)
        instance = instance_folder(environ)
        algorithm = source.get("ALGORITHM", _one_of(*ALGORITHMS), "ES256")
        hash_memory_kib = source.get("HASH_MEMORY_KIB", _integer(8, MAX_HASH_MEMORY_KIB), 19_456)
        default_audience = None if algorithm == "HS256" else "watchword"
        return cls(
            instance=instance,
            database_url=database_url(environ),
            secret_key=_secret_key(source, instance),
            secret_key_fallbacks=source.get_each("SECRET_KEY_FALLBACKS", secret),
            algorithm=algorithm,
            issuer=source.get("ISSUER", _issuer, "http://127.0.0.1:8000"),
            audience=source.get("AUDIENCE", _audience, default_audience),
            access_token_lifetime=source.get("ACCESS_TOKEN_LIFETIME", _integer(1, 86_400), 900),
            refresh_idle_lifetime=source.get("REFRESH_IDLE_LIFETIME", _integer(60, 31_536_000), 604_800),
            session_lifetime=source.get("SESSION_LIFETIME", _integer(60, 31_536_000), 2_592_000),
            refresh_grace=source.get("REFRESH_GRACE", _integer(0, 300), 10),
            hash_memory_kib=hash_memory_kib,
            hash_passes=source.get("HASH_PASSES", _integer(1, most_passes(hash_memory_kib)), 2),
            hash_threads=source.get("HASH_THREADS", _integer(1, 1024), cores()),
            hash_max_wait=source.get("HASH_MAX_WAIT", _seconds(0.05, 60.0), 1.0),
            password_min_length=source.get("PASSWORD_MIN_LENGTH", _integer(8, 1024), 15),
            trusted_proxies=source.get("TRUSTED_PROXIES", networks, ()),
            audit_retention=source.get("AUDIT_RETENTION", _integer(1, 3650), 90),
            metrics_bind=source.get("METRICS_BIND", _address_or_off, DEFAULT_METRICS_BIND),
            api_docs=source.get("API_DOCS", _switch, True),
        )


def most_passes(memory_kib: int) -> int:
    """The highest HASH_PASSES with so much HASH_MEMORY_KIB."""
    return min(MAX_HASH_PASSES, MAX_HASH_WORK_KIB // memory_kib)


def instance_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the generated secret and of the SQLite file, whether or not it exists yet.

    Raises:
        SettingRefused: not a path that can stand in a URL.
    """
    try:
        folder = Path(_Source(environ).get("INSTANCE", _path, "instance")).absolute()
    except FileNotFoundError:
        raise SettingRefused("INSTANCE", "is relative to the current folder, which has been removed") from None
    if database_urls.MARKS & set(str(folder)):
        raise SettingRefused("INSTANCE", "must be a path without ?, # and %, as it becomes part of a database URL")
    return folder


def database_url(environ: Mapping[str, str] = os.environ) -> str:
    """Where the database is: DATABASE_URL, or a SQLite file in the instance folder.

    Raises:
        SettingRefused: neither SQLite nor PostgreSQL.
    """
    default = f"sqlite:///{instance_folder(environ) / DATABASE_FILE}"
    return _Source(environ).get("DATABASE_URL", _database_url, default)


def unknown_names(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that look like settings and are none, each with the name that was probably meant.

    They are told and not refused: some platforms set variables that begin with a service's name.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
    unknown = (name for name in environ if name.startswith(PREFIX) and name.removesuffix("_FILE") not in known)
    return {name: next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), None) for name in sorted(unknown)}


class _Source:
    """The environment, one setting at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str, read: Callable[[str], T], default: T) -> T:
        """The setting, or the default where it is not set.

        Raises:
            SettingRefused: set twice, its file without a text, or its value not what ``read`` takes.
        """
        text = text_of(name, self._environ)
        if text is None:
            return default
        try:
            return read(text)
        except ValueError as fault:
            raise SettingRefused(name, str(fault)) from None

    def get_each(self, name: str, read: Callable[[str], T]) -> tuple[T, ...]:
        """Each part of a setting: between the commas of the variable, or on a line of the file, commas included.

        Raises:
            SettingRefused: as ``get`` does.
        """
        separator = "," if f"{PREFIX}{name}" in self._environ else "\n"

        def read_each(text: str) -> tuple[T, ...]:
            return tuple(read(part) for line in text.split(separator) if (part := line.strip()))

        return self.get(name, read_each, ())


def _secret_key(source: _Source, instance: Path) -> bytes:
    given = source.get("SECRET_KEY", secret, None)
    if given is not None:
        return given
    path = instance / SECRET_FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = text_in(path).strip()
    except FileNotFoundError:
        raise SettingRefused("SECRET_KEY", f"is not set and {path} does not exist; run `watchword init`") from None
    except OSError as fault:
        raise SettingRefused("SECRET_KEY", f"{path} cannot be read ({type(fault).__name__})") from None
    except ValueError as fault:
        raise SettingRefused("SECRET_KEY", f"{path} {fault}") from None
    if mode & 0o077:
        raise SettingRefused("SECRET_KEY", f"{path} is open to others (mode {mode:04o}); run chmod 600 on it")
    try:
        return secret(text)
    except ValueError as fault:
        raise SettingRefused("SECRET_KEY", f"in {path}: {fault}") from None


def secret(text: str) -> bytes:
    """Read a root secret.

    Raises:
        ValueError: too short, or nothing that anybody made at random, as is a file's name. The message holds nothing of
            the secret.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:  # its message would hold a part of the secret
        raise ValueError("is not UTF-8") from None
    if is_path(text):
        raise ValueError("looks like a file's name; the setting for one ends with _FILE")
    if is_template(text):
        raise ValueError("looks like a template that nothing has filled in")
    if len(data) < MIN_SECRET_BYTES:
        raise ValueError(f"is shorter than {MIN_SECRET_BYTES} bytes; make one with `openssl rand -base64 48`")
    if text != text.strip() or len(text.splitlines()) > 1:  # it could be no fallback later
        raise ValueError("has more than one line, or blanks around it; make one with `openssl rand -base64 48`")
    if is_guessable(data):
        raise ValueError("can be guessed; make one with `openssl rand -base64 48`")
    return data


def _text(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("is empty, has spaces around it or characters that cannot be printed")
    return text


def _path(text: str) -> str:
    database_urls.expect_filled(text)
    return _text(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) or not low <= float(text) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(text)

    return read


def _address_or_off(text: str) -> tuple[str, int] | None:
    if text == "off":
        return None
    # Exactly one host: an empty one would mean every network that this machine is in.
    parts = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if parts is None or not 0 < int(parts[3]) < 2**16:
        raise ValueError("must be HOST:PORT, with brackets around an IPv6 address, or off")
    return parts[1] or parts[2], int(parts[3])


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text == "on"


def _issuer(text: str) -> str:
    if len(text) > MAX_ISSUER:
        raise ValueError(f"has more than {MAX_ISSUER} characters")
    address(text)
    return text


def _audience(text: str) -> str:
    if len(json.dumps(_text(text), ensure_ascii=False).encode()) - len('""') > MAX_AUDIENCE:
        raise ValueError(f"has more than {MAX_AUDIENCE} bytes, of which a token gives two to each quote and backslash")
    return text


def _database_url(text: str) -> str:
    return database_urls.checked(_text(text))  # in which no tab or line end is left that a reader of URLs drops unseen
