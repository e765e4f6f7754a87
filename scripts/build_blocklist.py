"""Makes the blocklist that comes with the package, from the lists that zxcvbn publishes: `make blocklist`.

Passwords of past breaches, the commonest English words, and people's names.
"""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from watchword.passwords.blocklist import FILE, WORD_LENGTHS, build
from watchword.passwords.guessable import fold

LISTS = ("passwords", "english_wikipedia", "female_names", "male_names", "surnames")


def words() -> list[str]:
    """Every word of the lists that a password could be made of, once."""
    found = {fold(word) for name in LISTS for word in FREQUENCY_LISTS[name]}
    return sorted(word for word in found if len(word) in WORD_LENGTHS)


if __name__ == "__main__":
    FILE.write_bytes(build(words()))
