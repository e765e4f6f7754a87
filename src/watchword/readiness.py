"""Whether this process could log somebody in: one look at the database for all who ask at the same time.

Anybody may ask, and a look needs one of the few connections that are kept for the news of ended sessions.
"""

import asyncio

from watchword.errors import SchemaRefused, Unavailable
from watchword.keys import KeyRing
from watchword.store import Store, inspection


class Readiness:
    """Looks at the database, its schema, whether it takes writes, and the keys.

    Args:
        store: the database.
        ring: the keys.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring
        self._look: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Look, or wait for the look that is under way.

        Raises:
            Unavailable: something is not as it must be; the log says what.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(inspection.check(self._store))
            self._look.add_done_callback(_seen)
        try:
            await asyncio.shield(self._look)
        except SchemaRefused as refusal:
            raise Unavailable(str(refusal)) from refusal
        self.expect_a_key()

    def expect_a_key(self) -> None:
        """See that a token could be signed, before a session is stored for it.

        Raises:
            Unavailable: no key signs, until the next is made.
        """
        if not self._ring.can_sign:
            raise Unavailable("there is no key to sign with")


def _seen(look: "asyncio.Task[None]") -> None:
    """Take its fault, also where all who asked have left."""
    if not look.cancelled():
        look.exception()
