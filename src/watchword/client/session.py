"""The session as a client knows it: which token is in force, and the story of a request that needs one.

Laws of this file:
1. A story does no I/O. It is a plain generator that yields what is to be done, and is sent what came of it; so it
   serves ``AsyncClient`` and ``Client`` alike, and one story can be told within another.
2. One request at a time logs in or refreshes. Those who waited for it share what came of it, good or bad.
3. A refresh token is given up only when the service refuses it. Whoever was to hear the answer to a refresh may be
   cancelled or cut off; the next in turn presents the same token, and for some seconds gets the same successor.
4. A token is renewed before it expires, and until then one request in three seconds tries; the others go on with it.
   The one may fail with its connection, for httpx lets no flow catch that. So it is after a request with a large body
   that got no answer: a server may refuse a token and hang up while the body is on its way, and the refusal is lost. So
   it is, for some seconds, after a refresh of which nobody knows whether it was done: later it would look like a theft.
5. A password that was refused rests before it is sent again, twice as long each time. A poller whose password has
   changed would else use up the failures that an account has, and close it to its owner on a new network.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Final

import httpx

from watchword.client import wire
from watchword.client.errors import LoginRefused, ServiceUnavailable, SessionOver, UnexpectedAnswer
from watchword.client.standing import Access, Refused, Silence
from watchword.client.steps import Announce, Errand, Patience, Story, TakeTurn

SHORTEST_WAIT: Final = 1
"""Seconds until one that is busy is asked again, if it does not name more."""
LONGEST_WAIT: Final = 300
"""Seconds until a busy login service is asked again, if it names more: one wrong answer must not stop us for good."""
REPEATABLE: Final = 9.0
"""Seconds for which a refresh may surely be repeated that was done: the ten of the grace are counted in whole ones."""
FIRST_REST: Final = 30.0
"""Seconds for which a password rests that was refused once: ten are sent in four hours, twenty in half a year."""

_log = logging.getLogger("watchword.client")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the login service answered, busy no longer.

    Attributes:
        response: the answer.
        asked_at: by our clock, just before it was asked; a lifetime is safely counted from then.
        is_repeated: whether a refresh before it may have been done, or be under way still.
    """

    response: httpx.Response
    asked_at: float
    is_repeated: bool


