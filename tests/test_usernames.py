"""Claims about user names: which texts are one, and which two are the same."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from precis_i18n import get_profile

from watchword.errors import InvalidUsername
from watchword.usernames import MAX_CODE_POINTS, canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "ALICE"),
        ("alice", "ＡＬＩＣＥ"),
        ("zoë", "ZOE\u0308"),
        ("é" * 128, "É" * 128),
        ("straße", "STRAẞE"),
        ("σ", "Σ"),
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("アリス", "ｱﾘｽ"),
        ("a.b_c-d@e+f", "A.B_C-D@E+F"),
    ],
)
def test_two_spellings_of_a_name_are_one_user(one: str, other: str) -> None:
    """Case, width and composition make no difference."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [("alice", "аlice"), ("ss", "ß"), ("resume", "résumé"), ("i", "ı"), ("a", "a1"), ("o", "0")]
)
def test_names_that_only_look_alike_stay_apart(one: str, other: str) -> None:
    """Row 7: letters of other scripts, marks and digits make another user."""
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "alice ", " alice", "al ice", "al\u00a0ice", "al\u3000ice", "alice\n", "alice\x00", "\x00", "\x7f",
        "al\u0085ice", "a\u200bb",
        "a\u200db", "a\u202eb", "\ufeffalice", "ﬁ", "²", "Ⅳ", "ℌ", "\ud800", "a\udfff", "\U0001f600", "a\u0378",
        "\ue000", "אb", "\uffff", "\U0010ffff",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_name_is_refused(name: str) -> None:
    """Rows 9, 10, 34: spaces, controls, NUL, zero widths, compatibility forms, surrogates, symbols: InvalidUsername."""
    with pytest.raises(InvalidUsername):
        canonical(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("al ice", "spaces"),
        ("al\u200bice", "characters that nobody sees"),
        ("alice\udceb", "what is not UTF-8"),
        ("ﬁx", "characters that stand for others"),
        ("שa1", "letters that are read from right to left"),
        ("\U0001f600", "symbols"),
        ("a\u0378", "characters that Unicode does not know"),
        ("م\u0640", "characters that only lengthen or repeat others"),
    ],
    ids=ascii,
)
def test_it_is_said_what_is_wrong_with_a_name(name: str, reason: str) -> None:
    """In words for who chose it, and not in those of PRECIS."""
    with pytest.raises(InvalidUsername, match=f"cannot have {reason}"):
        canonical(name)


def test_length_ends_at_the_bound() -> None:
    """Row 11: a name of the greatest length is one, a longer one is refused before anything is computed."""
    assert canonical("é" * MAX_CODE_POINTS) == "é" * MAX_CODE_POINTS
    for name in ("a" * (MAX_CODE_POINTS + 1), "é" * (MAX_CODE_POINTS + 1), "\ud800" * 10_000_000):
        with pytest.raises(InvalidUsername, match=str(MAX_CODE_POINTS)):
            canonical(name)


@pytest.mark.parametrize("dot", ["\u30fb", "\uff65"])
def test_katakana_middle_dots_end_at_the_bound(dot: str) -> None:
    """Row 11: for each of them a whole name is read, so what is almost nothing else is refused before any is."""
    assert canonical(dot * 8 + "カ") == "\u30fb" * 8 + "カ"
    with pytest.raises(InvalidUsername, match="at most 8 katakana middle dots"):
        canonical(dot * 9 + "カ")


@pytest.mark.parametrize("begins", ["ا" + "٠١٢٣٤٥٦٧٨٩" * 3, "۰۱۲۳۴۵۶۷۸۹" * 3], ids=["Arabic-Indic", "extended"])
def test_arabic_digits_end_at_the_bound(begins: str) -> None:
    """Row 11: so it is with these, of which a telephone number has enough."""
    digit = begins[5]
    assert canonical(begins + digit * 2) == begins + digit * 2
    with pytest.raises(InvalidUsername, match="at most 32 Arabic digits"):
        canonical(begins + digit * 3)


def test_a_name_that_grows_beyond_the_bound_is_refused() -> None:
    """A canonical name is a name itself, so letters that NFC takes apart count as what they become."""
    assert len(canonical("\u0958" * 64)) == 128
    with pytest.raises(InvalidUsername, match=str(MAX_CODE_POINTS)):
        canonical("\u0958" * 65)


def test_the_short_way_for_ascii_leads_to_the_same_place() -> None:
    """Each visible ASCII character is treated as the profile itself would."""
    profile = get_profile("UsernameCaseMapped")
    visible = [chr(code) for code in range(0x21, 0x7F)]
    for one in visible:
        for other in visible:
            assert canonical(one + other) == profile.enforce(one + other)
    for code in {*range(0x80)} - {*range(0x21, 0x7F)}:
        with pytest.raises(InvalidUsername):
            canonical(f"a{chr(code)}")


@settings(deadline=None)
@given(name=st.text(max_size=140) | st.text(st.characters(categories=["L", "M", "N"]), max_size=20))
def test_any_text_is_a_name_or_is_refused(name: str) -> None:
    """No text makes anything escape but InvalidUsername, and the canonical form of a canonical form is itself."""
    try:
        form = canonical(name)
    except InvalidUsername:
        return
    assert 1 <= len(form) <= MAX_CODE_POINTS
    assert canonical(form) == form
