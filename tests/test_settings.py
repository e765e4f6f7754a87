"""Claims about the settings: what is wrong stops the start, by name, and no secret is ever shown."""

import os
import stat
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest

from watchword.database_urls import each_host
from watchword.errors import SettingRefused
from watchword.guard.issuer import Issuer
from watchword.passwords import EncodedHash, Parameters
from watchword.processors import cores
from watchword.settings import (
    MAX_AUDIENCE,
    MAX_HASH_MEMORY_KIB,
    MAX_HASH_PASSES,
    MAX_ISSUER,
    SECRET_FILE,
    Settings,
    database_url,
    instance_folder,
    unknown_names,
)

GOOD_SECRET = "kV9w-Qz3_Xr7LmT1-bN5y_Hc8JpD2fGs"
OLDER_SECRET = "Wm4x_Rt6-Ya0KqB9_vE2n-Ud7ZsC5hPj"


def environ(**settings: str) -> dict[str, str]:
    """An environment that would do, with some settings changed."""
    return {f"WATCHWORD_{name}": value for name, value in {"SECRET_KEY": GOOD_SECRET, **settings}.items()}


def refusal_of(**settings: str) -> SettingRefused:
    """Why these settings are refused; they must be."""
    with pytest.raises(SettingRefused) as refusal:
        Settings.read(environ(**settings))
    return refusal.value


