"""Claims about the rules for new passwords: length and guessing count, and nothing else is asked."""

import base64
import hashlib
import secrets
import sys
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from tests.builders import cheap_settings
from watchword.errors import InvalidRequest, WeakPassword
from watchword.instruments import build_password_rules
from watchword.passwords import PasswordRules
from watchword.passwords.guessable import without

RULES = PasswordRules(min_length=15, service_names=("accounts.harbour.example",))
SHORT = PasswordRules(min_length=8)
PHRASE = "wenn der Fluß 渡る 😀 ɐ ö"
"""Twenty-three code points of any kind."""


def broken(password: str, *, username: str = "nobody", rules: PasswordRules = RULES) -> tuple[str, ...]:
    """The words of the rules that a password breaks."""
    try:
        rules.check(password, username=username)
    except WeakPassword as refusal:
        return refusal.reason_codes
    return ()


class TestLength:
    """A new password is long enough, in code points."""

    @pytest.mark.parametrize(
        "password",
        [
            "quartz bird lam", "éàüöïñçøåæœßðþł", "e\u0301quartz bird la",
            "😀🎈🐙🚲🌵🥨🪁🧭🎷🦉🍄🛶🎲🐝🧵", "한국어로쓴긴비밀번호문장입니다",
        ],
        ids=ascii,
    )  # fmt: skip
    def test_length_counts_code_points(self, password: str) -> None:
        """Row 12: fourteen characters are refused and fifteen taken, whatever bytes they are."""
        assert broken(password) == ()
        assert broken(password[:-1]) == ("too_short",)

    def test_the_sentence_says_how_long_and_repeats_nothing(self) -> None:
        """Row 98: it tells both lengths, and nothing of what somebody wanted as a password."""
        with pytest.raises(WeakPassword) as refusal:
            RULES.check("canary", username="nobody")
        assert refusal.value.reasons == ("The password must have at least 15 characters, this one has 6",)

    def test_what_is_no_password_cannot_be_set(self) -> None:
        """Rows 9 to 11: what a login would refuse as unreadable cannot be set either."""
        for password in ("", "a\x00" + "b" * 20, "\ud800" * 20, "a" * 1025):
            with pytest.raises(InvalidRequest):
                RULES.check(password, username="nobody")


class TestComposition:
    """Which characters there are is nobody's business (row 13)."""

    @pytest.mark.parametrize(
        "password",
        [
            "alllowercaseletters", "ALLUPPERCASELETTERS", "spaces in the middle", " at both ends of it ",
            "80293716451908237", "correct horse battery staple", "another long password", PHRASE,
            "три слова подряд здесь", "ﬁﬁ ﬂour for ﬁve",
            "🚲🌵🥨🪁🧭🎷🦉🍄🛶🎲🐝🧵🪑🎈🐙", "\t!\"§$%&/()=?`´*'_:", "x" * 3 + "the rest is another matter" + "x" * 3,
        ],
        ids=ascii,
    )  # fmt: skip
    def test_there_is_no_rule_of_composition(self, password: str) -> None:
        """Row 13: one kind of character is enough, and any kind is welcome, spaces too."""
        assert broken(password) == ()

    def test_the_longest_passwords_are_taken(self) -> None:
        """Row 8: 1024 code points can be set."""
        assert broken(secrets.token_urlsafe(768)) == ()
        assert broken("".join(chr(0x4E00 + number * 17) for number in range(1024))) == ()

    @given(words=st.lists(st.sampled_from(FREQUENCY_LISTS["english_wikipedia"][100:5000]), min_size=6, max_size=8))
    def test_a_passphrase_of_common_words_is_taken(self, words: list[str]) -> None:
        """The whole is compared, not the words in it (NIST SP 800-63B-4 §3.1.1.2): several are never refused."""
        distinct = " ".join(dict.fromkeys(word for word in words if len(word) > 4))
        if len(distinct) >= 30:
            assert broken(distinct, rules=PasswordRules(min_length=15)) == ()

    def test_generated_passwords_are_taken(self) -> None:
        """What a password manager makes is never refused, so that an import of thousands has no line that fails.

        The same ones each time; with a filter that errs once in a million, one of twelve thousand was refused.
        """
        drawn = hashlib.shake_256(b"a password manager").digest(18 * 10_000)
        made = [base64.urlsafe_b64encode(drawn[at : at + 18]).decode() for at in range(0, len(drawn), 18)]
        assert [password for password in made if broken(password)] == []


