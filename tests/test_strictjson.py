"""Claims about the strict JSON reader: what it takes means the same to every reader, and the rest is refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword import strictjson

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20) + 1, 10**20 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STORABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STORABLE, inner, max_size=4),
    max_leaves=12,
)
# Texts that are nearly JSON find more than bytes at random do.
NEARLY_JSON = st.lists(
    st.sampled_from(
        '{ } [ ] , : " \\ \\u0000 \\ud83d \\ude00 a "a" "b" 1 -0 0.5 1e5 1e999 01 true null NaN \t \x7f é'.split(" ")
    ),
    max_size=24,
).map("".join)


def _nested(opener: str, closer: str, depth: int, *, core: str = "1") -> bytes:
    return f"{opener * depth}{core}{closer * depth}".encode()


@settings(deadline=None)
@given(value=VALUES)
def test_what_json_writes_is_read_back_as_it_was(value: Any) -> None:
    """Any storable value survives the way through JSON text, whichever way its characters are spelt."""
    assert repr(strictjson.loads(json.dumps(value).encode())) == repr(value)
    assert repr(strictjson.loads(json.dumps(value, ensure_ascii=False, indent=1).encode())) == repr(value)


@settings(deadline=None)
@given(data=st.binary(max_size=64) | NEARLY_JSON.map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b'"\\')
@example(b'{"a":1,"a":1}')
def test_what_is_taken_is_what_the_standard_reader_sees(data: bytes) -> None:
    """A text is either refused with ValueError or read just as the standard library reads it."""
    try:
        value = strictjson.loads(data)
    except ValueError:
        return
    assert repr(value) == repr(json.loads(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="row 21: empty"),
        pytest.param(b" \n", id="row 21: blank"),
        pytest.param(b"1 2", id="two texts"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'{"a":1}//', id="comment"),
        pytest.param(b'"\n"', id="bare control character in a string"),
        pytest.param(b'{"a":1,"a":2}', id="row 22: repeated member"),
        pytest.param(b'{"a":1,"\\u0061":1}', id="row 22: repeated member, spelt differently"),
        pytest.param(b'[{"b":{"a":1,"a":1}}]', id="row 22: repeated member deep inside"),
        pytest.param(b"NaN", id="row 25: NaN"),
        pytest.param(b"[Infinity]", id="row 25: Infinity"),
        pytest.param(b'{"a":-Infinity}', id="row 25: -Infinity"),
        pytest.param(b"1e999", id="row 25: beyond a double"),
        pytest.param(b"-1.5e400", id="row 25: below a double"),
        pytest.param(b"9" * 5000, id="row 25: 5000 digits"),
        pytest.param(b"1" + b"0" * 20, id="row 25: 21 digits"),
        pytest.param("١٢".encode(), id="Arabic digits"),
        pytest.param("[1٢]".encode(), id="Arabic digit behind another"),
        pytest.param(b"01", id="leading zero"),
        pytest.param(b"0x1f", id="hexadecimal"),
        pytest.param(b"1_000", id="underscore"),
        pytest.param(b'"\xff"', id="row 26: invalid UTF-8"),
        pytest.param(b'"\xc0\xaf"', id="row 26: overlong"),
        pytest.param(b'"\xed\xa0\x80"', id="row 26: surrogate in UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="row 26: byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="row 26: UTF-16 with mark"),
        pytest.param('{"a":1}'.encode("utf-16-le"), id="row 26: UTF-16 without mark"),
        pytest.param('{"a":1}'.encode("utf-32"), id="row 26: UTF-32"),
        pytest.param(b'"\\ud800"', id="row 10: lone surrogate"),
        pytest.param(b'"\\ude00\\ud83d"', id="row 10: surrogates in the wrong order"),
        pytest.param(b'{"\\udfff":1}', id="row 10: lone surrogate in a name"),
        pytest.param(b'[[["\\ud800"]]]', id="row 10: lone surrogate in lists"),
        pytest.param(b'{"a":[{"b":["\\ud800"]}]}', id="row 10: lone surrogate in lists in objects"),
        pytest.param(b'"a\\u0000b"', id="row 9: NUL"),
        pytest.param(b'{"a\\u0000":1}', id="row 9: NUL in a name"),
        pytest.param(b'"\\u 041"', id="space in an escape"),
        pytest.param(b'"\\u+041"', id="sign in an escape"),
    ],
)
def test_what_readers_quarrel_about_is_refused(data: bytes) -> None:
    """Rows 9, 10, 21, 22, 25, 26: no text that two readers could understand differently is read at all."""
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is another test's claim
        strictjson.loads(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"99999999999999999999", 99_999_999_999_999_999_999),
        (b"-0", 0),
        (b'\t{ "a" :\r\n[ ] } ', {"a": []}),
        (b'{"A":1,"a":2,"\\u00e9":3,"e\\u0301":4}', {"A": 1, "a": 2, "é": 3, "e\u0301": 4}),
        (b'{"a":{"a":{"a":1}},"b":{"a":1}}', {"a": {"a": {"a": 1}}, "b": {"a": 1}}),
    ],
)
def test_what_only_looks_odd_is_taken(data: bytes, value: object) -> None:
    """Surrogate pairs, long numbers, white space and names that merely resemble each other are good JSON."""
    assert strictjson.loads(data) == value


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_ends_at_the_bound_and_not_before(opener: str, closer: str) -> None:
    """Row 24: what is nested as deeply as allowed is read; one level more is refused."""
    levels = strictjson.MAX_DEPTH // opener.count("[") if opener == "[" else strictjson.MAX_DEPTH
    levels = levels // 2 if opener == '[{"a":' else levels
    strictjson.loads(_nested(opener, closer, levels))
    with pytest.raises(ValueError, match="nested too deeply"):
        strictjson.loads(_nested(opener, closer, levels + 1))


def test_breadth_is_not_depth() -> None:
    """Many brackets beside each other, or inside strings, are not nesting."""
    assert len(strictjson.loads(b"[" + b"[]," * 5000 + b"[]]")) == 5001
    assert strictjson.loads(b'["' + b"[{" * 5000 + b'","\\"[[","\\\\",[]]')[0] == "[{" * 5000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 100_000, id="arrays"),
        pytest.param(b'{"a":' * 100_000, id="objects"),
        pytest.param(b"]" * 100_000 + b"[" * 100_000, id="closed before opened"),
        pytest.param(b'"]"' * 50 + b"[" * 100_000, id="brackets in strings"),
        pytest.param(b"[" * 40 + b'"' + b"\\" * 1_000_001, id="backslashes without end"),
        pytest.param(b"[" * 40 + b'"' * 1_000_001, id="quotes without end"),
        pytest.param(b"[" * 40 + b'"a\\' * 300_001, id="strings that never close"),
        pytest.param(b"1" * 1_000_000, id="a number without end"),
    ],
)
def test_hostile_lengths_are_refused_and_do_not_hang(data: bytes) -> None:
    """Rows 24 and 25: neither deep nor long texts reach the recursive parser or make a pattern backtrack."""
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is another test's claim
        strictjson.loads(data)


@pytest.mark.parametrize(
    "data", [b'{"canary":1,"canary":1}', b'["canary', b'"canary\\u0000"', b'"canary\xff"', b'["canary",1e999]']
)
def test_a_refusal_repeats_nothing_of_the_text(data: bytes) -> None:
    """A message that reaches a log or a client holds none of the bytes that somebody sent."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - any message will do that holds no canary
        strictjson.loads(data)
    assert "canary" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or "canary" not in repr(refusal.value.__context__)
