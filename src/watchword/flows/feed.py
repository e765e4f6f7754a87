"""Feed: tell guards elsewhere which sessions have ended, as the processes on one database tell each other.

Each guard asks three times a second, so who asks and what has ended is one visit to the database.
"""

from dataclasses import dataclass
from typing import Final

from watchword.flows import Tools
from watchword.flows.admission import admit_bearer
from watchword.model import ClientScope, Revocation
from watchword.store import revocations
from watchword.store.connection import Connection
from watchword.tokens import CLOCK_SKEW

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class News:
    """What a guard is told.

    Attributes:
        seq: all up to this number is told, now or before. It is lower than what was asked for where the table no
            longer has that number: a database was restored, or nothing has ended for so long that the newest row was
            removed. The guard then asks for everything again.
        more: whether there may be more behind it.
        now: this process's wall clock.
        keys: the fingerprint of the keys that verify.
        revocations: what has ended, in the order of the commits.
    """

    seq: int
    more: bool
    now: int
    keys: str
    revocations: list[Revocation]


async def feed(tools: Tools, *, service_token: str, after: int | None) -> News:
    """Tell what has ended since a number, or begin with what may still concern a living token; a page at a time.

    Pages are small, for who reads and writes a page answers nobody else meanwhile.

    Raises:
        InvalidToken: it is nobody's service token.
        InsufficientScope: the client may not ask this.
        Unavailable: the database is away, slow or locked.
    """
    now = tools.clock()

    async def look(connection: Connection) -> tuple[int, list[Revocation]]:
        await admit_bearer(connection, service_token, scope=ClientScope.REVOCATIONS_READ)
        if after is None:
            # By the clock of a guard that is a little behind ours, a token lives a little longer.
            return await revocations.living(connection, since=now - CLOCK_SKEW, limit=_PAGE)
        page = await revocations.after(connection, seq=after, limit=_PAGE)
        # A number that was committed since the page was read is not told yet, so it must not count as told.
        return page[-1].seq if page else min(after, await revocations.latest(connection)), page

    seq, ended = await tools.store.read(look)
    return News(seq=seq, more=len(ended) == _PAGE, now=now, keys=tools.ring.fingerprint, revocations=ended)
