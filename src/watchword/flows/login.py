"""Log in: a user name and a password go in, a token comes out, or one refusal for every reason.

Whether the user is unknown, disabled, or without a readable password changes neither the answer nor the work:
each attempt looks the name up and computes one hash.
"""

import logging

from watchword import usernames
from watchword.errors import InvalidCredentials, InvalidUsername, UnreadableHash, WatchwordError
from watchword.flows import Tools
from watchword.flows.issue import Issued, issue
from watchword.identifiers import new_id
from watchword.model import Session, User
from watchword.problems import problem_of
from watchword.store import sessions, users
from watchword.store.connection import Connection

_log = logging.getLogger(__name__)


async def log_in(tools: Tools, *, username: str, password: str) -> Issued:
    """Exchange credentials for an access token, and open the session that it belongs to.

    Raises:
        InvalidRequest: the password is empty or longer than any password may be.
        InvalidCredentials: they do not open an account, whatever the reason.
        Overloaded: too many logins are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    try:
        issued = await _log_in(tools, username=username, password=password)
    except WatchwordError as refusal:
        outcome = "failure" if isinstance(refusal, InvalidCredentials) else "refused"
        tools.metrics.login_ended(outcome, _reason_of(refusal))
        raise
    tools.metrics.login_ended("success")
    return issued


async def _log_in(tools: Tools, *, username: str, password: str) -> Issued:
    with tools.hasher.pool.place(username) as place:
        user = await _find(tools, username=username)
        try:
            verified = await tools.hasher.verify(password, _hash_to_check(user), place=place)
        except UnreadableHash:
            _log.error("the stored password hash of user %s cannot be read", user and user.id)
            raise InvalidCredentials("unreadable hash") from None
        except InvalidCredentials:
            raise InvalidCredentials(_why_not(user)) from None
    if user is None:
        raise InvalidCredentials("unknown user")  # never reached: without a user there is no hash that fits

    now = tools.clock()
    session = Session(id=new_id(), user_id=user.id, auth_time=now, expires_at=now + tools.lifetimes.session)

    async def remember(connection: Connection) -> Session | None:
        if verified.new_hash is not None:
            await users.rehash(connection, user, new_hash=verified.new_hash)
        return await sessions.open_for(connection, user, session=session)

    if await tools.store.write(remember) is None:
        raise InvalidCredentials("changed meanwhile")  # disabled, deleted, or given another password
    return issue(tools, user=user, session=session, now=now)


async def _find(tools: Tools, *, username: str) -> User | None:
    try:
        name = usernames.canonical(username)
    except InvalidUsername:
        return None
    return await tools.store.read(lambda connection: users.find_by_name(connection, canonical_name=name))


def _hash_to_check(user: User | None) -> str | None:
    """The hash that the password must fit; None for those whom no password lets in."""
    return None if user is None or user.is_disabled else user.password_hash


def _why_not(user: User | None) -> str:
    """What was wrong with the credentials; for our own counting, never for the client."""
    if user is None:
        return "unknown user"
    if user.is_disabled:
        return "disabled"
    return "no password" if user.password_hash is None else "wrong password"


def _reason_of(refusal: WatchwordError) -> str:
    if isinstance(refusal, InvalidCredentials):
        return str(refusal).replace(" ", "_")
    return problem_of(refusal).code