class TestDefaults:
    """What holds where nothing is set but the secret."""

    def test_the_defaults_are_those_of_the_contract(self) -> None:
        """Each setting that is not set has the documented default."""
        here = Path("instance").absolute()
        assert Settings.read(environ()) == Settings(
            instance=here,
            database_url=f"sqlite:///{here}/watchword.db",
            secret_key=GOOD_SECRET.encode(),
            secret_key_fallbacks=(),
            algorithm="ES256",
            issuer="http://127.0.0.1:8000",
            audience="watchword",
            access_token_lifetime=900,
            refresh_idle_lifetime=604_800,
            session_lifetime=2_592_000,
            refresh_grace=10,
            hash_memory_kib=19_456,
            hash_passes=2,
            hash_threads=cores(),
            hash_max_wait=1.0,
            password_min_length=15,
            trusted_proxies=(),
            audit_retention=90,
            metrics_bind=("127.0.0.1", 9464),
            api_docs=True,
        )

    def test_hs256_names_no_audience_unless_told(self) -> None:
        """Under HS256 the audience is absent, so that the tutorial's line reads the tokens; it can still be set."""
        assert Settings.read(environ(ALGORITHM="HS256")).audience is None
        assert Settings.read(environ(ALGORITHM="HS256", AUDIENCE="notes")).audience == "notes"
        assert Settings.read(environ(ALGORITHM="EdDSA")).audience == "watchword"

    def test_each_setting_arrives(self) -> None:
        """Each setting that is set arrives in its type."""
        settings = Settings.read(
            environ(
                INSTANCE="/srv/login",
                DATABASE_URL="postgresql://user:pw@db:5432/logins",
                SECRET_KEY_FALLBACKS=f"{OLDER_SECRET}, {GOOD_SECRET[::-1]}\n",
                ALGORITHM="RS256",
                ISSUER="https://login.example:8443/eu",
                AUDIENCE="notes",
                ACCESS_TOKEN_LIFETIME="60",
                REFRESH_IDLE_LIFETIME="600",
                SESSION_LIFETIME="3600",
                REFRESH_GRACE="0",
                HASH_MEMORY_KIB="8",
                HASH_PASSES="1",
                HASH_THREADS="3",
                HASH_MAX_WAIT="0.25",
                PASSWORD_MIN_LENGTH="8",
                TRUSTED_PROXIES="10.1.2.0/24, 2001:db8::/32,192.0.2.7\n",
                AUDIT_RETENTION="365",
                METRICS_BIND="[::1]:9000",
                API_DOCS="off",
            )
        )
        assert settings == Settings(
            instance=Path("/srv/login"),
            database_url="postgresql://user:pw@db:5432/logins",
            secret_key=GOOD_SECRET.encode(),
            secret_key_fallbacks=(OLDER_SECRET.encode(), GOOD_SECRET[::-1].encode()),
            algorithm="RS256",
            issuer="https://login.example:8443/eu",
            audience="notes",
            access_token_lifetime=60,
            refresh_idle_lifetime=600,
            session_lifetime=3600,
            refresh_grace=0,
            hash_memory_kib=8,
            hash_passes=1,
            hash_threads=3,
            hash_max_wait=0.25,
            password_min_length=8,
            trusted_proxies=(
                IPv4Network("10.1.2.0/24"),
                IPv6Network("2001:db8::/32"),
                IPv4Network("192.0.2.7/32"),
            ),
            audit_retention=365,
            metrics_bind=("::1", 9000),
            api_docs=False,
        )

    def test_the_metrics_can_be_off(self) -> None:
        """The listener for metrics is on one host and port, or there is none."""
        assert Settings.read(environ(METRICS_BIND="off")).metrics_bind is None
        assert Settings.read(environ(METRICS_BIND="metrics.internal:65535")).metrics_bind == ("metrics.internal", 65535)

    def test_the_greatest_cost_can_be_read_back(self) -> None:
        """No hash can be configured that the service would store and then call unreadable."""
        for memory, passes in ((MAX_HASH_MEMORY_KIB, 4), (MAX_HASH_MEMORY_KIB // 16, MAX_HASH_PASSES)):
            costly = Settings.read(environ(HASH_MEMORY_KIB=str(memory), HASH_PASSES=str(passes)))
            greatest = Parameters(memory_kib=costly.hash_memory_kib, passes=costly.hash_passes)
            text = str(EncodedHash(greatest, salt=bytes(16), digest=bytes(32)))
            assert EncodedHash.parse(text).parameters == greatest
        assert refusal_of(HASH_MEMORY_KIB=str(MAX_HASH_MEMORY_KIB), HASH_PASSES="5").name == "HASH_PASSES"
        assert refusal_of(HASH_MEMORY_KIB=str(MAX_HASH_MEMORY_KIB + 1)).name == "HASH_MEMORY_KIB"
        assert refusal_of(HASH_PASSES=str(MAX_HASH_PASSES + 1)).name == "HASH_PASSES"

    def test_no_description_shows_a_secret(self) -> None:
        """Row 98: printed settings hold neither secret nor database password."""
        settings = Settings.read(environ(SECRET_KEY_FALLBACKS=OLDER_SECRET, DATABASE_URL="postgresql://u:canary@h/d"))
        for hidden in (GOOD_SECRET, OLDER_SECRET, "canary"):
            assert hidden not in repr(settings)


class TestSecret:
    """Row 92: a start without a good secret is refused."""

    @pytest.mark.parametrize("secret", [f" {GOOD_SECRET}", f"{GOOD_SECRET}\t"], ids=["before it", "behind it"])
    def test_blanks_around_it_are_refused(self, secret: str) -> None:
        """They would be lost on the day that it becomes a fallback, and the stored keys with them."""
        assert refusal_of(SECRET_KEY=secret).name == "SECRET_KEY"

    @pytest.mark.parametrize(
        "secret",
        [
            pytest.param("", id="empty"),
            pytest.param("secret", id="secret"),
            pytest.param("changeme", id="changeme"),
            pytest.param(f"{GOOD_SECRET}\n{GOOD_SECRET}", id="two lines"),
            pytest.param(GOOD_SECRET[:31], id="31 bytes"),
            pytest.param("é" * 15, id="30 bytes of 15 letters"),
            pytest.param("x" * 64, id="one repeated byte"),
            pytest.param("ab" * 32, id="two repeated bytes"),
            pytest.param("123456789" * 8, id="nine repeated bytes"),
            pytest.param("secret" * 10, id="secret repeated"),
            pytest.param("Secret-" * 10, id="secret repeated in capitals"),
            pytest.param("changeme" + "0" * 40, id="changeme padded"),
            pytest.param("changeme-secret-test" + "x" * 30, id="several words padded"),
            pytest.param("secret" + "=" * 10 + "changeme" + "-" * 12 + "dev", id="words among signs"),
            pytest.param("your-256-bit-secret" + "0123456789", id="an example's secret padded"),
            pytest.param("your-256-bit-secret-your-256-bit-secret", id="an example's secret twice"),
            pytest.param("super-secret-key-change-me-please-dev", id="words only"),
            pytest.param(GOOD_SECRET + "\udcff", id="no UTF-8"),
        ],
    )
    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
    def test_a_weak_secret_is_refused(self, name: str, secret: str) -> None:
        """Short, repeated, well-known or padded: refused, for the secret and its predecessors alike."""
        if name == "SECRET_KEY_FALLBACKS" and not secret:
            assert Settings.read(environ(SECRET_KEY_FALLBACKS=secret)).secret_key_fallbacks == ()
            return
        refusal = refusal_of(**{name: secret})
        assert refusal.name == name
        assert str(refusal).startswith(f"WATCHWORD_{name}: ")
        assert not secret or secret not in str(refusal)

    @pytest.mark.parametrize("weak", ["canary", "canary" * 8, "canary\udcff" + "canary" * 8])
    def test_the_refusal_shows_no_part_of_the_secret(self, weak: str) -> None:
        """Row 92: the reason is told without the secret, in the message and in what it came from."""
        refusal = refusal_of(SECRET_KEY=weak)
        assert "canary" not in str(refusal)
        assert "udcff" not in ascii(str(refusal))
        assert refusal.__cause__ is None
        assert refusal.__suppress_context__

    def test_one_weak_predecessor_spoils_all(self) -> None:
        """Each of several fallbacks must be good."""
        assert refusal_of(SECRET_KEY_FALLBACKS=f"{OLDER_SECRET},changeme").name == "SECRET_KEY_FALLBACKS"

    def test_whatever_was_a_secret_can_become_a_fallback(self, tmp_path: Path) -> None:
        """With spaces and, from a file in which each has a line, with commas; else it could never be changed."""
        with_spaces, with_commas = f"{GOOD_SECRET[:20]} {GOOD_SECRET[20:]}", f"{GOOD_SECRET[:20]}, {GOOD_SECRET[20:]}"
        for good in (with_spaces, with_commas):
            assert Settings.read(environ(SECRET_KEY=good)).secret_key == good.encode()
        together = Settings.read(environ(SECRET_KEY_FALLBACKS=f" {with_spaces} ,{OLDER_SECRET},"))
        assert together.secret_key_fallbacks == (with_spaces.encode(), OLDER_SECRET.encode())
        file = tmp_path / "fallbacks"
        file.write_text(f"{with_commas}\r\n\n{with_spaces}\n")
        each = Settings.read(environ(SECRET_KEY_FALLBACKS_FILE=str(file)))
        assert each.secret_key_fallbacks == (with_commas.encode(), with_spaces.encode())

    def test_a_random_secret_that_holds_a_common_word_is_good(self) -> None:
        """Chance may spell "dev" or "test" in good random text."""
        in_hex = "6a1f0c93e8b4d27506fb9c31d8e2a475"
        for secret in ("dev" + GOOD_SECRET, GOOD_SECRET[:20] + "test" + GOOD_SECRET[20:], in_hex):
            assert Settings.read(environ(SECRET_KEY=secret)).secret_key == secret.encode()


class TestSecretFile:
    """Where no secret is set, it is the file in the instance folder."""

    @staticmethod
    def read(folder: Path) -> Settings:
        return Settings.read({"WATCHWORD_INSTANCE": str(folder)})

    def test_the_generated_file_is_read(self, tmp_path: Path) -> None:
        """A private file with a good secret is the secret, without the line's end."""
        path = tmp_path / SECRET_FILE
        path.write_text(f"{GOOD_SECRET}\n")
        path.chmod(0o600)
        assert self.read(tmp_path).secret_key == GOOD_SECRET.encode()

    def test_without_secret_and_file_the_start_is_refused(self, tmp_path: Path) -> None:
        """Row 92: no key at all is refused with the name of the setting and what to do."""
        with pytest.raises(SettingRefused, match=r"WATCHWORD_SECRET_KEY: is not set .*watchword init"):
            self.read(tmp_path)

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
    def test_a_file_that_others_can_open_is_refused(self, tmp_path: Path, mode: int) -> None:
        """Row 92: any permission for group or others is refused, and the mode is told."""
        path = tmp_path / SECRET_FILE
        path.write_text(GOOD_SECRET)
        path.chmod(mode)
        with pytest.raises(SettingRefused, match=f"{mode:04o}") as refusal:
            self.read(tmp_path)
        assert GOOD_SECRET not in str(refusal.value)

    @pytest.mark.parametrize("content", [b"", b"changeme", b"\xff" * 40, b"canary" * 20])
    def test_a_file_with_a_weak_secret_is_refused(self, tmp_path: Path, content: bytes) -> None:
        """The file's secret is held to the same rules, and a broken one names the file and not its content."""
        path = tmp_path / SECRET_FILE
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SettingRefused) as refusal:
            self.read(tmp_path)
        assert str(path) in str(refusal.value)
        assert "canary" not in str(refusal.value)

    def test_a_folder_in_the_files_place_is_refused(self, tmp_path: Path) -> None:
        """What cannot be read at all is a refusal too."""
        (tmp_path / SECRET_FILE).mkdir()
        with pytest.raises(SettingRefused, match="cannot be read"):
            self.read(tmp_path)

    def test_a_pipe_in_the_files_place_is_refused(self, tmp_path: Path) -> None:
        """Whoever read from it would wait until somebody wrote, for ever."""
        os.mkfifo(tmp_path / SECRET_FILE, 0o600)
        with pytest.raises(SettingRefused, match="no regular file"):
            self.read(tmp_path)

    def test_a_byte_order_mark_in_front_of_it_is_refused(self, tmp_path: Path) -> None:
        """The secret with it is another one than the text that everybody sees."""
        path = tmp_path / SECRET_FILE
        path.write_text(GOOD_SECRET, encoding="utf-8-sig")
        path.chmod(0o600)
        with pytest.raises(SettingRefused, match=f"{path} begins with a byte order mark"):
            self.read(tmp_path)

    def test_a_secret_that_is_set_makes_the_file_irrelevant(self, tmp_path: Path) -> None:
        """The variable wins over the generated file, also over one that would be refused."""
        path = tmp_path / SECRET_FILE
        path.write_text("changeme")
        path.chmod(0o644)
        assert Settings.read(environ(INSTANCE=str(tmp_path))).secret_key == GOOD_SECRET.encode()


class TestFiles:
    """Each setting may come from a file that another variable names."""

    def test_a_setting_is_read_from_its_file(self, tmp_path: Path) -> None:
        """The file's text without the line's end is the value, for secrets and for all else."""
        (tmp_path / "secret").write_text(f"{GOOD_SECRET}\r\n")
        (tmp_path / "lifetime").write_text("60\n")
        names = {"WATCHWORD_SECRET_KEY_FILE": "secret", "WATCHWORD_ACCESS_TOKEN_LIFETIME_FILE": "lifetime"}
        settings = Settings.read({name: str(tmp_path / file) for name, file in names.items()})
        assert (settings.secret_key, settings.access_token_lifetime) == (GOOD_SECRET.encode(), 60)

    @pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "INSTANCE", "HASH_PASSES"])
    def test_a_setting_that_is_set_twice_is_refused(self, tmp_path: Path, name: str) -> None:
        """A variable and a file for one setting: nobody knows which was meant, even where both say the same."""
        path = tmp_path / "value"
        path.write_text(GOOD_SECRET)
        refusal = refusal_of(**{name: GOOD_SECRET, f"{name}_FILE": str(path)})
        assert refusal.name == name
        assert "twice" in str(refusal)
        assert GOOD_SECRET not in str(refusal)

    @pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["absent", "no UTF-8"])
    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        """A missing or unreadable file is a refusal that names the variable."""
        path = tmp_path / "value"
        if content is not None:
            path.write_bytes(content)
        assert refusal_of(ISSUER_FILE=str(path)).name == "ISSUER_FILE"
        assert refusal_of(ISSUER_FILE=str(tmp_path)).name == "ISSUER_FILE"
        assert refusal_of(ISSUER_FILE="a\x00b").name == "ISSUER_FILE"

    def test_a_file_that_is_too_long_for_a_setting_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        """Another file named by mistake, a database or a log, would be more than there is memory."""
        path = tmp_path / "log"
        path.write_text("x" * 65_536)
        assert "longer" not in str(refusal_of(ISSUER_FILE=str(path)))
        path.write_text("x" * 65_537)
        refusal = refusal_of(ISSUER_FILE=str(path))
        assert str(refusal) == "WATCHWORD_ISSUER_FILE: is longer than 65536 characters"

    def test_a_pipe_is_no_file(self, tmp_path: Path) -> None:
        """Every command would wait for somebody to write, for ever and without a word."""
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", Path(os.devnull)):
            refusal = refusal_of(ISSUER_FILE=str(path))
            assert refusal.name == "ISSUER_FILE"
            assert "no regular file" in str(refusal)

    def test_a_symbolic_link_leads_to_a_file(self, tmp_path: Path) -> None:
        """Kubernetes mounts each secret as a link to a link."""
        (tmp_path / "..2026").mkdir()
        (tmp_path / "..2026" / "audience").write_text("notes")
        (tmp_path / "..data").symlink_to("..2026")
        (tmp_path / "audience").symlink_to("..data/audience")
        assert Settings.read(environ(AUDIENCE_FILE=str(tmp_path / "audience"))).audience == "notes"

    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS", "AUDIENCE"])
    def test_a_byte_order_mark_is_no_part_of_a_value(self, tmp_path: Path, name: str) -> None:
        """Some editors put it first, where nobody sees it: a secret with it is not the one that was meant."""
        path = tmp_path / "value"
        path.write_text(GOOD_SECRET, encoding="utf-8-sig")
        settings = {"WATCHWORD_SECRET_KEY": GOOD_SECRET, f"WATCHWORD_{name}_FILE": str(path)}
        if name == "SECRET_KEY":
            del settings["WATCHWORD_SECRET_KEY"]
        with pytest.raises(SettingRefused, match=f"WATCHWORD_{name}_FILE: begins with a byte order mark"):
            Settings.read(settings)

    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS", "ISSUER", "DATABASE_URL"])
    @pytest.mark.parametrize("mode", [0o666, 0o646, 0o602])
    def test_a_file_that_anybody_may_write_is_refused(self, tmp_path: Path, name: str, mode: int) -> None:
        """Row 92: whoever has an account on the machine would choose the secret, and sign as anybody."""
        path = tmp_path / "value"
        path.write_text(GOOD_SECRET)
        path.chmod(mode)
        (tmp_path / "link").symlink_to(path)
        for named in (path, tmp_path / "link"):
            with pytest.raises(SettingRefused) as refusal:
                Settings.read({f"WATCHWORD_{name}_FILE": str(named)} | ({} if name == "SECRET_KEY" else environ()))
            assert refusal.value.name == f"{name}_FILE"
            told = f"is open for others to write (mode {mode:04o}); run chmod o-w on it"
            assert str(refusal.value) == f"WATCHWORD_{name}_FILE: {told}"

    @pytest.mark.parametrize("mode", [0o400, 0o444, 0o644, 0o664])
    def test_a_file_that_others_may_read_is_read(self, tmp_path: Path, mode: int) -> None:
        """As containers' secrets can be; and its group may write it, as of what was made under umask 002."""
        path = tmp_path / "secret"
        path.write_text(GOOD_SECRET)
        path.chmod(mode)
        assert Settings.read({"WATCHWORD_SECRET_KEY_FILE": str(path)}).secret_key == GOOD_SECRET.encode()

    def test_a_weak_secret_in_a_file_is_refused_without_being_shown(self, tmp_path: Path) -> None:
        """Row 92: the rules for secrets do not depend on where they come from."""
        path = tmp_path / "value"
        path.write_text("canary" * 10)
        with pytest.raises(SettingRefused) as refusal:
            Settings.read({"WATCHWORD_SECRET_KEY_FILE": str(path)})
        assert "canary" not in str(refusal.value)


