"""Claims about hashes of other systems: what they let in is let in, and no row of theirs can hurt us."""

import builtins
import contextlib
import hashlib
import time
import unicodedata
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from watchword.errors import InvalidCredentials, Overloaded, UnreadableHash
from watchword.passwords import EncodedHash, Hasher, Parameters, Verified, backends, read_stored
from watchword.passwords.backends import BackEnd, Timing
from watchword.passwords.legacy import LegacyHash

TINY = Parameters(memory_kib=8, passes=1)
PASSWORD = "correct horse bättery"
WRONG = "correct horse bättere"
SALT = "NaCl4every1"
DIGEST = "0f" * 64
BCRYPT = bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$" + 21 * b"a" + b"e").decode()


def django_pbkdf2(password: str, function: str = "sha256", rounds: int = 5) -> str:
    """What Django stores by default, with a cost that tests can bear."""
    digest = hashlib.pbkdf2_hmac(function, password.encode(), SALT.encode(), rounds)
    return f"pbkdf2_{function}${rounds}${SALT}${b64encode(digest).decode()}"


def django_bcrypt(password: str) -> str:
    """What Django's BCryptPasswordHasher stores."""
    return "bcrypt$" + plain_bcrypt(password)


def django_bcrypt_sha256(password: str) -> str:
    """What Django's BCryptSHA256PasswordHasher stores."""
    return "bcrypt_sha256$" + plain_bcrypt(hashlib.sha256(password.encode()).hexdigest())


def plain_bcrypt(password: str, prefix: str = "2b") -> str:
    """What most systems store that use bcrypt."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b$", f"${prefix}$")


SYSTEMS: Mapping[str, Callable[[str], str]] = {
    "werkzeug scrypt": lambda password: generate_password_hash(password, "scrypt:256:8:1"),
    "werkzeug scrypt, several lanes": lambda password: generate_password_hash(password, "scrypt:128:1:3"),
    "werkzeug scrypt, a short salt": lambda password: generate_password_hash(password, "scrypt:256:8:1", 1),
    "werkzeug pbkdf2": lambda password: generate_password_hash(password, "pbkdf2:sha256:5"),
    "werkzeug pbkdf2, sha1": lambda password: generate_password_hash(password, "pbkdf2:sha1:5"),
    "werkzeug pbkdf2, sha512": lambda password: generate_password_hash(password, "pbkdf2:sha512:5"),
    "django pbkdf2": django_pbkdf2,
    "django pbkdf2, sha1": lambda password: django_pbkdf2(password, "sha1"),
    "django bcrypt": django_bcrypt,
    "django bcrypt_sha256": django_bcrypt_sha256,
    "bcrypt 2a": lambda password: plain_bcrypt(password, "2a"),
    "bcrypt 2b": plain_bcrypt,
    "bcrypt 2y": lambda password: plain_bcrypt(password, "2y"),
}
ALL = pytest.mark.parametrize("store", SYSTEMS.values(), ids=SYSTEMS)
SHORTENING = {"django bcrypt", "bcrypt 2a", "bcrypt 2b", "bcrypt 2y"}


@pytest.fixture(scope="module")
async def hasher() -> AsyncIterator[Hasher]:
    """A hasher that costs next to nothing."""
    hasher = Hasher(TINY, threads=1, max_wait=60.0)
    yield hasher
    hasher.close()


async def verify(hasher: Hasher, password: str, stored: str) -> Verified:
    """Verify a password in a place of its own."""
    with hasher.pool.place("somebody") as place:
        return await hasher.verify(password, stored, place=place)


@ALL
@pytest.mark.parametrize("password", [PASSWORD, "a", "p\x01\x7f", " spaces ", "\U0001f600" * 10], ids=ascii)
async def test_the_right_password_passes_and_no_other(
    hasher: Hasher, store: Callable[[str], str], password: str
) -> None:
    """Row 7: what the other system's own library hashed verifies here, and any other password does not."""
    stored = store(password)
    await verify(hasher, password, stored)
    for wrong in (password[:-1] + "~", password + " ", password.swapcase() + "x", "\ufeff" + password):
        with pytest.raises(InvalidCredentials):
            await verify(hasher, wrong, stored)


