"""What a PostgreSQL URL may say behind its ``?``: the settings judge it, and the store hands it on to the driver."""

from typing import Final

TLS_OPTIONS: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})
OPTIONS: Final = frozenset({"host", "target_session_attrs", *TLS_OPTIONS})
"""Those that we heed."""
