"""Claims about hashing and verifying: right passwords only, and the same work for everybody."""

import asyncio
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress

import argon2
import nacl.pwhash
import pytest

from watchword.errors import InvalidCredentials, InvalidRequest, Overloaded, UnreadableHash
from watchword.passwords import EncodedHash, Hasher, Parameters, Verified, backends
from watchword.passwords.backends import BackEnd, Timing
from watchword.passwords.encoded import SALT_BYTES, Variant

TINY = Parameters(memory_kib=8, passes=1)
PASSWORD = "correct horse battery"
WRONG = "correct horse batterz"


def honest(parameters: Parameters) -> float:
    """The seconds of a hash on a machine on which only KiB count; lanes are threads that no stopwatch of ours sees."""
    return 0.0 if parameters.lanes > 1 else 1e-6 * parameters.work


class Counter:
    """A back end that writes down what it was asked for, and computes it by a real one; its time is made up."""

    def __init__(self, takes: Callable[[Parameters], float]) -> None:
        self.asked: list[Parameters] = []
        self.salts: list[bytes] = []
        self.seconds = 0.0
        self._takes = takes
        self._real = backends.available()[0]

    def derive(self, password: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
        self.asked.append(parameters)
        self.salts.append(salt)
        self.seconds += self._takes(parameters)
        return self._real.derive(password, salt, parameters, length)

    @property
    def work(self) -> int:
        """KiB filled in all."""
        return sum(parameters.work for parameters in self.asked)


@pytest.fixture
async def hasher() -> AsyncIterator[Hasher]:
    """A hasher that costs next to nothing."""
    hasher = Hasher(TINY, threads=2, max_wait=60.0)
    yield hasher
    hasher.close()


async def verify(hasher: Hasher, password: str, stored: str | None) -> Verified:
    """Verify a password in a place of its own."""
    with hasher.pool.place("somebody") as place:
        return await hasher.verify(password, stored, place=place)


def counted(hasher: Hasher, takes: Callable[[Parameters], float] = honest) -> Counter:
    """Let a hasher's work be counted from now on, and its stopwatch show what that is said to take."""
    counter = Counter(takes)
    assert hasher.fastest  # so that no back end is being timed any more, which would be counted
    hasher.backend = BackEnd("counter", counter.derive, lambda _parameters, _salt_bytes: True)
    hasher.fastest = Timing(hasher.backend, takes(hasher.parameters))
    hasher.stopwatch = lambda: counter.seconds
    return counter


def stored_as(parameters: Parameters, password: str = PASSWORD) -> str:
    """A hash as it would have been stored under these parameters."""
    salt = b"s" * SALT_BYTES
    digest = backends.derive_with(backends.available()[0], password.encode(), salt, parameters, 32)
    return str(EncodedHash(parameters, salt, digest))


class TestVerifying:
    """The right password passes and no other."""

    @pytest.mark.parametrize(
        "password",
        [
            "a", PASSWORD, "a" * 64, "a" * 72, "a" * 73, "a" * 128, "a" * 1024, "\U0001f600" * 1024, " spaces ",
            "ünïcödé", "p\x01\x7f",
        ],
        ids=lambda password: f"{len(password)} of {password[0]!a}",
    )  # fmt: skip
    async def test_a_password_proves_itself(self, hasher: Hasher, password: str) -> None:
        """Row 8: passwords of every allowed length pass in full, and fail for their last character."""
        stored = await hasher.hash(password)
        assert (await verify(hasher, password, stored)).new_hash is None
        for wrong in (password[:-1] + "~", password[:-1] or "~", password.swapcase() + "~"):
            if len(wrong) <= 1024:
                with pytest.raises(InvalidCredentials):
                    await verify(hasher, wrong, stored)

    async def test_a_keyboards_composition_does_not_matter(self, hasher: Hasher) -> None:
        """Row 6: set in NFC and claimed in NFD, or the reverse, a password passes."""
        composed, decomposed = (unicodedata.normalize(form, "Zoës Straße 한글") for form in ("NFC", "NFD"))
        assert composed != decomposed
        await verify(hasher, decomposed, await hasher.hash(composed))
        await verify(hasher, composed, await hasher.hash(decomposed))

    async def test_a_network_that_floods_leaves_others_their_turn(self) -> None:
        """Row 91: for a hash of a new password as for a login."""
        hasher = Hasher(TINY, threads=1, max_wait=1.0)
        hasher.pool.expect(0.1)
        with ExitStack() as flood:
            with suppress(Overloaded):
                for number in range(100):
                    flood.enter_context(hasher.pool.place(f"user{number}", "192.0.2.1"))
            with pytest.raises(Overloaded):
                await hasher.hash(PASSWORD, claimant="alice", network="192.0.2.1")
            assert await hasher.hash(PASSWORD, claimant="bob", network="198.51.100.7")
        hasher.close()

    async def test_equal_passwords_have_different_hashes(self, hasher: Hasher) -> None:
        """Row 17: two hashes of one password share neither salt nor digest, and the salt has 16 bytes."""
        one, other = EncodedHash.parse(await hasher.hash(PASSWORD)), EncodedHash.parse(await hasher.hash(PASSWORD))
        assert one.salt != other.salt
        assert one.digest != other.digest
        assert (len(one.salt), len(one.digest), one.parameters) == (16, 32, TINY)

    async def test_the_configured_cost_is_what_is_stored(self) -> None:
        """Row 17: with the default cost a stored hash begins as the OWASP list asks."""
        hasher = Hasher(Parameters(memory_kib=19_456, passes=2), threads=1, max_wait=60.0)
        try:
            assert (await hasher.hash(PASSWORD)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        finally:
            hasher.close()

    async def test_a_slow_hash_of_another_system_holds_up_no_outcome_of_others(self) -> None:
        """Logins that are proven are told before a thread begins a hash that may take seconds."""
        hasher = Hasher(TINY, threads=1, max_wait=60.0)
        try:
            stored = await hasher.hash(PASSWORD)
            slow = f"pbkdf2:sha256:1000000$salt${'c' * 64}"
            all_are_there = threading.Event()
            first = asyncio.create_task(hasher.pool.run(all_are_there.wait))
            claims = [stored] * 4 + [slow] + [stored] * 4
            tasks = [asyncio.create_task(verify(hasher, PASSWORD, each)) for each in claims]
            await asyncio.sleep(0)
            all_are_there.set()
            await asyncio.gather(first, *tasks[:4])
            assert not tasks[4].done()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Verified] * 4 + [InvalidCredentials] + [Verified] * 4
        finally:
            hasher.close()

    async def test_other_libraries_read_our_hashes(self, hasher: Hasher) -> None:
        """A hash of ours is a PHC string that argon2-cffi and PyNaCl verify."""
        stored = await hasher.hash(PASSWORD)
        assert argon2.PasswordHasher().verify(stored, PASSWORD)
        assert nacl.pwhash.verify(stored.encode(), PASSWORD.encode())

    @pytest.mark.parametrize(
        "theirs",
        [
            argon2.PasswordHasher(1, 8, 1),
            argon2.PasswordHasher(2, 64, 4),
            argon2.PasswordHasher(1, 8, 1, hash_len=64, salt_len=32),
            argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I),
            argon2.PasswordHasher(1, 8, 1, type=argon2.Type.D),
        ],
        ids=["argon2id", "lanes", "lengths", "argon2i", "argon2d"],
    )
    async def test_we_read_hashes_of_other_libraries(self, hasher: Hasher, theirs: argon2.PasswordHasher) -> None:
        """A hash that argon2-cffi stored, in any variant and of any length, verifies here."""
        stored = theirs.hash(PASSWORD)
        await verify(hasher, PASSWORD, stored)
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, stored)

    async def test_both_back_ends_read_each_others_hashes(self, hasher: Hasher) -> None:
        """Row 17: a machine that changes its back end keeps all its users."""
        hashes = []
        for backend in backends.available():
            hasher.backend = backend
            hashes.append(await hasher.hash(PASSWORD))
        for backend in backends.available():
            hasher.backend = backend
            for stored in hashes:
                await verify(hasher, PASSWORD, stored)

    @pytest.mark.parametrize(
        "password", ["", "a\x00b", "\ud800", "a" * 1025], ids=["empty", "NUL", "surrogate", "long"]
    )
    async def test_what_is_no_password_is_refused_before_any_work(self, hasher: Hasher, password: str) -> None:
        """Rows 9 to 11: what cannot be a password is refused without a hash, whatever is stored."""
        counter = counted(hasher)
        for stored in (None, "corrupt", stored_as(TINY)):
            with pytest.raises(InvalidRequest):
                await verify(hasher, password, stored)
        with pytest.raises(InvalidRequest):
            await hasher.hash(password)
        assert counter.asked == []


