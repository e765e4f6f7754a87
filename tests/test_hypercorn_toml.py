"""Claims about hypercorn.toml: which file it is, and that nothing in it is passed over without a word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypercorn.config import Config

from tests.certificates import certified
from watchword import hypercorn_toml, worker
from watchword.errors import StartRefused

ROOT = Path(__file__).parents[1]
HTTP1 = "alpn_protocols = ['http/1.1']\n"


def test_a_checkout_is_served_by_its_own_file() -> None:
    """From an editable installation it is the file at the top, so that who edits it is heeded."""
    assert hypercorn_toml.find() == ROOT / "hypercorn.toml"


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is read, still empty."""
    path = tmp_path / "hypercorn.toml"
    path.touch()
    monkeypatch.setattr(hypercorn_toml, "find", lambda: path)
    return path


def test_each_option_of_the_shipped_file_is_one_of_ours() -> None:
    """Whoever edits it begins with what is taken."""
    config = hypercorn_toml.read()
    assert (config.workers, config.worker_class, config.accesslog) == (0, "uvloop", "")


def test_an_option_without_a_use_is_refused_by_name(toml: Path) -> None:
    """Hypercorn takes a slip for a new attribute, and of its own options some would be no more than believed."""
    theirs = "insecure_bind quic_bind pid_path use_reloader access_log_format max_requests loglevel read_timeout"
    known = {name for name in dir(Config) if not name.startswith("_")}
    assert set(theirs.split()) <= known - hypercorn_toml.OPTIONS.keys()
    for name in (known | {"keep_alive_timeot"}) - hypercorn_toml.OPTIONS.keys():
        toml.write_text(f"{name} = 5\n")
        with pytest.raises(StartRefused, match=f"^hypercorn.toml: '{name}' is no option"):
            hypercorn_toml.read()


SECONDS = (["1", "0.5", "86400"], ["0", "-1", "nan", "inf", "86401", "'5'", "true", f"1{'0' * 400}"])
COUNT = (["1", "2147483647"], ["0", "-1", "1.5", "nan", "'100'", "true", "2147483648"])
FROM_NOTHING = (["0", "7"], ["-1", "1.5", "'x'", "true"])
TEXT = (["'x'"], ["5", "['x']", "true", r'"a\nb"'])
TEXTS = (["[]", "['x', 'y']"], ["5", "'x'", "[5]", r'["a\r\nb: c"]'])
SWITCH = (["true", "false"], ["'x'", "0"])
VALUES = {
    "bind": (
        ["'127.0.0.1:0'", "['[::1]:8000', 'unix:/run/w', 'fd://3']"],
        ["5", "[5]", "[]", "''", "':8123'", "'127.0.0.1'", "['127.0.0.1:0', '[]:8123']"],
    ),
    "backlog": COUNT,
    "umask": (["0", "0o777"], ["-1", "0o1000", "'x'"]),
    "user": FROM_NOTHING,
    "group": FROM_NOTHING,
    "keyfile_password": TEXT,
    "certfile": ([], ["'/dev/null'", "'/'", *TEXT[1]]),
    "keyfile": ([], ["'/dev/null'", "'/'", *TEXT[1]]),
    "ca_certs": ([], ["'/dev/null'", "'/'", *TEXT[1]]),
    "ciphers": (["'ECDHE+AESGCM'"], TEXT[1]),
    "verify_mode": (["1", "2"], ["0", "3", "true", "'x'"]),
    "verify_flags": (["0", "12", "32"], ["1", "33", "2147483647", *FROM_NOTHING[1]]),
    "alpn_protocols": TEXTS,
    "ssl_handshake_timeout": SECONDS,
    "startup_timeout": (["1", "86400"], ["0.5", *SECONDS[1]]),
    "keep_alive_timeout": SECONDS,
    "graceful_timeout": (["0", "1", "86400"], ["-1", "nan", "inf", "'x'", "true"]),
    "shutdown_timeout": SECONDS,
    "keep_alive_max_requests": COUNT,
    "h11_max_incomplete_size": (["16384"], ["0", "100", "'16384'", "nan"]),
    "websocket_max_message_size": COUNT,
    "server_names": TEXTS,
    "root_path": (["''", "'/auth'", "'/a/zoë'"], ["'auth'", "'/'", "'/a/'", "'/a b'", "'/a?b'", "'/#'", "'/%C3'", "5"]),
    "include_date_header": SWITCH,
    "include_server_header": SWITCH,
    "workers": (["0"], ["3", "'x'"]),
    "worker_class": (["'uvloop'", "'asyncio'"], ["'trio'", "5", "['uvloop']"]),
    "debug": SWITCH,
    "accesslog": (["''"], ["'-'", "'/nowhere/x'", "5"]),
    "errorlog": (["'-'"], ["''", "'/nowhere/x'", "5"]),
    "logconfig_dict": (["{ version = 1, loggers = {} }"], ["5", "{ version = 1, keep_alive_timeout = 5 }"]),
}