NUMBERS: dict[str, tuple[str, ...]] = {
    "ACCESS_TOKEN_LIFETIME": ("0", "86401"),
    "REFRESH_IDLE_LIFETIME": ("59", "31536001"),
    "SESSION_LIFETIME": ("59", "31536001"),
    "REFRESH_GRACE": ("-1", "301"),
    "HASH_MEMORY_KIB": ("7", "4294967295"),
    "HASH_PASSES": ("0", "65"),
    "HASH_THREADS": ("0", "1025"),
    "PASSWORD_MIN_LENGTH": ("7", "1025"),
    "AUDIT_RETENTION": ("0", "3651"),
    "HASH_MAX_WAIT": ("0.04", "60.1", "nan", "inf", "1e1", ".5", "1.", "00001", "1.0000001"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_or_out_of_range_is_refused(name: str) -> None:
    """A number is plain ASCII digits within bounds: no sign, space, underscore, other script or 5000 digits."""
    odd = ["", " 10", "10 ", "10\n", "+10", "-10", "1_0", "0x10", "ten", "１０", "١٠", "²", "9" * 5000, "\udcff"]
    for value in (*NUMBERS[name], *odd):
        refusal = refusal_of(**{name: value})
        assert refusal.name == name
    if name != "HASH_MAX_WAIT":
        assert refusal_of(**{name: "10.5"}).name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("ALGORITHM", value) for value in ("", "none", "es256", "HS512", "RS512", "ES256 ", "ES256,HS256")],
        *[("API_DOCS", value) for value in ("", "On", "true", "1", "no", "off ", "\udcff")],
        *[("AUDIENCE", value) for value in ("", " ", " notes", "notes\n", "no\x00tes", "no\ntes", "\udcff")],
        *[
            ("METRICS_BIND", value)
            for value in (
                "", "Off", "9464", ":9464", "[]:9464", "localhost", "localhost:", "localhost:0", "localhost:65536",
                "::1", "::1:9464",
                "[::1]9464", " localhost:9464", "localhost:9464\n", "local host:9464", "http://localhost:9464",
                "localhost:٩", "a\x00b:1",
                "\udcff:1",
            )
        ],
        *[
            ("TRUSTED_PROXIES", value)
            for value in ("*", "all", "10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.1:80", "10.0.0", "\udcff")
        ],
        *[("INSTANCE", value) for value in ("", " x", "a\x00b", "a\nb", "what?", "no#1", "100%")],
        *[("INSTANCE", value) for value in ("~/login", "~ww", "/srv/${NAME}", "$HOME/login", "/srv/$(hostname)")],
        *[("INSTANCE", value) for value in ('"/srv/login"', "'/srv/login'", "`pwd`/login", "/srv/{{ name }}/login")],
        *[
            ("ISSUER", value)
            for value in (
                "", "login.example", "//login.example", "ftp://login.example", "https://", "https:///path",
                "https://login.example?a=b",
                "https://login.example?", "https://login.example#a", "https://login.example#",
                "https://user@login.example",
                "https://user:pw@login.example", "https://@login.example", " https://login.example",
                "https://login.example ",
                "https://login.example\n", "https://login.exam\nple", "https://login\t.example",
                "https://log in.example", "https://[",
                "https://[zz]", "https://login.example:port", "https://login.example:99999", "https://a\u2100b",
                "\udcff", "HTTPS://login.example", "https://l\u00f6gin.example", "https://login.example:",
                "https://login.example/\u00e4", "https://login.example/<x>", "https://login.example/a\"b",
                "https://login.example/a\\b", "https://[:]", "https://[1.2.3.4]",
            )
        ],
        *[
            ("DATABASE_URL", value)
            for value in (
                "", "watchword.db", "sqlite://", "sqlite:///", "sqlite://host/path", "sqlite:///:memory:",
                "sqlite:///a.db?mode=ro", "sqlite:///file:a.db", "sqlite:///./file:a.db",
                "SQLITE:///a.db", "sqlite:/a.db",
                "sqlite:///a.db?", "sqlite:///a#b.db", "sqlite:///a%20b.db", "sqlite:///a\nb.db",
                "sqlite+aiosqlite:///a.db", "mysql://h/d", "sqlite:///~/a.db", "sqlite:////srv/$(hostname)/a.db",
                "postgresql://", "postgresql://h", "postgresql://h/", "postgresql://h:port/d",
                "postgresql://h:99999/d", "postgresql://[/d",
                "POSTGRESQL://h/d", "Postgres://h/d", "postgresql:/d", "postgresql://h/d#", "postgresql://h/d?x=y#z",
                " postgresql://h/d", "postgresql+asyncpg://h/d", "file:///etc/passwd",
            )
        ],
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_meant_is_refused(name: str, value: str) -> None:
    """An unknown algorithm, a relative issuer, another database, stray spaces and control characters are refused."""
    assert refusal_of(**{name: value}).name == name


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:canary@h:port/d",
        "postgresql://user:canary@h",
        "postgresql://user:canary@[/d",
        "postgresql://user:1/d?canary=&ssl=@h/d",
        "postgresql://user:canary\u2100@h/d",
        "postgresql://user:0#canary@h/d",
        "mysql://user:canary@h/d",
        "canary",
        "sqlite://canary/x",
    ],
    ids=range(9),
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "ISSUER"])
def test_a_refused_url_is_not_repeated(name: str, url: str) -> None:
    """Row 98: a URL may hold a password, so the message about it holds nothing of it."""
    refusal = refusal_of(**{name: url})
    assert "canary" not in str(refusal)
    assert refusal.__suppress_context__


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("ssl=require", "'ssl'"),
        ("SSLMODE=require", "'SSLMODE'"),
        ("ssl_mode=require", "'ssl_mode'"),
        ("sslcrl=/etc/crl.pem", "'sslcrl'"),
        ("sslmode=require&sslmode=disable", "'sslmode' twice"),
        ("host=a&sslmode=require&host=b", "'host' twice"),
        ("sslmode=", "'sslmode' without a value"),
        ("HOST=db", "'HOST'; write it in small letters"),
        ("Target_Session_Attrs=primary", "'Target_Session_Attrs'; write it in small letters"),
    ],
)
def test_an_option_that_nobody_would_heed_is_refused(query: str, word: str) -> None:
    """An option that is passed over, or read in two ways, would connect without what it asks for."""
    refusal = refusal_of(DATABASE_URL=f"postgresql://u:canary@h/d?{query}")
    assert f"WATCHWORD_DATABASE_URL: has the option {word}" in str(refusal)
    assert "canary" not in str(refusal)


