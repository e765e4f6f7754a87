"""Claims about stored hashes: what is written can be read, here and elsewhere, and nothing too costly is."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.errors import UnreadableHash
from watchword.passwords import EncodedHash, Parameters
from watchword.passwords.encoded import Variant
from watchword.settings import MAX_HASH_MEMORY_KIB

VARIANTS: tuple[Variant, ...] = ("argon2id", "argon2i", "argon2d")
SALT, DIGEST = "c2FsdHNhbHRzYWx0c2FsdA", "ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ISE"
GOOD = f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${DIGEST}"


@settings(deadline=None)
@given(
    memory_kib=st.integers(128, 65_536),
    passes=st.integers(1, 64),
    lanes=st.integers(1, 16),
    variant=st.sampled_from(VARIANTS),
    salt=st.binary(min_size=8, max_size=48),
    digest=st.binary(min_size=16, max_size=96),
)
def test_a_hash_comes_back_from_its_text(
    memory_kib: int, passes: int, lanes: int, variant: Variant, salt: bytes, digest: bytes
) -> None:
    """Reading what was written gives the same hash, and writing that the same text."""
    encoded = EncodedHash(Parameters(memory_kib, passes, lanes, variant), salt, digest)
    assert EncodedHash.parse(str(encoded)) == encoded
    assert str(EncodedHash.parse(str(encoded))) == str(encoded)


def test_the_text_is_a_phc_string() -> None:
    """The text is what the reference implementation writes: variant, version, m, t, p, salt, digest."""
    encoded = EncodedHash(Parameters(memory_kib=19_456, passes=2), b"salt" * 4, b"digest" * 5 + b"!!")
    assert str(encoded) == GOOD
    assert EncodedHash.parse(GOOD) == encoded


@pytest.mark.parametrize(
    "text",
    [
        "", "!", "*", "x", "$", "plain", "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
        "pbkdf2:sha256:1000$a$b",
        "scrypt:32768:8:1$a$b", GOOD[:-30], GOOD[:40], GOOD[1:], f" {GOOD}", f"{GOOD} ", f"{GOOD}\n", f"{GOOD}$",
        f"{GOOD}=", GOOD * 3,
        GOOD.replace("v=19", "v=16"), GOOD.replace("$v=19", ""), GOOD.replace("argon2id", "argon2"),
        GOOD.replace("argon2id", "ARGON2ID"),
        GOOD.replace("m=19456,t=2,p=1", "t=2,m=19456,p=1"), GOOD.replace("p=1", "p=1,data=AAAA"),
        GOOD.replace("t=2", "t=02"),
        GOOD.replace("t=2", "t=+2"), GOOD.replace("t=2", "t=-2"), GOOD.replace("t=2", "t=２"),
        GOOD.replace("t=2", "t=2.0"),
        GOOD.replace(SALT, ""), GOOD.replace(SALT, "c2FsdA"), GOOD.replace(SALT, SALT[:-1] + "_"),
        GOOD.replace(SALT, SALT[:-1]),
        GOOD.replace(DIGEST, ""), GOOD.replace(DIGEST, DIGEST[:21]), GOOD.replace(DIGEST, DIGEST + "AA"),
        GOOD.replace("$c2", "$\u0661c"),
        "\x00", "\ud800", GOOD + "A" * 10_000_000,
    ],
    ids=lambda text: ascii(text)[:60],
)  # fmt: skip
def test_what_is_no_argon2_hash_is_unreadable(text: str) -> None:
    """Row 19: empty, cut, foreign or decorated text is UnreadableHash and nothing else."""
    with pytest.raises(UnreadableHash):
        EncodedHash.parse(text)


@pytest.mark.parametrize(
    "cost",
    [
        "m=4294967295,t=2,p=1", "m=1048577,t=1,p=1", "m=9999999999,t=1,p=1", "m=19456,t=4294967295,p=1",
        "m=19456,t=65,p=1", "m=19456,t=0,p=1", "m=1048576,t=5,p=1", "m=65537,t=64,p=1",
        "m=0,t=1,p=1", "m=7,t=1,p=1", "m=15,t=1,p=2", "m=19456,t=2,p=0", "m=19456,t=2,p=17", "m=19456,t=2,p=999",
        "m=99999999999,t=1,p=1",
    ],
)  # fmt: skip
def test_what_would_cost_too_much_is_unreadable(cost: str) -> None:
    """Row 19: a stored row cannot keep this machine at it for minutes, nor ask for what Argon2 cannot do."""
    with pytest.raises(UnreadableHash):
        EncodedHash.parse(GOOD.replace("m=19456,t=2,p=1", cost))


@pytest.mark.parametrize("cost", ["m=1048576,t=4,p=1", "m=65536,t=64,p=1", "m=8,t=1,p=1", "m=128,t=1,p=16"])
def test_the_bounds_themselves_are_readable(cost: str) -> None:
    """The greatest and the least cost are still read."""
    assert cost in str(EncodedHash.parse(GOOD.replace("m=19456,t=2,p=1", cost)))


@settings(deadline=None)
@given(text=st.text(max_size=120) | st.lists(st.sampled_from(GOOD.split("$")), max_size=8).map("$".join))
def test_any_text_is_a_hash_or_unreadable(text: str) -> None:
    """No text in the database makes anything escape but UnreadableHash."""
    with contextlib.suppress(UnreadableHash):
        assert EncodedHash.parse(text).parameters.memory_kib <= MAX_HASH_MEMORY_KIB


def test_no_description_shows_the_hash() -> None:
    """Row 98: what is printed of a hash is its cost."""
    assert repr(EncodedHash.parse(GOOD)) == f"EncodedHash(parameters={Parameters(19_456, 2)!r})"