class Session:
    """What all requests of one ``WatchwordAuth`` share.

    Args:
        service: the login service's address.
        credentials: user name and password, or None.
        refresh_token: presented before them, or None.
        clock: tells seconds that never go back: a lifetime is counted here, whatever the time of day is believed to be.
    """

    def __init__(
        self,
        service: httpx.URL,
        *,
        credentials: wire.Secrets | None,
        refresh_token: str | None,
        clock: Callable[[], float],
    ) -> None:
        self.service = service
        self._credentials = credentials
        self._refresh_token = refresh_token
        self._clock = clock
        self._standing: Access | Refused | None = None
        self._not_before = clock()  # when the service may be asked again
        self._rest = FIRST_REST  # how long the password rests, if it is refused
        self._unsettled_since = inf  # when a refresh was sent that may have been done and whose outcome never came
        self._silence = Silence()

    def story(self, errand: Errand) -> Story[None]:
        """Send the caller's request with a token; if the token is refused, once more with its successor.

        Raises:
            NotAuthenticated: there is no token.
        """
        access = yield from self._access(errand)
        response = yield from self._send(errand, access)
        now = self._clock()
        if not wire.refuses(response, access.authorization) or now < access.last_word_until:
            return
        access.is_refused = True
        access.suspect(now=now)  # by the next request, if this one comes no further
        if wire.can_be_replayed(errand.request, refused_by=response):
            access = yield from self._successor(errand, of=access)
            yield from self._send(errand, access)

    def _access(self, errand: Errand) -> Story[Access]:
        """The token in force, or its successor if it is over or about to be."""
        standing = self._standing
        if standing is None or standing.is_over(now=self._clock()):
            return (yield from self._successor(errand, of=standing))
        if isinstance(standing, Refused):
            raise standing.error(errand.request)
        if not self._wants_a_successor(standing):
            return standing
        try:
            return (yield from self._successor(replace(errand, patience=Patience(0)), of=standing, is_early=True))
        except (ServiceUnavailable, UnexpectedAnswer):
            if not standing.is_over(now=self._clock()):
                return standing
        return (yield from self._successor(errand, of=standing))

    def _send(self, errand: Errand, access: Access) -> Story[httpx.Response]:
        """Send the caller's request; once more for each time that a busy endpoint can be waited for."""
        request = errand.request
        request.headers["Authorization"] = access.authorization
        while True:
            try:
                response: httpx.Response = yield request
            except GeneratorExit:  # there is none, and httpx does not say why
                if wire.may_be_cut_short(request):
                    access.doubt(now=self._clock())
                raise
            told = wire.retry_after(response)
            if response.status_code != wire.SERVICE_UNAVAILABLE or told is None:
                return response
            seconds = max(SHORTEST_WAIT, told)
            if not wire.is_safe_to_repeat(request) or not errand.patience.bears(seconds):
                return response
            yield from errand.patience.wait(seconds)

    def _successor(self, errand: Errand, *, of: Access | Refused | None, is_early: bool = False) -> Story[Access]:
        """The token after one that will not do: the one that another request got meanwhile, or a new one.

        Args:
            errand: whose it is.
            of: the one that will not do.
            is_early: whether it will do for the moment, where another request has just tried in vain.
        """
        began = self._clock()
        is_our_turn: bool = yield TakeTurn(errand.patience.seconds)
        try:
            errand.patience.spend(self._clock() - began)
            standing = self._came_after(of)
            if standing is None:
                if not is_our_turn:
                    message = "another request is still logging in or refreshing"
                    raise ServiceUnavailable(message, request=errand.request, retry_after=SHORTEST_WAIT)
                if is_early and isinstance(of, Access) and not self._wants_a_successor(of):
                    return of
                standing = yield from self._renew(errand)
        finally:
            if is_our_turn:
                errand.turn.release()  # also when the story is closed here: its request was cancelled or cut off
        if isinstance(standing, Refused):
            raise standing.error(errand.request)
        return standing

    def _came_after(self, former: Access | Refused | None) -> Access | Refused | None:
        """What another request got meanwhile, if that holds still."""
        standing = self._standing
        return None if standing is former or standing is None or standing.is_over(now=self._clock()) else standing

    def _wants_a_successor(self, access: Access) -> bool:
        now = self._clock()
        is_lost = self._unsettled_since < inf and not self._silence.is_long(now=now)
        return now >= self._not_before and access.wants_a_successor(now=now, is_lost=is_lost)

    def _renew(self, errand: Errand) -> Story[Access | Refused]:
        """Refresh, or log in where that is refused or there is nothing to refresh with.

        What the service takes for no refresh token at all is kept until a login has replaced it; it may be all we have.
        """
        if isinstance(self._standing, Access):
            self._standing.begin_try(now=self._clock())
        if self._refresh_token is not None:
            secrets = wire.Secrets({"refresh_token": self._refresh_token})
            answer = yield from self._ask(errand, "/refresh", secrets)
            if answer.response.status_code == wire.UNAUTHORIZED:
                self._refresh_token, self._unsettled_since = None, inf
            elif self._credentials is None or not wire.finds_none(answer.response):
                return (yield from self._accept(errand, answer))
            _log.debug("the refresh token is refused")
        if self._credentials is None:
            message = "the refresh token is refused, and there is no password to log in with"
            self._standing = over = Refused(SessionOver, message, until=inf)
            return over
        answer = yield from self._ask(errand, "/login", self._credentials)
        is_none = wire.finds_none(answer.response)
        if is_none or answer.response.status_code == wire.UNAUTHORIZED:
            message = "the user name or the password is refused"
            if is_none:
                message += " as none: it is too long, or holds a character that none may"
            self._standing = refused = Refused(LoginRefused, message, until=self._clock() + self._rest)
            self._rest *= 2
            return refused
        return (yield from self._accept(errand, answer))

    def _ask(self, errand: Errand, path: str, secrets: wire.Secrets) -> Story[_Answer]:
        """Ask the login service, again and again while it is busy and that can be waited for."""
        while True:
            seconds = self._not_before - self._clock()
            if seconds > 0:
                if not errand.patience.bears(seconds):
                    message = "the login service is busy for longer than this request may wait"
                    raise ServiceUnavailable(message, request=errand.request, retry_after=ceil(seconds))
                _log.debug("the login service is busy; waiting %.3g s", seconds)
                yield from errand.patience.wait(seconds)
            asked_at = self._clock()
            asked = wire.request_with(secrets, self.service, path, on_behalf_of=errand.request)
            is_refresh, unsettled_since = path == "/refresh", self._unsettled_since
            if is_refresh:
                self._unsettled_since = min(asked_at, unsettled_since)
            self._silence.asked(now=asked_at)
            try:
                response: httpx.Response = yield asked
            finally:
                asked.forget()
            self._silence.answered()
            if response.request is not asked:
                raise UnexpectedAnswer(f"{path} redirects to another address", request=errand.request)
            if response.status_code not in wire.BUSY:
                return _Answer(response, asked_at, is_repeated=is_refresh and unsettled_since < inf)
            if wire.is_not_done(response):
                self._unsettled_since = unsettled_since
            seconds = min(max(SHORTEST_WAIT, wire.retry_after(response) or 0), LONGEST_WAIT)
            if self._unsettled_since < inf and self._clock() < self._unsettled_since + REPEATABLE:
                seconds = SHORTEST_WAIT  # whatever it says: later it would look like a theft
            self._not_before = self._clock() + seconds
            if isinstance(self._standing, Access):
                self._standing.try_again_soon()

    def _accept(self, errand: Errand, given: _Answer) -> Story[Access]:
        """Keep what a token answer holds; others see its access token once the refresh token has been announced."""
        answer = fault = None
        path = given.response.url.path
        try:
            answer = wire.read_token_answer(given.response)
        except ValueError as refusal:
            fault = str(refusal)
        if answer is None:  # raised out here, for the context of an error keeps the variables of the reader: tokens
            raise UnexpectedAnswer(f"{path} does not answer as a login service: {fault}", request=errand.request)
        former = self._standing if isinstance(self._standing, Access) else None
        access = Access.given(
            answer.token,
            lifetime=answer.expires_in,
            counted_from=given.asked_at,
            after=former,
            is_repeated=given.is_repeated,
            now=self._clock(),
        )
        self._unsettled_since = inf
        self._rest = FIRST_REST
        _log.debug("%s gave a token for %d s", path, answer.expires_in)
        try:
            if answer.refresh_token is not None and answer.refresh_token != self._refresh_token:
                self._refresh_token = answer.refresh_token
                yield Announce(answer.refresh_token)
        finally:
            self._standing = access
        return access