@pytest.mark.parametrize(
    "option",
    [
        "database",
        "dbname",
        "hostaddr",
        "options",
        "passfile",
        "password",
        "PORT",
        "port",
        "service",
        "servicefile",
        "user",
    ],
)
def test_a_place_that_nobody_would_heed_is_refused(option: str) -> None:
    """``psql`` would go there, and we would go elsewhere: such an option is named, and its value is not."""
    refusal = refusal_of(DATABASE_URL=f"postgresql://u@/d?host=/run/pg&{option}=canary")
    assert f"WATCHWORD_DATABASE_URL: has the option {option!r}; which database is meant" in str(refusal)
    assert "canary" not in str(refusal)


def test_a_host_stands_in_one_place() -> None:
    """Of one before the path and another as an option ``psql`` and the driver each take their own."""
    for before in ("h", "h:1", ":1,h:2", "[::1]"):
        refusal = refusal_of(DATABASE_URL=f"postgresql://u@{before}/d?host=i,j")
        assert "has the option 'host' beside a host" in str(refusal)


def test_ports_before_the_path_are_one_or_as_many_as_the_hosts_behind_it() -> None:
    """Of another number nobody can say whose they are: ``psql`` refuses them as well."""
    for ports in (":1", ":1,:2,:3", ":1,,:3", ",,:3", ":1,,"):
        url = f"postgresql://u@{ports}/d?host=a,b,c"
        assert database_url(environ(DATABASE_URL=url)) == url
    for ports in (":1,:2", ":1,:2,:3,:4", ","):
        told = f"has {ports.count(',') + 1} ports before the path and 3 host(s) behind it; write one"
        assert told in str(refusal_of(DATABASE_URL=f"postgresql://u@{ports}/d?host=a,b,c"))


