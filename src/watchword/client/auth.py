"""The ``httpx.Auth`` itself: what it is told at the start, and the two flows that do what a story asks for."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Final

import httpx

from watchword.client import wire
from watchword.client.session import Session
from watchword.client.steps import Announce, Errand, Patience, Step, Story, TakeTurn, Wait
from watchword.clock import since_boot

_MUST_NOT_BE_ASYNC: Final = "on_refresh_token and sleep must not be async under httpx.Client; use httpx.AsyncClient"

_log = logging.getLogger("watchword.client")


class WatchwordAuth(httpx.Auth):
    """Authenticates the requests of an httpx client with access tokens of a login service.

    The first request logs in, or refreshes where a refresh token is given. The token goes with every request until
    shortly before it expires, and is then refreshed; so it is when an answer says ``invalid_token`` (RFC 6750 §3.1),
    after which the request is sent once more. Requests to the login service pass through the same client: through its
    transport, with its hooks, with the timeouts of the request that needs them. An error on the way is raised there.

    The token goes with *every* request that this object authenticates, wherever it is sent: give it to a client that
    speaks only to services of yours, or with single requests (``client.get(…, auth=auth)``). A redirect to another
    origin leaves the token behind, unless it leads from http to https on the same host; this is httpx's own rule.
    User name, password and refresh token go to ``base_url`` alone, whoever redirects.

    A request is sent again only if its body is in memory. One that is streamed, an upload of files included, gets its
    401, and the next request a new token; ``await request.aread()`` brings a body into memory.

    Share one object among all tasks and clients of an event loop, or among the threads that use ``httpx.Client``; not
    among both, for tasks and threads do not wait for each other. Two processes must not share a refresh token: one
    that presents a token which the other has used ends the session.

    Args:
        base_url: the login service's URL, such as ``https://login.example.com``; it may have a path. http is for this
            machine alone, such as ``http://127.0.0.1:8000``.
        username: whom to log in, together with ``password``.
        password: for the first login, and for another whenever a refresh token is refused.
        refresh_token: one that was kept; it is presented first, without the line end of the file that it may be from.
            An empty one beside a password, as from a file that could not be written, is none.
        on_refresh_token: called once with each new refresh token, so that it can be kept, before any request is sent
            with the access token that came with it. It may be async under an ``AsyncClient``, and must not send
            requests with this object. What it raises reaches the caller; both tokens are used all the same. It is not
            cancelled with the request, after which others go on while it does.
        patience: seconds that one request may wait, all in all: for a login service or an endpoint that answers 503
            with ``Retry-After``, and for its turn while another one logs in or refreshes. An endpoint is waited for
            only by idempotent methods, and its 503 returned when patience ends. An answer of a login service is read
            for as long; but each part of it may take the time that the request's timeouts allow.
        clock: tells seconds that never go back.
        sleep: waits for seconds; without it ``asyncio.sleep``, or ``time.sleep`` under a ``Client``.

    Raises:
        ValueError: there is nothing to log in with, or an argument makes no sense.
        TypeError: an argument is of another type.
    """

    def __init__(
        self,
        base_url: str | httpx.URL,
        *,
        username: str | None = None,
        password: str | None = None,
        refresh_token: str | None = None,
        on_refresh_token: Callable[[str], Awaitable[None] | None] | None = None,
        patience: float = 30.0,
        clock: Callable[[], float] = since_boot,
        sleep: Callable[[float], Awaitable[None] | None] | None = None,
    ) -> None:
        for name, value in (("username", username), ("password", password), ("refresh_token", refresh_token)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a string")
            if value is not None and not value.strip("\r\n") and (name != "refresh_token" or password is None):
                raise ValueError(f"{name} is empty")
        if (username is None) != (password is None):
            raise ValueError("username and password belong together")
        if password is None and refresh_token is None:
            raise ValueError("a username and a password are needed, or a refresh_token, or both")
        if not 0 < patience <= threading.TIMEOUT_MAX:
            raise ValueError(f"patience must be a number of seconds, more than 0, at most {threading.TIMEOUT_MAX:.0f}")
        credentials = None
        if username is not None and password is not None:
            credentials = wire.Secrets({"username": username, "password": password})
        kept = None if refresh_token is None else refresh_token.rstrip("\r\n") or None
        self._session = Session(wire.service_url(base_url), credentials=credentials, refresh_token=kept, clock=clock)
        self._on_refresh_token = on_refresh_token
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._turn_of_tasks = _TurnOfTasks()
        self._turn_of_threads = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._session.service}>"

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authenticate a request of an ``AsyncClient``.

        Raises:
            NotAuthenticated: there is no token to send it with.
        """
        story = self._session.story(Errand(request, self._turn_of_tasks, Patience(self._patience)))
        outcome: httpx.Response | bool | None = None
        try:
            while (step := _next_step(story, outcome)) is not None:
                if _lasts(step) and isinstance(outcome, httpx.Response):
                    await outcome.aread()
                match step:
                    case httpx.Request():
                        outcome = yield step
                        if step is not request:
                            outcome.stream = wire.Curtailed(outcome, self._patience, self._clock)
                            try:
                                await outcome.aread()
                            except BaseException as fault:  # cancelled, too
                                raise _without_frames(fault) from None
                    case TakeTurn(seconds):
                        outcome = await self._turn_of_tasks.take(seconds)
                    case Wait(seconds):
                        slept = (self._sleep or asyncio.sleep)(seconds)
                        if isawaitable(slept):
                            await slept
                    case Announce() if self._on_refresh_token is not None:
                        told = self._on_refresh_token(step.refresh_token)
                        if isawaitable(told):
                            await self._turn_of_tasks.see_through(told)
        finally:
            story.close()  # httpx closes the flow of a request that fails or is cancelled, and the story lets go

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Authenticate a request of a ``Client``.

        Raises:
            NotAuthenticated: there is no token to send it with.
            TypeError: ``on_refresh_token`` or ``sleep`` is async.
        """
        if iscoroutinefunction(self._on_refresh_token) or iscoroutinefunction(self._sleep):
            raise TypeError(_MUST_NOT_BE_ASYNC)
        story = self._session.story(Errand(request, self._turn_of_threads, Patience(self._patience)))
        outcome: httpx.Response | bool | None = None
        try:
            while (step := _next_step(story, outcome)) is not None:
                if _lasts(step) and isinstance(outcome, httpx.Response):
                    outcome.read()
                match step:
                    case httpx.Request():
                        outcome = yield step
                        if step is not request:
                            outcome.stream = wire.Curtailed(outcome, self._patience, self._clock)
                            try:
                                outcome.read()
                            except BaseException as fault:
                                raise _without_frames(fault) from None
                    case TakeTurn(seconds):
                        outcome = self._turn_of_threads.acquire(timeout=seconds)
                    case Wait(seconds):
                        _refuse_async((self._sleep or time.sleep)(seconds))
                    case Announce() if self._on_refresh_token is not None:
                        _refuse_async(self._on_refresh_token(step.refresh_token))
        finally:
            story.close()


class _TurnOfTasks:
    """The turn of those who log in or refresh; it lasts until the owner of the session has been told."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._telling: asyncio.Future[None] | None = None

    async def take(self, seconds: float) -> bool:
        """Take one's turn, waiting at most so many seconds; answers whether that succeeded."""
        try:
            async with asyncio.timeout(seconds):
                return await self._lock.acquire()
        except TimeoutError:
            return False

    async def see_through(self, telling: Awaitable[None]) -> None:
        """Let the owner be told, also where the request is cancelled meanwhile: a kept token would be one too old."""
        self._telling = asyncio.ensure_future(telling)
        try:
            await asyncio.shield(self._telling)
        except asyncio.CancelledError:
            self._telling.add_done_callback(_say_what_failed)
            raise

    def release(self) -> None:
        """Let the next one have it."""
        if self._telling is None or self._telling.done():
            self._lock.release()
        else:
            self._telling.add_done_callback(lambda _: self._lock.release())


def _say_what_failed(telling: asyncio.Future[None]) -> None:
    if not telling.cancelled() and (fault := telling.exception()) is not None:
        _log.error("on_refresh_token failed, and the request that it would fail was cancelled", exc_info=fault)


def _next_step(story: Story[None], outcome: httpx.Response | bool | None) -> Step | None:
    try:
        return story.send(outcome)
    except StopIteration:
        return None


def _without_frames(fault: BaseException) -> BaseException:
    """What ended the reading of a token answer, without where it was: the variables of the readers hold tokens."""
    fault.__cause__ = fault.__context__ = None
    return fault.with_traceback(None)


def _refuse_async(outcome: Awaitable[None] | None) -> None:
    """Refuse what is async though its function does not look so, such as a lambda that gives a coroutine."""
    if isawaitable(outcome):
        if iscoroutine(outcome):
            outcome.close()
        raise TypeError(_MUST_NOT_BE_ASYNC)


def _lasts(step: Step) -> bool:
    """Whether an answer must be read before: unread it holds its connection, which those may need who end the wait."""
    return isinstance(step, TakeTurn | Wait)