@pytest.mark.parametrize(("method", "begins"), [("scrypt", "scrypt:32768:8:1$"), ("pbkdf2", "pbkdf2:sha256:1000000$")])
def test_what_flask_stores_today_is_read(method: str, begins: str) -> None:
    """Werkzeug's own cost is within our bounds."""
    stored = generate_password_hash(PASSWORD, method)
    assert stored.startswith(begins)
    assert LegacyHash.parse(stored).fits([PASSWORD.encode()])


@ALL
async def test_a_good_login_yields_a_hash_of_ours(hasher: Hasher, store: Callable[[str], str]) -> None:
    """Row 18: after the right password there is an Argon2id hash to be stored instead, which needs no other."""
    new_hash = (await verify(hasher, PASSWORD, store(PASSWORD))).new_hash
    assert new_hash is not None
    assert EncodedHash.parse(new_hash).parameters == TINY
    assert (await verify(hasher, PASSWORD, new_hash)).new_hash is None
    with pytest.raises(InvalidCredentials):
        await verify(hasher, WRONG, new_hash)


@ALL
async def test_a_password_stored_as_typed_or_composed_passes(hasher: Hasher, store: Callable[[str], str]) -> None:
    """Row 6: what was hashed decomposed passes as it was typed then, what was hashed composed passes either way."""
    composed, decomposed = (unicodedata.normalize(form, "Zoës Straße") for form in ("NFC", "NFD"))
    upgraded = (await verify(hasher, decomposed, store(decomposed))).new_hash or ""
    await verify(hasher, composed, upgraded)
    await verify(hasher, composed, store(composed))
    await verify(hasher, decomposed, store(composed))
    with pytest.raises(InvalidCredentials):
        await verify(hasher, composed, store(decomposed))  # nor did the other system let it in


@pytest.mark.parametrize("length", [64, 72, 73, 128, 1024])
@pytest.mark.parametrize("system", SYSTEMS)
async def test_how_much_of_a_long_password_counts(hasher: Hasher, system: str, length: int) -> None:
    """Row 8: all of it but for bcrypt's 72 bytes, as where it came from; of the new hash all of it counts."""
    password = "x" * (length - 1) + "y"
    differs_at_the_end = "x" * length
    stored = SYSTEMS[system](password)
    new_hash = (await verify(hasher, password, stored)).new_hash or ""
    if system in SHORTENING and length > 72:
        await verify(hasher, differs_at_the_end, stored)
    else:
        with pytest.raises(InvalidCredentials):
            await verify(hasher, differs_at_the_end, stored)
    with pytest.raises(InvalidCredentials):
        await verify(hasher, differs_at_the_end, new_hash)


async def test_bcrypt_may_cut_a_character_in_two(hasher: Hasher) -> None:
    """Row 8: the 72 bytes of bcrypt may end within a character, and that is no error."""
    password = "a" + "é" * 40
    await verify(hasher, password, plain_bcrypt(password))


@pytest.mark.parametrize(
    "text",
    [
        "scrypt:32768:8:1$$" + DIGEST, f"scrypt:32768:8:1${SALT}${DIGEST[:-2]}", f"scrypt:32768:8:1${SALT}${DIGEST}00",
        f"scrypt:32767:8:1${SALT}${DIGEST}", f"scrypt:1:8:1${SALT}${DIGEST}", f"scrypt:0:8:1${SALT}${DIGEST}",
        f"scrypt:65536:1:1${SALT}${DIGEST}", f"scrypt:16:8${SALT}${DIGEST}", f"scrypt:+16:8:1${SALT}${DIGEST}",
        f"scrypt:16:8:1${SALT}${DIGEST.upper()}", f"scrypt${SALT}${DIGEST}", f"scrypt:16:8:1$Salz\u00e4${DIGEST}",
        f"pbkdf2:sha256:1000${SALT}${DIGEST}", f"pbkdf2:sha256${SALT}${DIGEST[:64]}",
        f"pbkdf2:md5:1000${SALT}${DIGEST[:32]}", f"pbkdf2:shake_128:1000${SALT}${DIGEST[:64]}",
        f"pbkdf2:sha256:0${SALT}${DIGEST[:64]}", f"pbkdf2:sha256:-1${SALT}${DIGEST[:64]}",
        f"pbkdf2_sha256$1000${SALT}$" + "A" * 43, f"pbkdf2_sha256$1000${SALT}$" + "A" * 40 + "=A==",
        f"pbkdf2_sha1$1000${SALT}$" + "A" * 43 + "=", f"pbkdf2_sha256$1000$${DIGEST}", f"md5${SALT}${DIGEST[:32]}",
        f"{BCRYPT}\n", f" {BCRYPT}", BCRYPT[:-1], BCRYPT + "a", BCRYPT.replace("$04$", "$4$"),
        BCRYPT.replace("$2b$", "$2x$"), BCRYPT.replace("$2b$", "$2$"), BCRYPT.replace("$04$", "$03$"),
        BCRYPT.replace("$04$", "$\u0660\u0664$"), f"bcrypt_sha256{BCRYPT}", f"bcrypt${BCRYPT}$", f"argon2{BCRYPT}",
        "", "!", "*", "$", "plain", "\x00", "\ud800", "!" + BCRYPT, "x" * 10_000_000,
    ],
    ids=lambda text: ascii(text)[:50],
)  # fmt: skip
def test_what_is_no_hash_is_unreadable(text: str) -> None:
    """Row 19: cut, decorated, of an unknown kind or impossible, it is UnreadableHash and nothing else."""
    with pytest.raises(UnreadableHash):
        read_stored(text)


