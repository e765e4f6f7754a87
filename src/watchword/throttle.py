"""What the throttle needs in one process: digests for what is counted, and who waits for whose guess to be settled.

What is counted stands in the database (``limits``, ``store.tallies``). Here is nothing that a restart could lose.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from watchword import usernames
from watchword.errors import InvalidUsername, Overloaded
from watchword.model import User
from watchword.root_secret import Use, derived

LOOK_AGAIN: Final = 0.05
"""Seconds after which the database is asked again: another process settles its guesses without telling us."""
TRY_AGAIN: Final = 5.0
"""Seconds after which an errand is tried again that the database was away for."""


class Keys(NamedTuple):
    """Under which keys the guesses at an account from a network are counted.

    Attributes:
        account: of the account, for all networks that are strange to it.
        pair: of the account and this network, once that has logged into it with the present password.
        former: of the account and this network, where that has logged into it with the password before.
        formers: of the account, for all networks that have.
        network: of the network.
    """

    account: bytes
    pair: bytes
    former: bytes
    formers: bytes
    network: bytes


def account_named(username: str) -> str:
    """What names an account, however it is spelled. What cannot be a name is counted as it is."""
    try:
        return f"name {usernames.canonical(username)}"
    except InvalidUsername:
        return f"text {username}"


class Throttle:
    """Digests, lines and news.

    Args:
        secret: keys the digests: people type passwords where names belong, and no table should show them. Under
            another secret everything is counted from nothing.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = derived(secret, Use.THROTTLE)
        self._lines: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def keys(self, account: str, network: str, user: User | None) -> Keys:
        """The keys for an account, a network, and whose the account is, if anybody's.

        Whoever once knew the password has made networks familiar with it, as many as they liked. That ends with it.
        """
        user_id, version = ("", 0) if user is None else (user.id, user.password_version)
        # What stands before the account holds no space, so no two texts are the same.
        return Keys(
            account=self._digest(account),
            pair=self._digest(f"pair {network} {user_id} {version} {account}"),
            former=self._digest(f"pair {network} {user_id} {version - 1} {account}"),
            formers=self._digest(f"formers {user_id} {version} {account}"),
            network=self._digest(f"network {network}"),
        )

    @asynccontextmanager
    async def line(self, account: str, network: str, *, patience: float) -> AsyncIterator[None]:
        """Stand in the line of an account and a network, first come, first served; the inside is its head.

        Raises:
            Overloaded: it moved too slowly.
        """
        line = self._lines.get((account, network))
        if line is None:
            line = self._lines[account, network] = asyncio.Lock()
        try:
            async with asyncio.timeout(patience if line.locked() else None):
                await line.acquire()
        except TimeoutError:
            raise Overloaded("too many guesses at one account are in flight") from None
        try:
            yield
        finally:
            line.release()

    async def news(self, account: str) -> None:
        """Wait until this process settles a guess at an account, or until it is time to look again."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, set()).add(told)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await told
        finally:
            waiting = self._waiting[account]
            waiting.discard(told)
            if not waiting:
                del self._waiting[account]

    def settled(self, account: str) -> None:
        """Tell those who wait that a guess at an account was settled."""
        for told in self._waiting.get(account, ()):
            if not told.done():
                told.set_result(None)

    def send(self, errand: Coroutine[Any, Any, None]) -> None:
        """Let something be done for somebody who does not wait for it."""
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def may_try_again(self) -> bool:
        """Wait a while, and tell whether an errand that failed may be tried again: not when all is about to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TRY_AGAIN):
                await self._ending.wait()
        return not self._ending.is_set()

    async def errands_done(self) -> None:
        """Wait until nothing is left to be done; nothing is tried again."""
        self._ending.set()
        while self._errands:
            await asyncio.wait(self._errands)

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