class TestGuessable:
    """What a guesser tries early is refused (row 14)."""

    def test_the_commonest_passwords_are_refused(self) -> None:
        """Row 14: none of the first three thousand can be set, being too short or, where that would do, common."""
        for password in FREQUENCY_LISTS["passwords"][:3000]:
            assert broken(password) in {("too_short",), ("too_common",)}
            assert broken(password, rules=SHORT) in {("too_short",), ("too_common",)}

    def test_a_breached_password_is_refused_however_long(self) -> None:
        """Row 14: all of the bundled list, where length alone would allow it."""
        long = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= 8]
        assert len(long) > 5000
        assert {broken(password, rules=SHORT) for password in long} == {("too_common",)}

    @pytest.mark.parametrize(
        "password",
        [
            "password12345678", "Password12345678", "P@ssw0rd1234567!", "passwordpassword", "passwordPASSWORDpassword",
            "letmeinletmein12", "L3tmeinL3tmein!!", "iloveyouiloveyou", "Summer2024!!!!!!", "administrator123",
            "uncharacteristically", "    football   ", "....football....", "hunter2 hunter2 hunter2",
            "123456789012345", "098765432109876", "qwertyuiopasdfgh", "QWERTZUIOPÜ12345", "1qaz2wsx3edc4rfv",
            "q1w2e3r4t5y6u7i8", "abcdefghijklmno", "zyxwvutsrqponml", "йцукенгшщзфывап", "абвгдежзийклмно",
            "aaaaaaaaaaaaaaa", "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "한글한글한글한글한글한글한글한글", "xkqzvxkqzvxkqzv",
            "a" * 1024, "ab" * 512, "1234567890" * 100,
        ],
        ids=lambda password: ascii(password)[:40],
    )  # fmt: skip
    def test_little_more_than_something_common_is_refused(self, password: str) -> None:
        """Row 14: a common word even doubled, padded or spelled with digits, a row of keys, a repetition."""
        assert broken(password) == ("too_common",)

    @pytest.mark.parametrize(
        "password", ["football xkq7vzpw", "12345678 xkq7vzpw", "xkq7vzpw" + "a" * 20, "f00tb4ll-xkq7vzpw"]
    )
    def test_eight_characters_of_ones_own_are_enough(self, password: str) -> None:
        """What is left besides has only to be as long as the shortest password that an operator may allow."""
        assert broken(password) == ()
        assert broken(password.replace("xkq7vzpw", "xkq7vz").ljust(15, "a")) == ("too_common",)


