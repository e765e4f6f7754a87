"""A WebSocket that was let in, looked at again for as long as it is open.

A request is judged each time; a WebSocket would outlive its token, its session, its user and its key. It is heard no
more, closed, and its view cancelled then, so that a view that will not end has nobody left to obey or to speak to.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from quart import Websocket, websocket

from watchword.errors import InvalidToken, Unavailable
from watchword.guard.checkpoint import Checkpoint
from watchword.model import AccessToken

INTERVAL: Final = 0.5
"""Seconds between two looks, so that with the news themselves a logout bites within a second."""

_PATIENCE: Final = 1.0
"""Seconds for which a client that reads nothing may hold up the end of its view."""
_ENDED: Final = 1008  # RFC 6455 §7.4.1, policy violation
_UNKNOWN: Final = 1013  # IANA's registry, try again later: what 503 is to a request
_FAILED: Final = 1011  # RFC 6455 §7.4.1, an unexpected condition: what 500 is
_WATCHED: Final = "watchword.watch"
"""A member of the ASGI scope; a WebSocket may be judged for its blueprint and for its view."""

_log: Final = logging.getLogger("watchword.guard")


def watch(
    checkpoint: Checkpoint, token: AccessToken, *, authorization: Sequence[str], view: "asyncio.Task[Any]"
) -> None:
    """Close the WebSocket that is being answered, and cancel its view, as soon as its token would be refused.

    Args:
        checkpoint: whose rule it is, and has just let it in.
        token: who is behind it.
        authorization: all ``Authorization`` header fields that the token came with.
        view: the task that its view runs in.
    """
    scope = cast("dict[str, Any]", websocket.scope)
    if _WATCHED in scope:
        return
    refusal = partial(_refusal, checkpoint, token, authorization=authorization, keys=checkpoint.tokens.keys)
    asked: Websocket = websocket._get_current_object()  # type: ignore[attr-defined]  # what this name stands for here
    is_over = _end_of_hearing(asked)
    watcher = scope[_WATCHED] = asyncio.create_task(_watch(asked, is_over, view, refusal))
    view.add_done_callback(lambda _: watcher.cancel())


def _end_of_hearing(asked: Websocket) -> asyncio.Event:
    """Have a WebSocket hand no message on once the event is set.

    A view may miss its cancellation, as by Python 3.11's ``wait_for`` where a message comes at the same time, or have
    other tasks that receive, and the server hands on what comes behind our close.
    """
    is_over, heard = asyncio.Event(), asked._receive

    async def hear() -> Any:
        message = await heard()
        if is_over.is_set():
            await asyncio.Event().wait()  # for the end of who listens
        return message

    asked._receive = hear
    return is_over


async def _watch(
    asked: Websocket, is_over: asyncio.Event, view: "asyncio.Task[Any]", refusal: Callable[[], Awaitable[int]]
) -> None:
    try:
        code = await refusal()
        is_over.set()
        with suppress(TimeoutError, RuntimeError):  # RuntimeError: the view has closed it already
            async with asyncio.timeout(_PATIENCE):
                await asked.close(code)
    finally:
        view.cancel()


async def _refusal(checkpoint: Checkpoint, token: AccessToken, *, authorization: Sequence[str], keys: object) -> int:
    while True:
        await asyncio.sleep(INTERVAL)
        try:
            if keys is checkpoint.tokens.keys:
                checkpoint.look_again(token)
            else:  # its key may be gone: who has stolen one makes tokens of sessions that nobody can end
                keys = checkpoint.tokens.keys
                checkpoint.admit(authorization)
        except InvalidToken:
            return _ENDED
        except Unavailable:
            return _UNKNOWN
        except Exception:
            _log.exception("a WebSocket is closed, for a fault kept its token from being judged")
            return _FAILED
