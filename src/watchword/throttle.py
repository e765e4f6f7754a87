"""What the throttle needs in one process: digests for what is counted, and who waits for whose guess to be settled.

What is counted stands in the database (``limits``, ``store.tallies``). Here is nothing that a restart could lose.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword import usernames
from watchword.errors import InvalidUsername, Overloaded

LOOK_AGAIN: Final = 0.05
"""Seconds after which the database is asked again: another process settles its guesses without telling us."""


class Keys(NamedTuple):
    """Under which keys the guesses at an account from a network are counted.

    Attributes:
        account: of the account, for all networks that are strange to it.
        pair: of the account and this network, once that has logged into it.
        network: of the network.
    """

    account: bytes
    pair: bytes
    network: bytes


class Throttle:
    """Digests, lines and news.

    Args:
        secret: keys the digests: people type passwords where names belong, and no table should show them. Under
            another secret everything is counted from nothing.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"watchword throttle").derive(secret)
        self._lines: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._waiting: dict[bytes, set[asyncio.Future[None]]] = {}
        self._errands: set[asyncio.Task[None]] = set()

    def keys(self, username: str, network: str) -> Keys:
        """The keys for a name, however it is spelled, and a network. What cannot be a name is counted as it is."""
        try:
            name = f"name {usernames.canonical(username)}"
        except InvalidUsername:
            name = f"text {username}"
        # A network holds no space, so no two pairs write the same text.
        return Keys(self._digest(name), self._digest(f"pair {network} {name}"), self._digest(f"network {network}"))

    @asynccontextmanager
    async def line(self, key: bytes, *, patience: float) -> AsyncIterator[None]:
        """Stand in a line, first come, first served; the inside is its head.

        Raises:
            Overloaded: it moved too slowly.
        """
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = asyncio.Lock()
        try:
            async with asyncio.timeout(patience if line.locked() else None):
                await line.acquire()
        except TimeoutError:
            raise Overloaded("too many guesses at one account are in flight") from None
        try:
            yield
        finally:
            line.release()

    async def news(self, key: bytes) -> None:
        """Wait until this process settles a guess that is counted under a key, or until it is time to look again."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(told)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await told
        finally:
            waiting = self._waiting[key]
            waiting.discard(told)
            if not waiting:
                del self._waiting[key]

    def settled(self, key: bytes) -> None:
        """Tell those who wait that a guess was settled."""
        for told in self._waiting.get(key, ()):
            if not told.done():
                told.set_result(None)

    def send(self, errand: Coroutine[Any, Any, None]) -> None:
        """Let something be done for somebody who does not wait for it."""
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def errands_done(self) -> None:
        """Wait until nothing is left to be done."""
        while self._errands:
            await asyncio.wait(self._errands)

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
