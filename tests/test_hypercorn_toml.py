"""Claims about hypercorn.toml: which file it is, and that nothing in it is passed over without a word."""

from pathlib import Path

import pytest

from tests.certificates import certified
from watchword import hypercorn_toml, worker
from watchword.errors import StartRefused

ROOT = Path(__file__).parents[1]


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


@pytest.mark.parametrize("kind", ["insecure_bind", "quic_bind"])
def test_only_one_kind_of_address_is_served(toml: Path, kind: str) -> None:
    """Nobody would listen at the others, and `watchword serve` would say that it serves."""
    toml.write_text(f"{kind} = '127.0.0.1:0'\n")
    with pytest.raises(StartRefused, match="insecure_bind and quic_bind are not served"):
        hypercorn_toml.read()


@pytest.mark.parametrize("half", ["certfile", "keyfile"])
def test_half_a_certificate_is_refused(toml: Path, half: str) -> None:
    """What was to be encrypted would be in the clear."""
    toml.write_text(f"{half} = 'cert.pem'\n")
    with pytest.raises(StartRefused, match="certfile and keyfile go together"):
        hypercorn_toml.read()


@pytest.mark.parametrize(
    "lines",
    [
        "bind = [",
        "keep_alive_timeout = '5'",
        "backlog = 'many'",
        "graceful_timeout = true",
        "certfile = 5\nkeyfile = 5",
    ],
)
def test_what_makes_no_sense_is_one_line(toml: Path, lines: str) -> None:
    """A time that is a text would end each connection, of workers that say that they serve."""
    toml.write_text(f"{lines}\n")
    with pytest.raises(StartRefused, match=r"hypercorn\.toml: "):
        hypercorn_toml.read()


def test_a_worker_whose_certificate_does_not_fit_does_not_say_that_it_serves(toml: Path, tmp_path: Path) -> None:
    """SIGHUP between the two files that a renewal writes would end every good worker for one that cannot serve."""
    certified(tmp_path, "localhost")
    toml.write_text(f"certfile = '{tmp_path}/cert.pem'\nkeyfile = '{tmp_path}/key.pem'\n")
    assert hypercorn_toml.read().ssl_enabled
    former = (tmp_path / "key.pem").read_bytes()
    certified(tmp_path, "localhost")
    (tmp_path / "key.pem").write_bytes(former)
    for _ in range(2):
        with pytest.raises(SystemExit, match="the certificate or its key cannot be used"):
            worker.create_app()
        (tmp_path / "key.pem").unlink(missing_ok=True)