@pytest.mark.parametrize("hosts", ["db1,db2", "db1:5432,db2:5433", "[::1]:5432,db2"])
def test_several_hosts_may_stand_before_the_path(hosts: str) -> None:
    """As ``psql`` takes them, each with its port or without; a fault in any is told."""
    url = f"postgresql://u:p,q@{hosts}/d"
    assert database_url(environ(DATABASE_URL=url)) == url
    assert "is not a URL" in str(refusal_of(DATABASE_URL=f"postgresql://u:p@{hosts}:x/d"))


def test_the_server_that_is_sought_takes_writes() -> None:
    """What the driver does not know is told here, and a server that may be for reading alone is no use."""
    for value in ("any", "read-only", "nope"):
        refusal = refusal_of(DATABASE_URL=f"postgresql://u@/d?host=a,b&target_session_attrs={value}")
        assert "'target_session_attrs', which must be primary or read-write" in str(refusal)


@pytest.mark.parametrize(
    "option", ["host=x", "target_session_attrs=primary", "sslmode=x", "sslrootcert=x", "sslcert=x", "sslkey=x"]
)
def test_an_option_that_is_taken_is_heeded(option: str) -> None:
    """What the settings let through reaches the driver."""
    url = f"postgresql://u@/d?{option}"
    assert each_host(database_url({"WATCHWORD_DATABASE_URL": f"{url}&application_name=y"})) == [url]


