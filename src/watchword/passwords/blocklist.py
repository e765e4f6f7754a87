"""The words that a guesser tries first, as a Bloom filter: a file of bits that knows them and cannot list them.

It comes with the package, so that a new password is compared without a network (NIST SP 800-63B-4 §3.1.1.2).
``make blocklist`` makes it anew.
"""

import hashlib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final, Self

FILE: Final = Path(__file__).with_name("blocklist.bin")

WORD_LENGTHS: Final = range(4, 25)
"""Code points of the words that are in it; what is shorter is no reason to refuse anything."""

_BITS_PER_WORD: Final = 48
_PROBES: Final = 33
"""With so many bits and probes, one in 10^10 other words is taken for one of ours.

A password has some hundred parts that could be a word: at one in a million, every ten-thousandth random password would
be refused, and with it a line of each large import.
"""


class Blocklist:
    """A set of words in lower case that answers quickly, needs six bytes a word, and rarely errs on the safe side.

    Args:
        bits: the filter, as ``build`` writes it.
    """

    def __init__(self, bits: bytes) -> None:
        self._bits = bits
        self._size = 8 * len(bits)

    @classmethod
    @cache
    def bundled(cls) -> Self:
        """The one that comes with the package."""
        return cls(FILE.read_bytes())

    def __contains__(self, word: str) -> bool:
        first, step, bend = _hashes(word)
        for number in range(_PROBES):
            place = (first + number * (step + number * bend)) % self._size
            if not self._bits[place >> 3] >> (place & 7) & 1:
                return False
        return True


def build(words: Collection[str]) -> bytes:
    """Make a filter that knows these words, in lower case."""
    bits = bytearray(-(-len(words) * _BITS_PER_WORD // 8))
    for word in words:
        first, step, bend = _hashes(word)
        for number in range(_PROBES):
            place = (first + number * (step + number * bend)) % (8 * len(bits))
            bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


def _hashes(word: str) -> tuple[int, int, int]:
    """Three numbers, and not the usual two: the places of two words would be nearly the same too often."""
    digest = hashlib.blake2b(word.encode("utf-8"), digest_size=24).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big"), int.from_bytes(digest[16:], "big")
