"""The rules for new passwords: long enough, also without names, and nothing that a guesser tries early.

No characters are asked for and no password grows old (NIST SP 800-63B-4 §3.1.1.2). A login never asks these rules.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from unicodedata import normalize

from watchword.errors import WeakPassword
from watchword.passwords.blocklist import Blocklist
from watchword.passwords.guessable import fold, is_guessable, length, names_in, without
from watchword.passwords.text import password_bytes

OUR_NAME = "watchword"

_FORMS: Final = ("NFC", "NFKC")


@dataclass(frozen=True)
class PasswordRules:
    """What a new password must be.

    Attributes:
        min_length: in code points after NFC.
        service_names: what the service is called beside Watchword, such as its host.
        blocklist: what a guesser tries first; read beforehand, as there may be no descriptor left when it is asked.
    """

    min_length: int
    service_names: tuple[str, ...] = ()
    blocklist: Blocklist = field(default_factory=Blocklist.bundled, repr=False)

    def check(self, password: str, *, username: str) -> None:
        """Hold a password that is about to be set against the rules.

        Args:
            password: the new password.
            username: of the account.

        Raises:
            InvalidRequest: no password at all, as in ``password_bytes``.
            WeakPassword: a rule is broken.
        """
        text = password_bytes(password).decode("utf-8")
        if len(text) < self.min_length:
            raise WeakPassword(
                {"too_short": f"The password must have at least {self.min_length} characters, this one has {len(text)}"}
            )
        # As it was typed, and as it logs in: the one may be wider than the other, or of letters with loose accents.
        names = [part for form in _FORMS for part in names_in(normalize(form, username))]
        if broken := self._easy_to_guess(fold(text), names):
            raise WeakPassword(broken)

    def _easy_to_guess(self, folded: str, user_names: list[str]) -> dict[str, str]:
        broken = {}
        if self._is_carried_by(folded, user_names):
            broken["contains_username"] = (
                f"The password must have at least {self.min_length} characters besides the user name"
            )
        if self._is_carried_by(folded, self._service_names):
            broken["contains_service_name"] = (
                f"The password must have at least {self.min_length} characters besides the name of the service"
            )
        if is_guessable(without(folded, [*user_names, *self._service_names]), self.blocklist):
            broken["too_common"] = (
                "The password is easy to guess: little more than a common word, a row of keys or a repetition"
            )
        return broken

    def _is_carried_by(self, folded: str, names: list[str]) -> bool:
        rest = without(folded, names)
        return rest != folded and length(rest) < self.min_length

    @cached_property
    def _service_names(self) -> list[str]:
        return [part for name in (*self.service_names, OUR_NAME) for part in names_in(name)]
