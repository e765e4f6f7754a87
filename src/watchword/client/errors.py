"""What can go wrong for a client: the tree of it, below the class that users of httpx catch.

    httpx.RequestError
    └── NotAuthenticated        there is no token to send the request with
        ├── LoginRefused            the user name or the password is wrong
        ├── SessionOver             the refresh token is refused, and there is no password
        ├── ServiceUnavailable      the login service is busy for longer than the request may wait; says how long
        └── UnexpectedAnswer        what answers there does not answer as a login service does

None is an ``httpx.TransportError``: those are what retrying transports and decorators send again, and a wrong password
that is sent again and again gets its account throttled. ``watchword.errors`` has the service's own reasons.
"""

from functools import partial
from typing import Any

import httpx


class NotAuthenticated(httpx.RequestError):
    """There is no token to send the request with; it was not sent, or it was and its token was refused."""


class LoginRefused(NotAuthenticated):
    """The user name or the password is wrong, or the user is disabled: the service does not say which.

    It holds for half a minute, and after each refusal twice as long: until then the password is not sent again.
    """


class SessionOver(NotAuthenticated):
    """The service refuses the refresh token, and there is no password to log in with."""


class ServiceUnavailable(NotAuthenticated):
    """The login service is busy for longer than the request may wait.

    Attributes:
        retry_after: whole seconds after which another try makes sense, at least 1.
    """

    def __init__(self, message: str, *, request: httpx.Request, retry_after: int) -> None:
        super().__init__(message, request=request)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:  # an exception is made again of its positional arguments alone
        return partial(type(self), request=self.request, retry_after=self.retry_after), self.args, self.__dict__


class UnexpectedAnswer(NotAuthenticated):
    """What answers at the login service's address does not answer as one; is the address right?"""