def test_a_port_without_a_host_among_hosts_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the environment has a list of ports, which the driver counts against all of them."""
    monkeypatch.setenv("PGPORT", "1,2")
    (url,) = each_host("postgresql://u@:5433,db2:5434/d")
    assert url == "postgresql://u@:5433,db2:5434/d?target_session_attrs=read-write"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///relative.db",
        "sqlite:////srv/with space/watchword.db",
        "sqlite:////srv/größe.db",
        "sqlite:////srv/~backup/5$.db",
        "sqlite:////srv/price$5/$é.db",
        "postgresql:///local",
        "postgres://u:p%40ss@h:5432/d?sslmode=require",
        "postgresql://u@%2Frun%2Fpostgresql:5433/d",
    ],
)
def test_a_good_database_url_is_taken_as_it_is(url: str) -> None:
    """SQLite files and PostgreSQL databases are taken, unchanged, also with a $ that no shell would heed."""
    assert database_url({"WATCHWORD_DATABASE_URL": url}) == url


def test_the_instance_folder_is_absolute_and_holds_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is where the service was started, and the database's default is in it."""
    monkeypatch.chdir(tmp_path)
    assert instance_folder({}) == tmp_path / "instance"
    assert instance_folder({"WATCHWORD_INSTANCE": "elsewhere"}) == tmp_path / "elsewhere"
    assert database_url({"WATCHWORD_INSTANCE": "/srv/a"}) == "sqlite:////srv/a/watchword.db"