def with_all_others(folder: Path) -> dict[str, str]:
    """Options that none of ours is without a use beside."""
    certified(folder, "localhost")
    certificate, key = f"'{folder}/cert.pem'", f"'{folder}/key.pem'"
    tls = {"certfile": certificate, "keyfile": key, "alpn_protocols": "['http/1.1']"}
    return {**tls, "ca_certs": certificate, "verify_mode": "2", "user": "0", "group": "0"}


def lines(options: dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in options.items())


@pytest.mark.parametrize("name", sorted(hypercorn_toml.OPTIONS))
def test_an_option_is_of_its_kind_or_refused_by_name(toml: Path, tmp_path: Path, name: str) -> None:
    """Hypercorn believes anything: with a text for a number workers would say that they serve, and be deaf."""
    good, bad = VALUES[name]
    others = with_all_others(tmp_path)
    for value in good:
        toml.write_text(lines({**others, name: value}))
        hypercorn_toml.read()
    for value in bad:
        toml.write_text(f"{name} = {value}\n")
        with pytest.raises(StartRefused, match=f"^hypercorn.toml: {name} must be [^\n]+$"):
            hypercorn_toml.read()


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"certfile"}, "keyfile"),
        ({"keyfile"}, "certfile"),
        ({"ca_certs", "verify_mode"}, "certfile"),
        ({"ciphers"}, "certfile"),
        ({"ssl_handshake_timeout"}, "certfile"),
        ({"keyfile_password"}, "keyfile"),
        ({"verify_flags"}, "ca_certs"),
        ({"certfile", "keyfile", "ca_certs"}, "verify_mode"),
        ({"certfile", "keyfile", "verify_mode"}, "ca_certs"),
        ({"user"}, "group"),
        ({"group"}, "user"),
    ],
)
def test_an_option_without_the_one_that_it_needs_is_refused(
    toml: Path, tmp_path: Path, given: set[str], missing: str
) -> None:
    """What was to be encrypted, and for some alone, would be in the clear for everybody; or the other way nobody's."""
    options = {**with_all_others(tmp_path), "ciphers": "'ECDHE+AESGCM'", "ssl_handshake_timeout": "5"}
    options |= {"keyfile_password": "'x'", "verify_flags": "32"}
    toml.write_text(lines({name: value for name, value in options.items() if name in given | {"alpn_protocols"}}))
    with pytest.raises(StartRefused, match=rf"^hypercorn\.toml: \w+ is no use without {missing}$"):
        hypercorn_toml.read()
    toml.write_text(lines(options))
    hypercorn_toml.read()


@pytest.mark.parametrize("name", ["certfile", "keyfile", "ca_certs"])
def test_a_file_that_is_not_there_is_named(toml: Path, tmp_path: Path, name: str) -> None:
    """Of three files ``ssl`` says only that there is none."""
    toml.write_text(lines({**with_all_others(tmp_path), name: "'/nowhere/x.pem'"}))
    told = rf"^hypercorn\.toml: {name} '/nowhere/x\.pem' cannot be read \(No such file or directory\)$"
    with pytest.raises(StartRefused, match=told):
        hypercorn_toml.read()


