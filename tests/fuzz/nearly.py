"""Inputs that are nearly right, which find more than bytes at random: they get past the first check.

A strategy is a Hypothesis one. JSON is made as text, by a grammar, as no writer of JSON would repeat a member, cut an
escape in two or spell a letter as one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from watchword.endpoints import MAX_BODY_BYTES

T = TypeVar("T")

BLANKS: Final = st.sampled_from(["", "", "", " ", "\n\t ", "\r\n"])
ODD_BLANKS: Final = st.sampled_from(["\x00", "\x0b", "\xa0", "\ufeff", "//", "/**/", "\u2028"])

STORABLE: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
ODD_STRINGS: Final = st.sampled_from(
    [
        *(
            r'"\u0000"',
            r'"a\u0000b"',
            r'"\ud83d"',
            r'"\ude00\ud83d"',
            r'"\ud83d\ude00"',
            r'"\u00e9"',
            '"\x00"',
            '"\x1f"',
        ),
        *('"\x7f"', '"', '"\\', r'"\x41"', r'"\u12"', "'a'", '"a" "b"', r'"\uFEFF"', '"' + "a" * 1025 + '"', r'"\/"'),
    ]
)
ODD_VALUES: Final = st.sampled_from(
    [
        *(
            "NaN",
            "-Infinity",
            "1e999",
            "-1e999",
            "1" * 21,
            "1" * 3000,
            "01",
            "+1",
            "-",
            ".5",
            "0x1",
            "1_0",
            "-0",
            "1e5",
        ),
        *(
            "true",
            "nul",
            "undefined",
            "[" * 40 + "]" * 40,
            '{"a":' * 33 + "1" + "}" * 33,
            "[" * 3000,
            "[,]",
            "[1,]",
            "{,}",
        ),
        *('{"a":1,"a":2}', '{"a"}', "{1:2}", "", "`a`", "\ud800", "\U0001f600", "١"),
    ]
)
JUNK: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**21), 10**21)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STORABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STORABLE, inner, max_size=3),
    max_leaves=6,
)
"""JSON values of every kind."""


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A JSON string of a text, each of whose characters may be escaped."""
    parts = []
    for character in text:
        units = character.encode("utf-16-be")
        escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
        must = character in '"\\' or character < " "
        parts.append(escaped if must or draw(st.integers(0, 9)) == 0 else character)
    return f'"{"".join(parts)}"'


def _values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A JSON value, mostly a right one, or what is nearly one."""
    right = texts.flatmap(spelled)
    return seldom(right, seldom(STORABLE.flatmap(spelled) | JUNK.map(json.dumps), ODD_STRINGS | ODD_VALUES))


def seldom(usual: st.SearchStrategy[T], other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The one, and in one of five cases the other: what is wrong in many places is refused for the first."""
    return st.integers(0, 4).flatmap(lambda number: usual if number else other)


@st.composite
def good_objects(draw: st.DrawFn, members: Mapping[str, str]) -> bytes:
    """A JSON object that has these members, whatever else it has, however it is spelt, and in whatever order."""
    others = draw(st.dictionaries(STORABLE.filter(lambda name: name not in members), FITTING, max_size=2))
    pairs = [(draw(spelled(name)), draw(spelled(text))) for name, text in members.items()]
    pairs += [(draw(spelled(name)), json.dumps(value)) for name, value in others.items()]
    return _joined(draw, draw(st.permutations(pairs)), BLANKS).encode()


FITTING: Final = st.none() | st.booleans() | st.integers(-(10**20) + 1, 10**20 - 1) | STORABLE


def near_objects(names: Sequence[str], texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """What is nearly a JSON object with members of these names, or is one whose values are nearly right.

    Args:
        names: of the members that are looked for.
        texts: values that are right, or nearly.
    """
    return _near_objects(names, texts).filter(lambda body: len(body) <= MAX_BODY_BYTES)


@st.composite
def _near_objects(draw: st.DrawFn, names: Sequence[str], texts: st.SearchStrategy[str]) -> bytes:
    odd_names = st.sampled_from([*(each.upper() for each in names), *(f"{each}\u0000" for each in names), ""])
    name = seldom((st.sampled_from(names) | STORABLE).flatmap(spelled), odd_names.flatmap(spelled) | ODD_STRINGS)
    value = _values(texts)
    pairs = [(draw(spelled(each)), draw(value)) for each in names]
    pairs = draw(seldom(st.just(pairs), st.lists(st.sampled_from(pairs), max_size=2)))
    pairs += draw(seldom(st.just([]), st.lists(st.tuples(name, value), max_size=2)))
    text = _joined(draw, draw(st.permutations(pairs)), draw(seldom(st.just(BLANKS), st.just(ODD_BLANKS))))
    return draw(mangled(text.encode("utf-8", "surrogatepass")))


@st.composite
def mangled(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes, mostly as they are; or else cut, lengthened, or with some of them replaced."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 3)))
    changed = (
        st.just(data[:start])
        | st.binary(max_size=3).map(lambda some: data[:start] + some + data[end:])
        | st.sampled_from([b"\xef\xbb\xbf", b" ", b"1", b"\xff"]).map(lambda some: some + data)
        | st.sampled_from([b"1", b"{}", b"\x00", b",", b"\xc3"]).map(lambda some: data + some)
        | st.sampled_from(["utf-16", "utf-16-le", "utf-32"]).map(lambda name: data.decode("latin-1").encode(name))
    )
    return draw(seldom(st.just(data), changed))


def documents(members: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """What is nearly the JSON document of these members: some are missing, or of another kind, or it is cut."""
    changed = st.fixed_dictionaries({}, optional={name: st.just(value) | JUNK for name, value in members.items()})
    whole = changed.map(lambda some: {**members, **some}) | changed
    return (whole | JUNK).map(lambda value: json.dumps(value).encode()).flatmap(mangled) | near_objects(
        list(members), st.sampled_from([str(value) for value in members.values()])
    )


def near_texts(text: str, *more: str) -> st.SearchStrategy[str]:
    """A text in which up to three words or marks are missing, doubled or others, or seldom any text at all.

    Args:
        text: what is right.
        more: words that may stand in it.
    """
    return seldom(_near_texts(text, more), st.text(max_size=len(text)))


@st.composite
def _near_texts(draw: st.DrawFn, text: str, more: Sequence[str]) -> str:
    parts = re.findall(r"\w+|\W", text)
    words = st.sampled_from([*parts, *more]) | st.text(max_size=3)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(parts)))
        parts[start : start + draw(st.integers(0, 2))] = draw(st.lists(words, max_size=2))
    return "".join(parts)


def _joined(draw: st.DrawFn, pairs: list[tuple[str, str]], blanks: st.SearchStrategy[str]) -> str:
    def blank() -> str:
        return draw(blanks)

    members = (f"{blank()}{name}{blank()}:{blank()}{value}{blank()}" for name, value in pairs)
    return f"{blank()}{{{','.join(members) or blank()}}}{blank()}"