def test_a_folder_that_no_url_can_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with ? or # in its path would cut the database's URL short, so the start says so instead."""
    odd = tmp_path / "project #1"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(SettingRefused, match="WATCHWORD_INSTANCE"):
        database_url({})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WATCHWORD_SECRET_KEYS", "WATCHWORD_SECRET_KEY"),
        ("WATCHWORD_HASH_MEMORY", "WATCHWORD_HASH_MEMORY_KIB"),
        ("WATCHWORD_DATABSE_URL", "WATCHWORD_DATABASE_URL"),
        ("WATCHWORD_PORT_8000_TCP_ADDR", None),
        ("WATCHWORD_", None),
        ("WATCHWORD__FILE", None),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_what_was_meant(name: str, meant: str | None) -> None:
    """A variable with our prefix that is no setting is reported with its nearest setting, and refuses nothing."""
    assert unknown_names({name: "canary", **environ(), "PATH": "/bin"}) == {name: meant}
    Settings.read({name: "x", **environ()})


def test_every_setting_and_its_file_are_known() -> None:
    """No setting is reported as unknown, neither directly nor as a file."""
    names = [name.upper() for name in Settings.__dataclass_fields__]
    assert unknown_names({f"WATCHWORD_{name}{suffix}": "" for name in names for suffix in ("", "_FILE")}) == {}


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the settings are the process's own."""
    changed: Any = os.environ
    for name in [name for name in changed if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHWORD_SECRET_KEY", GOOD_SECRET)
    monkeypatch.setenv("WATCHWORD_INSTANCE", str(tmp_path))
    assert Settings.read().instance == tmp_path == instance_folder()
    assert unknown_names() == {}
    assert stat.S_ISDIR(tmp_path.stat().st_mode)


def test_a_guard_believes_whatever_issuer_the_service_has() -> None:
    """An address that signs is one that ``Guard(issuer=…)`` takes, character for character, and the other way round."""
    for url in (
        "https://login.example.com",
        "https://Login.Example.com/",
        "https://login_x.example:8443/eu//a/.../b%zz;c=d",
        "https://xn--exmple-cua.com",
        "https://[2001:db8::1]:443/a",
        "http://127.0.0.1:0",
        "http://[::1]",
    ):
        assert Settings.read(environ(ISSUER=url)).issuer == Issuer.at(url).url == url
    for url in (
        "https://[:]",
        "https://[1.2.3.4]",
        "https://127.0.0.300",
        "https://1.2.3.04/eu",
        "https://login.example:65536",
        "https://l\u00f6gin.example",
        "https://login.example/eu/../x",
        "https://login.example/./x",
        "https://login.example/eu/..",
        "https://login.example/.",
    ):
        assert refusal_of(ISSUER=url).name == "ISSUER"
        with pytest.raises(ValueError, match="the issuer must be a URL"):
            Issuer.at(url)


def test_what_every_token_holds_is_short() -> None:
    """A token has a greatest length: beyond it every login would give one that nobody takes."""
    issuer = "https://login.example/".ljust(MAX_ISSUER, "i")
    assert Settings.read(environ(ISSUER=issuer)).issuer == issuer
    assert "more than 200 characters" in str(refusal_of(ISSUER=f"{issuer}i"))
    for letter, size in (("a", 1), ("\\", 2), ('"', 2), ("\u00e4", 2), ("\U00020000", 4)):
        audience = letter * (MAX_AUDIENCE // size)
        assert Settings.read(environ(AUDIENCE=audience)).audience == audience
        assert "more than 100 bytes" in str(refusal_of(AUDIENCE=f"{audience}a"))
