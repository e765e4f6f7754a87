"""The Argon2id parameters that the field's guides allow.

The guides: OWASP Password Storage Cheat Sheet (Argon2id, p=1) and OWASP ASVS 5.0 appendix C, table of approved
password hashes. A set is as strong as any other of its list; they trade memory for passes.
"""

from typing import Final

GUIDES: Final = (
    (47_104, 1, "OWASP, ASVS"),
    (19_456, 2, "OWASP, ASVS"),
    (12_288, 3, "OWASP, ASVS"),
    (9_216, 4, "OWASP"),
    (7_168, 5, "OWASP"),
)
"""KiB of memory, the fewest passes that go with them, and who allows the set: the Cheat Sheet has them all."""