@pytest.mark.parametrize(
    "text",
    [
        f"scrypt:4194304:8:1${SALT}${DIGEST}", f"scrypt:32768:8:9${SALT}${DIGEST}",
        f"scrypt:2:1048576:1${SALT}${DIGEST}",
        f"scrypt:9999999999:9999999999:9999999999${SALT}${DIGEST}", f"pbkdf2:sha256:4194305${SALT}${DIGEST[:64]}",
        f"pbkdf2_sha256$9999999999${SALT}$" + "A" * 43 + "=", BCRYPT.replace("$04$", "$16$"),
        "bcrypt$" + BCRYPT.replace("$04$", "$31$"), "bcrypt_sha256$" + BCRYPT.replace("$04$", "$99$"),
    ],
    ids=lambda text: ascii(text)[:50],
)  # fmt: skip
def test_what_would_cost_too_much_is_unreadable(text: str) -> None:
    """Row 19: a stored row cannot keep a core busy for minutes, nor fill gigabytes."""
    with pytest.raises(UnreadableHash, match="beyond the bounds"):
        read_stored(text)


@pytest.mark.parametrize(
    "text",
    [
        f"scrypt:262144:8:1${SALT}${DIGEST}", f"scrypt:2:1:1${SALT}${DIGEST}",
        f"pbkdf2:sha256:4194304${SALT}${DIGEST[:64]}", BCRYPT.replace("$04$", "$15$"),
    ],
    ids=lambda text: ascii(text)[:50],
)  # fmt: skip
def test_the_bounds_themselves_are_readable(text: str) -> None:
    """The greatest and the least cost are still read."""
    assert isinstance(read_stored(text), LegacyHash)


def test_openssl_computes_what_is_within_the_bounds() -> None:
    """What is let through can be computed: the memory asked for is enough for any shape of the cost."""
    for n, r, p in ((2**10, 256, 1), (2, 1, 2**14), (2**15, 1, 1), (2, 2**14, 1)):
        assert not LegacyHash.parse(f"scrypt:{n}:{r}:{p}${SALT}${DIGEST}").fits([b"x"])


