"""A database's URL: which ones are taken, and what the driver is told of a PostgreSQL one.

No message repeats any part of a URL but the name of an option, for it may hold a password.
"""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

MARKS: Final = frozenset("?#%")
"""What the libraries that read a SQLite URL understand in different ways."""

_UNFILLED: Final = re.compile(r"[~`]|.*(?:\$[({A-Za-z_]|\{\{)", re.DOTALL)
"""A path written for a shell or a template: elsewhere that very folder would be made, with the secret in it."""

_TLS_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey"})
_TLS_OPTIONS: Final = frozenset({"sslmode", *_TLS_FILES})
_OPTIONS: Final = frozenset({"host", "target_session_attrs", *_TLS_OPTIONS})
"""Those that we heed."""
_PLACE_OPTIONS: Final = frozenset(
    {"database", "dbname", "hostaddr", "options", "passfile", "password", "port", "service", "servicefile", "user"}
)
"""What says to psql, or to asyncpg, which database is meant and as whom; we would go elsewhere without a word."""


def checked(text: str) -> str:
    """The URL as it is, where it names a SQLite file or a PostgreSQL database, and says nothing that is passed over.

    Raises:
        ValueError: it does not.
    """
    url = _split(text)
    if url.scheme == "sqlite":
        path = text.removeprefix("sqlite:///")  # in small letters, as the store reads it
        # What begins with "file:" SQLite may take for a URI.
        if path in {text, ""} or str(Path(path)).startswith("file:") or ":memory:" in text or MARKS & set(text):
            raise ValueError(
                "must be sqlite:///PATH, with nothing before or behind the path, without file:, ?, # and %"
            )
        expect_filled(path)
    elif text.startswith(("postgresql://", "postgres://")):
        if "#" in text:
            raise ValueError("has a #, behind which nothing would be read; in a password write %23")
        if not url.path.strip("/"):
            raise ValueError("names no database; write postgresql://user:password@host:5432/database")
        _expect_options(url)
        _expect_one_place(url)
    else:
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return text


def expect_filled(path: str) -> None:
    """See that a path has nothing in it for a shell or a template, as a file has that neither has read.

    Raises:
        ValueError: it has.
    """
    if path.startswith(("'", '"')):
        raise ValueError("begins with a quote, which only a shell would have taken away")
    if _UNFILLED.match(path):
        raise ValueError("has a ~, a variable or a command that only a shell or a template would have filled in")


def each_host(url: str) -> list[str]:
    """The URLs for asyncpg of the hosts that one names, before its path or as an option, perhaps with ports before it.

    Without what other programs like to read in a URL, which asyncpg would take for server settings. Of several hosts
    the one that takes writes is meant, though the URL does not say so: where the first is silent for a moment, a
    standby would be taken for as long as connections to it last.
    """
    parts = urlsplit(url)
    options = {name: value for name, value in parse_qsl(parts.query) if name in _OPTIONS}
    account, at, before = parts.netloc.rpartition("@")
    are_behind = "host" in options
    hosts = [_in_brackets(host) for host in (options["host"] if are_behind else before).split(",")]
    ports = before.replace(":", "") if are_behind else ""  # which is all that is there; asyncpg takes them for hosts
    if len(hosts) > 1:
        options = {"target_session_attrs": "read-write", **options}
    if not ports and "," in os.environ.get("PGPORT", ""):  # asyncpg counts a list of ports against all hosts
        hosts = [",".join(hosts)]
    if not are_behind and before.startswith(":") and "," not in before:
        # Before the path asyncpg would take it for that of a host without a name, and pass over PGHOST.
        return [_joined(parts, f"{account}{at}", {**options, "port": before[1:]})]
    if not are_behind:
        return [_joined(parts, f"{account}{at}{host}", options) for host in hosts]
    port_of_each = ports.split(",") if "," in ports else [ports] * len(hosts)
    places = [{"host": host} for host in hosts]
    if ports:
        for place, port in zip(places, port_of_each, strict=True):
            place["port"] = _port_in(place["host"]) or port or "5432"  # whatever PGPORT says, as to psql
    return [_joined(parts, f"{account}{at}", {**options, **place}) for place in places]


def unread_file(url: str) -> str | None:
    """The option that names a file which this process cannot read, if any: the driver does not say which it wanted.

    None of a host that may be a socket in a folder, which it does not name either.
    """
    parts = urlsplit(url)
    options = parse_qsl(parts.query)
    host = unquote(parts.hostname or dict(options).get("host", "/"))
    if host.startswith("/"):
        return None
    return next((name for name, path in options if name in _TLS_FILES and not os.access(path, os.R_OK)), None)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        for host in url.netloc.rpartition("@")[2].split(","):  # PostgreSQL's may be several
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise ValueError("is not a URL") from None
    return url


def _expect_options(url: SplitResult) -> None:
    """See that nobody asks for TLS, or for another database, in words that are passed over or read in two ways."""
    options = parse_qsl(url.query, keep_blank_values=True)
    names = [name for name, _ in options]
    for name, value in options:
        if name.lower() in _PLACE_OPTIONS:
            meant = "postgresql://user:password@host:port/database"
            raise ValueError(f"has the option {name!r}; which database is meant must stand before the '?', as {meant}")
        if name not in _OPTIONS and name.lower() in _OPTIONS:
            raise ValueError(f"has the option {name!r}; write it in small letters")
        if name not in _OPTIONS and not name.lower().startswith("ssl"):
            continue  # passed over, and never told: it may be a part of a password that nobody escaped
        if not value:
            raise ValueError(f"has the option {name!r} without a value")
        if names.count(name) > 1:
            raise ValueError(f"has the option {name!r} twice")
        if name == "target_session_attrs" and value not in {"primary", "read-write"}:
            raise ValueError(f"has the option {name!r}, which must be primary or read-write")
        if name not in _OPTIONS:
            raise ValueError(f"has the option {name!r}; of TLS there are {', '.join(sorted(_TLS_OPTIONS))}")


def _expect_one_place(url: SplitResult) -> None:
    """See that the hosts stand before the path or behind it, and that it is plain whose the ports are."""
    behind = dict(parse_qsl(url.query)).get("host")
    if behind is None:
        return
    before, hosts = url.netloc.rpartition("@")[2].split(","), behind.split(",")
    if any(urlsplit(f"//{each}").hostname for each in before):  # psql would go to the latter, asyncpg to the former
        raise ValueError("has the option 'host' beside a host")
    if len(before) not in {1, len(hosts)}:
        told = f"has {len(before)} ports before the path and {len(hosts)} host(s) behind it"
        raise ValueError(f"{told}; write one port for all, or one for each")


def _in_brackets(host: str) -> str:
    """A host as asyncpg wants it, which takes for a port what follows an IPv6 address's first colon; psql does not."""
    return f"[{host}]" if host.count(":") > 1 and host[0] not in "[/" else host


def _port_in(host: str) -> str:
    """The port that an option has behind a host, if any; a socket's folder has none."""
    return "" if host.startswith("/") else host.rpartition("]")[2].partition(":")[2]


def _joined(parts: SplitResult, netloc: str, options: dict[str, str]) -> str:
    return parts._replace(netloc=netloc, query=urlencode(options)).geturl()
