"""JSON from strangers, read once and strictly: request bodies, tokens, files of users, what a login service answers.

Two readers of one text must never see two things, and no text may cost more than its length. So beyond
RFC 8259 this refuses what parsers quarrel about: repeated members, NaN and Infinity, numbers beyond a double, integers
beyond 20 characters, deep nesting, a byte order mark, UTF-16, lone surrogates, and NUL (which PostgreSQL cannot store).
"""

import json
import re
from math import isfinite
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_INTEGER_DIGITS = 20

_OPENERS = re.compile(rb"[\[{]")
# A string (or what is left of one: it always matches, so time stays linear) or a bracket.
_STRUCTURE = re.compile(rb'"(?:[^"\\]+|\\.|\\\Z)*+"?|[\[{]|[\]}]', re.DOTALL)
_ESCAPE = "\\u"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def loads(data: bytes) -> Any:
    """Parse one JSON text.

    Args:
        data: the text's bytes, UTF-8 without a byte order mark.

    Returns:
        None, bool, int, float, str, list or dict.

    Raises:
        ValueError: the text is not JSON in the strict sense above; the message holds nothing of the text.
    """
    if len(_OPENERS.findall(data)) > MAX_DEPTH:
        _measure_depth(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    if _ESCAPE in text:  # in strict JSON and in UTF-8 there is no other way to write them
        _refuse_unstorable(value)
    return value


def _measure_depth(data: bytes) -> None:
    """Count brackets outside strings, before a recursive parser meets them."""
    depth = 0
    for token in _STRUCTURE.finditer(data):
        if token[0] in {b"[", b"{"}:
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif token[0] in {b"]", b"}"}:
            depth -= 1


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse_unstorable(value: Any) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise ValueError("NUL or a lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_unstorable(name)
            _refuse_unstorable(item)


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_INTEGER_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