def test_without_memory_it_is_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no memory for a scrypt hash says so, and not that the password is wrong."""

    def scrypt(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    with pytest.raises(Overloaded):
        LegacyHash.parse(f"scrypt:16:8:1${SALT}${DIGEST}").fits([b"x"])


PIECES = [
    "scrypt:16:8:1", "scrypt", "pbkdf2:sha256:5", "pbkdf2_sha256", "5", SALT, DIGEST, "A" * 43 + "=", "bcrypt",
    "bcrypt_sha256", "", "2b", "04", BCRYPT[7:], "." * 53, "u" * 53, "9" * 53,
]  # fmt: skip


@settings(deadline=None)
@given(
    text=st.text(max_size=120)
    | st.lists(st.sampled_from(PIECES), max_size=6).map("$".join)
    | st.from_regex(r"\$2[aby]\$04\$[./A-Za-z0-9]{53}", fullmatch=True)
    | st.from_regex(r"scrypt:[1-9]{1,4}:[1-9]{1,4}:[1-9]{1,4}\$[!-~]{1,9}\$[0-9a-f]{128}", fullmatch=True)
)
def test_any_text_is_a_hash_or_unreadable(text: str) -> None:
    """Row 19: no text in the database makes anything escape but UnreadableHash, in reading and in computing."""
    with contextlib.suppress(UnreadableHash):
        known = read_stored(text)
        assert isinstance(known, EncodedHash) or not known.fits([b"x" * 100])


def test_without_the_extra_a_bcrypt_hash_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 19: where bcrypt is not installed its hashes are unreadable, and the reason names what to install."""
    import_ = builtins.__import__

    def without_bcrypt(name: str, *args: Any) -> Any:
        if name == "bcrypt":
            raise ModuleNotFoundError(name)
        return import_(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_bcrypt)
    for text in (BCRYPT, f"bcrypt${BCRYPT}", f"bcrypt_sha256${BCRYPT}"):
        with pytest.raises(UnreadableHash, match=r"watchword\[legacy\]"):
            read_stored(text)
    assert LegacyHash.parse(django_pbkdf2(PASSWORD)).fits([PASSWORD.encode()])


def test_no_description_shows_the_hash() -> None:
    """Row 98: what is printed of a hash is that it is one."""
    assert repr(LegacyHash.parse(BCRYPT)) == "LegacyHash()"


class TestWork:
    """A hash of another system costs at least what a hash of ours does (row 2)."""

    @staticmethod
    async def filler(password: str, stored: str, *, seconds_per_hash: float) -> Parameters | None:
        """What was hashed by Argon2 beside the stored hash, where one of ours takes so long."""
        asked: list[Parameters] = []
        real = backends.available()[0]

        def derive(password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
            asked.append(parameters)
            return real.derive(password, salt, parameters, length)

        current = Parameters(memory_kib=1024, passes=2)
        hasher = Hasher(current, threads=1, max_wait=60.0)
        hasher.fastest = Timing(BackEnd("counter", derive, lambda _parameters, _salt_bytes: True), seconds_per_hash)
        hasher.stopwatch = lambda: time.thread_time() + seconds_per_hash * sum(x.work for x in asked) / current.work
        try:
            with contextlib.suppress(InvalidCredentials, UnreadableHash):
                await verify(hasher, password, stored)
                assert asked.pop() == current  # the new hash comes on top, after the password was proven
        finally:
            hasher.close()
        assert len(asked) <= 1
        return asked[0] if asked else None

    @ALL
    @pytest.mark.parametrize("password", [PASSWORD, WRONG], ids=["right", "wrong"])
    async def test_a_cheaper_hash_is_topped_up(self, store: Callable[[str], str], password: str) -> None:
        """Row 2: nearly the whole of a hash of ours goes on top of a hash that costs nearly nothing."""
        filler = await self.filler(password, store(PASSWORD), seconds_per_hash=3600.0)
        assert filler is not None
        assert filler.passes == 2
        assert 1000 < filler.memory_kib <= 1024

    @ALL
    async def test_a_dearer_hash_is_not_topped_up(self, store: Callable[[str], str]) -> None:
        """A hash that takes longer than one of ours costs just that."""
        assert await self.filler(WRONG, store(PASSWORD), seconds_per_hash=1e-9) is None

    async def test_the_more_a_hash_costs_the_less_is_added(self) -> None:
        """Row 2: what is added is what is left of a hash of ours, as measured."""
        cheap, dear = (generate_password_hash(PASSWORD, f"pbkdf2:sha256:{rounds}") for rounds in (1, 20_000))
        after_cheap = await self.filler(WRONG, cheap, seconds_per_hash=1.0)
        after_dear = await self.filler(WRONG, dear, seconds_per_hash=1.0)
        assert after_cheap is not None
        assert after_dear is None or after_dear.memory_kib < after_cheap.memory_kib

    @pytest.mark.parametrize("stored", ["$2b$04$" + "9" * 53, "scrypt:3:8:1$x$" + DIGEST, "pbkdf2:sha256:9$x$00"])
    async def test_an_unreadable_one_costs_one_hash(self, stored: str) -> None:
        """Rows 2 and 19: what looked like a hash of another system costs exactly one of ours."""
        assert await self.filler(PASSWORD, stored, seconds_per_hash=1.0) == Parameters(memory_kib=1024, passes=2)