@pytest.mark.parametrize("removed", [False, True], ids=["there", "removed"])
def test_a_relative_path_is_told_with_its_folder(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, removed: bool
) -> None:
    """It begins where the command was started, not beside hypercorn.toml: the refusal says in which folder that was,
    and is none the less a line where that folder has been removed.
    """
    toml.write_text("certfile = 'certs/c.pem'\n")
    folder = tmp_path / "started here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    if removed:
        folder.rmdir()
    path = "certs/c.pem" if removed else f"{folder}/certs/c.pem"
    told = f"hypercorn.toml: certfile '{path}' cannot be read (No such file or directory)"
    with pytest.raises(StartRefused, match=f"^{re.escape(told)}$"):
        hypercorn_toml.read()


@pytest.mark.parametrize(
    "lines",
    ["bind = [", f"bind = {'[' * 3000}", "certfile = 5\nkeyfile = 5", f"certfile = 'x'\nkeyfile = 'x'\n{HTTP1}"],
)
def test_what_cannot_be_read_is_one_line(toml: Path, lines: str) -> None:
    """What else is wrong is said as clearly: no TOML, or files that are none."""
    toml.write_text(f"{lines}\n")
    with pytest.raises(StartRefused, match=r"^hypercorn\.toml: [^\n]+$"):
        hypercorn_toml.read()


def test_a_worker_whose_certificate_does_not_fit_does_not_say_that_it_serves(toml: Path, tmp_path: Path) -> None:
    """SIGHUP between the two files that a renewal writes would end every good worker for one that cannot serve."""
    certified(tmp_path, "localhost")
    toml.write_text(f"certfile = '{tmp_path}/cert.pem'\nkeyfile = '{tmp_path}/key.pem'\n{HTTP1}")
    assert hypercorn_toml.read().ssl_enabled
    former = (tmp_path / "key.pem").read_bytes()
    certified(tmp_path, "localhost")
    (tmp_path / "key.pem").write_bytes(former)
    for told in ("the certificate or its key cannot be used", "keyfile '.+/key.pem' cannot be read"):
        with pytest.raises(SystemExit, match=told):
            worker.create_app()
        (tmp_path / "key.pem").unlink(missing_ok=True)


def test_nobody_is_asked_for_the_password_of_a_key(toml: Path, tmp_path: Path) -> None:
    """A start would wait for it, at the terminal of whoever is there; so would SIGHUP, in the supervisor's."""
    certified(tmp_path, "localhost")
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"of one key")
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*encodings, encryption))
    lines = f"certfile = '{tmp_path}/cert.pem'\nkeyfile = '{tmp_path}/key.pem'\n{HTTP1}"
    toml.write_text(lines)
    program = "import sys, pathlib; from watchword import hypercorn_toml as toml"
    program += "; toml.find = lambda: pathlib.Path(sys.argv[1]); toml.read()"
    done = subprocess.run(
        [sys.executable, "-c", program, str(toml)],
        input=b"of one key\n",
        start_new_session=True,
        capture_output=True,
        check=False,
    )
    assert b"StartRefused: hypercorn.toml: the certificate or its key cannot be used" in done.stderr
    toml.write_text(f"{lines}keyfile_password = 'of one key'\n")
    assert hypercorn_toml.read().ssl_enabled


@pytest.mark.parametrize("line", ["", "alpn_protocols = ['h2', 'http/1.1']"], ids=["left out", "asked for"])
def test_http_2_is_not_spoken_under_tls_either(toml: Path, tmp_path: Path, line: str) -> None:
    """It is what Hypercorn offers of itself: without the line its own HTTP/2 would stand beside our HTTP/1.1."""
    certified(tmp_path, "localhost")
    toml.write_text(f"certfile = '{tmp_path}/cert.pem'\nkeyfile = '{tmp_path}/key.pem'\n{line}")
    with pytest.raises(StartRefused, match=r"give alpn_protocols = \["):
        hypercorn_toml.read()