class TestWork:
    """Every claim costs one hash at the current parameters (rows 1 and 2)."""

    async def test_setting_a_password_costs_one_hash(self, hasher: Hasher) -> None:
        """A new password is hashed once."""
        counter = counted(hasher)
        await hasher.hash(PASSWORD)
        assert counter.asked == [TINY]

    @pytest.mark.parametrize(
        ("password", "stored", "refusal"),
        [
            pytest.param(PASSWORD, None, InvalidCredentials, id="unknown or without password"),
            pytest.param(PASSWORD, "", UnreadableHash, id="empty"),
            pytest.param(PASSWORD, "!", UnreadableHash, id="locked"),
            pytest.param(PASSWORD, "$2b$12$" + "a" * 53, UnreadableHash, id="bcrypt"),
            pytest.param(PASSWORD, stored_as(TINY)[:-30], UnreadableHash, id="cut"),
            pytest.param(PASSWORD, stored_as(TINY).encode(), UnreadableHash, id="bytes"),
            pytest.param(PASSWORD, stored_as(TINY).replace("m=8", "m=4294967295"), UnreadableHash, id="too costly"),
            pytest.param(PASSWORD, stored_as(TINY)[:-1] + "!", UnreadableHash, id="no base64"),
            pytest.param(WRONG, stored_as(TINY), InvalidCredentials, id="wrong"),
            pytest.param(PASSWORD, stored_as(TINY), None, id="right"),
        ],
    )
    async def test_every_path_costs_one_hash(
        self, hasher: Hasher, password: str, stored: str | None, refusal: type[Exception] | None
    ) -> None:
        """Rows 1, 2 and 19: unknown, unreadable, wrong and right cost exactly one hash at the current parameters."""
        counter = counted(hasher)
        if refusal is None:
            assert (await verify(hasher, password, stored)).new_hash is None
        else:
            with pytest.raises(refusal):
                await verify(hasher, password, stored)
        assert counter.asked == [TINY]

    @pytest.mark.parametrize(
        ("stored", "are_told"),
        [
            (None, False),
            (stored_as(Parameters(256, 2)), False),
            (stored_as(Parameters(8, 1)), False),
            (stored_as(Parameters(64, 8)), False),
            (stored_as(Parameters(257, 2)), True),
            (f"pbkdf2:sha256:1$salt${'0' * 64}", True),
        ],
    )
    async def test_others_are_told_before_a_longer_hash_alone(
        self, stored: str | None, are_told: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Row 2: who comes first in the next bunch waits for it the longest, which would tell that there is a user."""
        hasher = Hasher(Parameters(256, 2), threads=1, max_wait=1.0)
        told = []
        monkeypatch.setattr(hasher.pool, "tell", lambda: told.append(stored))
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, stored)
        hasher.close()
        assert bool(told) is are_told

    @pytest.mark.parametrize("variant", ["argon2i", "argon2d"])
    async def test_a_hash_that_nobody_here_computes_costs_one_hash(
        self, hasher: Hasher, variant: Variant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Row 2: a readable hash whose variant no library of this machine has is unreadable, for the same work."""
        stored = stored_as(Parameters(8, 1, variant=variant))
        counter = counted(hasher)
        only = BackEnd("only", counter.derive, lambda parameters, _salt_bytes: parameters.variant == "argon2id")
        hasher.backend = only
        monkeypatch.setattr(backends, "available", lambda: (only,))
        with pytest.raises(UnreadableHash):
            await verify(hasher, PASSWORD, stored)
        assert counter.asked == [TINY]

    @pytest.mark.parametrize("current", [Parameters(256, 2), Parameters(300, 3), Parameters(1024, 1)], ids=str)
    @pytest.mark.parametrize(
        "old",
        [
            Parameters(8, 1),
            Parameters(8, 3),
            Parameters(64, 1),
            Parameters(101, 2),
            Parameters(255, 2),
            Parameters(64, 1, lanes=4),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("password", [PASSWORD, WRONG], ids=["right", "wrong"])
    async def test_an_older_cheaper_hash_is_topped_up(
        self, current: Parameters, old: Parameters, password: str
    ) -> None:
        """Row 2: a hash of older parameters costs them and the rest to the current ones, to within rounding."""
        hasher = Hasher(current, threads=1, max_wait=60.0)
        counter = counted(hasher)
        try:
            right = (await verify(hasher, password, stored_as(old))).new_hash is not None
        except InvalidCredentials:
            right = False
        finally:
            hasher.close()
        assert right == (password == PASSWORD)
        if right:  # the new hash comes on top, after the password was proven
            assert counter.asked.pop() == current
        assert counter.asked[0] == old
        assert len(counter.asked) <= 2
        assert current.work - 8 * current.passes < counter.work <= current.work

    @pytest.mark.parametrize(
        "old", [Parameters(160, 3), Parameters(64, 1), Parameters(8, 1), Parameters(255, 2)], ids=str
    )
    async def test_it_is_topped_up_by_what_it_took(self, old: Parameters) -> None:
        """Row 2: where hashes in less memory are quicker than their KiB say, an old one takes as long all the same."""
        current = Parameters(256, 2)
        hasher = Hasher(current, threads=1, max_wait=60.0)
        counter = counted(hasher, lambda asked: honest(asked) * (0.8 + 0.2 * asked.memory_kib / current.memory_kib))
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, stored_as(old))
        hasher.close()
        assert honest(current) - honest(Parameters(8, 2)) < counter.seconds <= honest(current)

    async def test_it_is_topped_up_to_what_hashes_take_now(self) -> None:
        """Row 2: when hashes have become slower than they were at the start, an old one is as slow as others."""
        current, slowness = Parameters(256, 2), 1
        hasher = Hasher(current, threads=1, max_wait=60.0)
        counter = counted(hasher, lambda asked: slowness * honest(asked))
        slowness = 3
        seconds = []
        for stored in (None, stored_as(Parameters(64, 2))):
            before = counter.seconds
            with pytest.raises(InvalidCredentials):
                await verify(hasher, WRONG, stored)
            seconds.append(counter.seconds - before)
        hasher.close()
        assert seconds == pytest.approx([3 * honest(current)] * 2)

    async def test_a_dearer_hash_is_not_topped_up(self, hasher: Hasher) -> None:
        """A hash that costs more than the current parameters costs just that."""
        dearer = Parameters(64, 2)
        counter = counted(hasher)
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, stored_as(dearer))
        assert counter.asked == [dearer]

    async def test_no_two_hashes_of_nobody_share_a_salt(self, hasher: Hasher) -> None:
        """The work for somebody unknown is a real hash with a salt of its own each time."""
        counter = counted(hasher)
        for _ in range(2):
            with pytest.raises(InvalidCredentials):
                await verify(hasher, PASSWORD, None)
        assert len(set(counter.salts)) == 2


class TestRehashing:
    """A good login brings an old hash up to date (row 18)."""

    @pytest.mark.parametrize(
        "old",
        [
            Parameters(16, 1),
            Parameters(8, 2),
            Parameters(1024, 3),
            Parameters(16, 1, lanes=2),
            Parameters(8, 1, variant="argon2i"),
        ],
        ids=str,
    )
    async def test_a_right_password_yields_the_new_hash(self, hasher: Hasher, old: Parameters) -> None:
        """Row 18: after the right password the new hash has the current parameters, verifies and needs no other."""
        verified = await verify(hasher, PASSWORD, stored_as(old))
        assert verified.new_hash is not None
        assert EncodedHash.parse(verified.new_hash).parameters == TINY
        assert (await verify(hasher, PASSWORD, verified.new_hash)).new_hash is None
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, verified.new_hash)

    @pytest.mark.parametrize(("salt", "digest"), [(22, 32), (8, 32), (16, 16)])
    async def test_a_salt_or_a_digest_of_another_length_is_old_too(
        self, hasher: Hasher, salt: int, digest: int
    ) -> None:
        """Rows 2 and 18: one back end reads ours alone, and by the other's time somebody could tell who exists."""
        theirs = argon2.PasswordHasher(TINY.passes, TINY.memory_kib, 1, hash_len=digest, salt_len=salt).hash(PASSWORD)
        verified = await verify(hasher, PASSWORD, theirs)
        assert verified.new_hash is not None
        assert (await verify(hasher, PASSWORD, verified.new_hash)).new_hash is None

    async def test_a_wrong_password_yields_nothing(self, hasher: Hasher) -> None:
        """Row 18: a wrong password changes no hash."""
        counter = counted(hasher)
        with pytest.raises(InvalidCredentials):
            await verify(hasher, WRONG, stored_as(Parameters(16, 1)))
        assert TINY not in counter.asked
