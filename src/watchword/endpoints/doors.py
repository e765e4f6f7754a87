"""Doors: routes that are answered before Quart, because what they cost is what the service can carry.

Quart's part in a login or a refresh is as large as all the rest but the hash, every request behind a proxy pays for
a ``/forward-auth``, and every page that greets its user for a ``/me``. What stands behind a door takes a ``Call`` and
returns a ``Reply``, or raises as a view would.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar, cast

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from quart import Quart
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from watchword.endpoints.bodies import check_label, read_struct
from watchword.endpoints.callers import asker_of
from watchword.endpoints.exchange import RawHeader
from watchword.flows import Tools
from watchword.guard.checkpoint import checkpoint_of
from watchword.model import AccessToken
from watchword.recorder import Asker

T = TypeVar("T")


class Reply(NamedTuple):
    """An answer: its status, its body, and the headers that not every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[RawHeader, ...] = ()


class ClientHasLeft(Exception):  # nothing went wrong
    """There is nobody to answer."""


class Call:
    """A request at a door.

    Attributes:
        app: the application whose door it is.
        scope: its ASGI scope.
        request_id: its id.
    """

    __slots__ = ("_receive", "app", "request_id", "scope")

    def __init__(self, app: Quart, scope: HTTPScope, receive: ASGIReceiveCallable, *, request_id: str) -> None:
        self.app = app
        self.scope = scope
        self.request_id = request_id
        self._receive = receive

    def asker(self, tools: Tools) -> Asker:
        """Who is asking."""
        return asker_of(tools, self.scope, request_id=self.request_id)

    def fields(self, name: bytes) -> list[str]:
        """Every header field of a name in lower case, as it was sent."""
        return [value.decode("latin-1") for each, value in self.scope["headers"] if each == name]

    def admit(self) -> AccessToken:
        """Let the guard look at the caller's token; raises as ``Checkpoint.admit`` does."""
        return checkpoint_of(self.app).admit(self.fields(b"authorization"))

    async def read(self, kind: type[T]) -> T:
        """The JSON body as a struct; raises as ``bodies.read_body`` does."""
        check_label(self.fields(b"content-type"), is_compressed=bool(self.fields(b"content-encoding")))
        return read_struct(await self._body(), kind)

    async def unless_left(self, handling: Coroutine[Any, Any, T]) -> T:
        """Do what the request asks for once its body is read, but cancel that when the client hangs up.

        Raises:
            ClientHasLeft: it did.
        """
        this_task = cast("asyncio.Task[Any]", asyncio.current_task())
        has_left = False

        async def watch() -> None:
            nonlocal has_left
            while (await self._receive())["type"] == "http.request":
                pass
            has_left = True
            this_task.cancel()

        watching: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal watching
            watching = asyncio.ensure_future(watch())

        beginning = asyncio.get_running_loop().call_soon(begin)  # never, for what is refused without any waiting
        try:
            return await handling
        except asyncio.CancelledError:
            if not has_left:
                raise
            this_task.uncancel()
            raise ClientHasLeft from None
        finally:
            beginning.cancel()
            if watching is not None:
                watching.cancel()

    async def _body(self) -> bytes:
        most = self.app.config["MAX_CONTENT_LENGTH"]
        for length in self.fields(b"content-length"):
            if length.isdecimal() and int(length) > most:
                raise RequestEntityTooLarge
        body = b""
        try:
            async with asyncio.timeout(self.app.config["BODY_TIMEOUT"]):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        raise ClientHasLeft
                    body += message.get("body", b"")  # ASGI lets both keys be left out
                    if len(body) > most:
                        raise RequestEntityTooLarge
                    if not message.get("more_body", False):
                        return body
        except TimeoutError:
            raise RequestTimeout from None


class Door(NamedTuple):
    """Where a route is answered.

    Attributes:
        path: the route's.
        methods: which it takes; all others are a 405.
        view: what answers.
    """

    path: str
    methods: tuple[str, ...]
    view: Callable[[Call], Awaitable[Reply]]