class TestNames:
    """The names of the user and of the service count for nothing (row 14)."""

    @pytest.mark.parametrize(
        ("password", "username"),
        [
            ("alice in wonderland"[:15], "Alice"), ("ALICE-1-2-3-4-5", "alice"), ("my name is 4l1c3", "alice"),
            ("smith is my name", "alice.smith@example.com"), ("Zoë zahlt heute", "ZOË zahlt"),
            ("it is alice2024 now", "alice2024"),
            ("m4ria.van.der.laanqzvxwpk", "maria.van.der.laan"), ("jana.de.l4.cruz.qzvxwp", "jana.de.la.cruz"),
            ("r2d2c3p099qxv!zk", "r2d2c3po99"), ("j0hn5m1th42qxv!zk", "j0hn5mith42"),
            ("alicesmithzq7xw", "ＡＬＩＣＥＳＭＩＴＨ"), ("ＡＬＩＣＥＳＭＩＴＨzq7xw", "ＡＬＩＣＥＳＭＩＴＨ"),
            ("hélènezq7xwbvtm", "he\u0301le\u0300ne"), ("ΠΑΠΑΔΟΠΟΥΛΟΣzq7x", "παπαδοπουλος"),
            ("μαΐστρος7xkvqwb".upper(), "μαΐστρος"),
            ("aliceİbİqİdİeİf", "alice"), ("anderssonzq7xwkb2vdhp", "anders.ersson"),
        ],
    )  # fmt: skip
    def test_a_password_that_lives_on_the_user_name_is_refused(self, password: str, username: str) -> None:
        """Row 14: without the name, or a part of it, it would be too short."""
        assert "contains_username" in broken(password, username=username)
        assert "contains_username" not in broken(password, username="nobody")

    @pytest.mark.parametrize(
        "password",
        [
            "my watchword 187", "Watchword-Watchword-1", "w4tchw0rd 7 kqz v", "harbour gates 77", "accounts x7qvz 1",
            "accounts.harbour.example",
        ],
    )  # fmt: skip
    def test_a_password_that_lives_on_the_services_name_is_refused(self, password: str) -> None:
        """Row 14: Watchword's own name, the issuer's host and its parts."""
        assert "contains_service_name" in broken(password)

    def test_the_services_own_rules_know_its_host(self, tmp_path: Path) -> None:
        """What the operator set as ISSUER and PASSWORD_MIN_LENGTH is what counts."""
        settings = cheap_settings(
            instance=tmp_path, database_url="", issuer="https://harbour.example:8443", password_min_length=12
        )
        assert build_password_rules(settings) == PasswordRules(12, service_names=("harbour.example",))

    def test_a_name_within_a_long_enough_password_is_no_matter(self) -> None:
        """What is left has the length that is asked for."""
        assert broken("malice aforethought and so on", username="alice") == ()
        assert broken("no harbour in sight of the crew") == ()

    @pytest.mark.parametrize("username", ["al", "bob", "1", "x" * 200, "-", "\u0301"])
    def test_short_names_are_no_names(self, username: str) -> None:
        """Of three characters or fewer they are in too many words; and no name is an error."""
        assert broken("about all bobsled races", username=username) == ()

    def test_names_and_padding_do_not_add_up_to_a_password(self) -> None:
        """Where a low length would allow it without the name, what is left is still not guessable."""
        assert broken("watchword12345678", rules=SHORT) == ("too_common",)
        assert broken("alicepassword99", username="alice", rules=SHORT) == ("too_common",)

    @pytest.mark.parametrize("username", ["nobody", "cou", "ccounts", "harb", "mple"])
    def test_a_name_hides_no_other(self, username: str) -> None:
        """One that is a part of the service's name, as whoever chooses a name can know, leaves that name found."""
        assert broken("accounts.harbour.example" + "a" * 15, username=username) == ("too_common",)


def test_names_that_overlap_are_taken_out_whole() -> None:
    """In whatever order they come: two processes would judge differently, as each has its own order of a set."""
    assert without("x tomatomato", ["toma", "mato"]) == without("x tomatomato", ["mato", "toma"]) == "x \0"


def test_the_work_does_not_grow_with_the_words_in_a_password() -> None:
    """Row 11: rows of keys are full of common words, and a thousand letters are not read again for each of them."""
    rows = "1234567890qwertyuiopasdfghjklzxcvbnm1q2w3e4r5t6y7u8i9o0pqazwsxed"
    nested = "xk9%vl" + "a" * 550 + "b" + "a" * 200 + "b" + "a" * 200
    assert broken(rows + nested) == ()
    assert calls_for(rows + nested) < 40_000


def calls_for(password: str) -> int:
    """How many functions are called to check a password."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        broken(password)
    finally:
        sys.setprofile(before)
    return calls


@given(password=st.text(min_size=1, max_size=300), username=st.text(max_size=40))
def test_any_text_is_taken_or_refused(password: str, username: str) -> None:
    """No text makes anything escape but the two refusals."""
    try:
        RULES.check(password, username=username)
    except (InvalidRequest, WeakPassword):
        return
    assert len(password) >= 15
