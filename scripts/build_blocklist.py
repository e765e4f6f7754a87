"""Makes the blocklist that comes with the package, from the lists that zxcvbn publishes: `make blocklist`.

Passwords of past breaches, the commonest English words, written and spoken, and people's names: all of them, as zxcvbn
keeps a word in one list alone.
"""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from watchword.passwords.blocklist import FILE, WORD_LENGTHS, build
from watchword.passwords.guessable import fold


def words() -> list[str]:
    """Every word of the lists that a password could be made of, once."""
    found = {fold(word) for words_of_one in FREQUENCY_LISTS.values() for word in words_of_one}
    return sorted(word for word in found if len(word) in WORD_LENGTHS)


if __name__ == "__main__":
    FILE.write_bytes(build(words()))
