"""How much of a password is not known by heart: what is left without names, rows of keys, repetitions and a word.

Nobody is told which characters to use. What is looked at is whether a password is, but for little, something that is
tried early: "password12345678", "qwertyuiopasdfgh", "L3tmeinL3tmein!!". Several words in a row are nobody's business:
a passphrase is made of them (NIST SP 800-63B-4 §3.1.1.2 compares whole passwords, and their derivatives).

All of it is bounded, for it is asked on the event loop by whoever has an account: half a millisecond as a rule, some
milliseconds for the worst of the longest passwords. So a password is read once, and not again for each word in it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from unicodedata import normalize

from watchword.passwords.blocklist import WORD_LENGTHS, Blocklist

LEAST_LEFT: Final = 8
"""Code points that must be left; no password is ever allowed to be shorter."""

_TAKEN_OUT: Final = "\x00"
"""Stands for a word that was taken out; no password has one of its own."""
_MARKS: Final = re.compile(f"{_TAKEN_OUT}+")
_SHORTEST_NAME: Final = 4
_SHORTEST_WALK: Final = 4
_SHORTEST_REPETITION: Final = 3
_LONGEST_HEAD: Final = 64
"""Code points in which a word is looked for: it would be all but everything."""

_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü", "azertyuiop", "yxcvbnm",
    "!@#$%^&*()_+", "qazwsxedcrfvtgbyhnujmikolp", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0", "zaq12wsxcde34rfvbgt56yhnmju78iklo90p",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю",
)  # fmt: skip
_WALKS: Final = "\n".join((*_ROWS, *(row[::-1] for row in _ROWS)))

_SPELLINGS: Final[tuple[dict[int, int], ...]] = (
    {},
    str.maketrans("0134578@$!|+", "oieastbasiit"),
    str.maketrans("0134578@$!|+", "oleastbasllt"),
)
"""Digits and signs that stand for letters; "1" and "!" for two of them."""


def fold(text: str) -> str:
    """As it is compared: without regard to case, letter for letter.

    Python's own makes two of "İ", of "Σ" another letter at the end of a word than within, and leaves accents loose
    where the capital has no letter with them, as of "ΐ".
    """
    return normalize("NFC", text.lower().replace("i\u0307", "i").replace("ς", "σ"))


def names_in(name: str) -> list[str]:
    """What a guesser makes of a name: the whole of it and its parts.

    "alice.smith@example.com" is also "example", "alice" and "smith".
    """
    folded = fold(name)
    found = {folded, *re.split(r"[\W\d_]+", folded)}
    return [part for part in found if len(part) >= _SHORTEST_NAME]


def without(folded: str, names: Iterable[str]) -> str:
    """A folded password with a mark instead of each name, however the letters of either are spelled.

    Args:
        folded: the password.
        names: of one user or service or of several, folded.
    """
    distinct = set(names)
    taken = bytearray(len(folded))
    for spelling in _SPELLINGS:
        spelled = folded.translate(spelling)  # of the whole: a part found in one may belong to a name found in another
        for name in distinct:
            for place in _places(name.translate(spelling), spelled):
                taken[place : place + len(name)] = b"\x01" * len(name)
    return _MARKS.sub(_TAKEN_OUT, "".join(map(_without_the_taken, folded, taken)))


def length(folded: str) -> int:
    """Code points but for the marks."""
    return len(folded) - folded.count(_TAKEN_OUT)


def is_guessable(folded: str, words: Blocklist) -> bool:
    """Whether too little is left besides rows of keys, repetitions and one common word, even repeated.

    Args:
        folded: the password, perhaps ``without`` names.
        words: the common ones.
    """
    novel = _novel(folded)
    # A shorter word leaves enough, or is no more of the password than chance may bring.
    at_least = max(len(novel) - LEAST_LEFT + 1, (len(novel) + 1) // 2)
    return len(novel) < LEAST_LEFT or any(
        _left_of(novel, _marked(spelled, word)) < LEAST_LEFT
        for spelled, word in _words_in(folded, words, at_least=at_least)
    )


def _words_in(folded: str, words: Blocklist, *, at_least: int) -> Iterator[tuple[str, str]]:
    """The common words in a password, the longest first, each with the spelling of the password that has it."""
    others: set[str] = set()
    for spelled in {folded.translate(spelling): None for spelling in _SPELLINGS}:
        head = spelled[:_LONGEST_HEAD]
        for size in range(min(WORD_LENGTHS[-1], len(head)), max(WORD_LENGTHS[0], at_least) - 1, -1):
            for candidate in {head[at : at + size] for at in range(len(head) - size + 1)} - others:
                if candidate in words:
                    yield spelled, candidate
                else:
                    others.add(candidate)


def _marked(spelled: str, word: str) -> str:
    """With as many marks as it has letters instead of a word, so that all else stays where it is."""
    return spelled.replace(word, _TAKEN_OUT * len(word))


def _places(word: str, text: str) -> Iterator[int]:
    """Where a word stands in a text, one behind the other."""
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + len(word))


def _without_the_taken(letter: str, is_taken: int) -> str:
    return _TAKEN_OUT if is_taken else letter


def _novel(folded: str) -> list[int]:
    """Where code points neither go on along a row nor repeat what went before; no further than matters."""
    novel: list[int] = []
    at = 0
    while at < len(folded) and len(novel) < LEAST_LEFT + WORD_LENGTHS[-1]:
        known = max(_walk(folded, at), _repetition(folded, at))
        if not known and folded[at] != _TAKEN_OUT:
            novel.append(at)
        at += known or 1
    return novel


def _left_of(places: list[int], folded: str) -> int:
    """How many of these are not among the marks."""
    return sum(folded[place] != _TAKEN_OUT for place in places)


def _walk(folded: str, at: int) -> int:
    """How far what follows goes along a row, forwards or backwards."""
    size = _SHORTEST_WALK
    while at + size <= len(folded) and folded[at : at + size] in _WALKS:
        size += 1
    return size - 1 if size > _SHORTEST_WALK else 0


def _repetition(folded: str, at: int) -> int:
    """How far what follows has been there before; it may overlap, as in "aaaa"."""
    size, found = _SHORTEST_REPETITION, 0
    while at + size <= len(folded) and (found := folded.find(folded[at : at + size], found, at + size - 1)) >= 0:
        size += 1  # what is longer is found there or behind it
    return size - 1 if size > _SHORTEST_REPETITION else 0
