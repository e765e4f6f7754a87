"""Log in: a user name and a password go in, tokens come out, or one refusal for every reason."""

from watchword import usernames
from watchword.audit import Event
from watchword.errors import InvalidCredentials, InvalidUsername
from watchword.flows import Tools
from watchword.flows.issue import Issued, issue
from watchword.flows.outcomes import Telling, counted, refusals_counted
from watchword.flows.proof import proven
from watchword.identifiers import new_id, new_salt
from watchword.model import Revocation, Session, User
from watchword.recorder import Asker
from watchword.store import Story, sessions, users
from watchword.store.connection import Connection


async def log_in(tools: Tools, *, username: str, password: str, asker: Asker) -> Issued:
    """Exchange credentials for tokens, and open the session that they belong to.

    Args:
        tools: the instruments.
        username: who it is said to be.
        password: what is to prove it.
        asker: where the client is, and what it calls itself.

    Raises:
        InvalidRequest: the password is empty or longer than any password may be.
        TooManyAttempts: too many attempts at the account, or from the network, have failed.
        InvalidCredentials: they do not open an account, whatever the reason.
        Overloaded: too many logins are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    telling = Telling(asker, Event.LOGIN_FAIL)
    find = _finding(username)
    with counted(tools.metrics), telling.failure():
        async with proven(tools, username=username, find=find, password=password, telling=telling) as proof:
            now = tools.clock()
            session = _begun(tools, proof.user, now=now, network=asker.network, user_agent=asker.user_agent)

            async def renew_and_open(connection: Connection) -> list[Revocation] | None:
                if proof.new_hash is not None:
                    await users.rehash(connection, proof.user, new_hash=proof.new_hash)
                others = await sessions.open_for(connection, proof.user, session=session)
                if others is None:
                    return None
                if others < sessions.MOST:
                    return []
                lifetime = tools.lifetimes.access_token
                return await sessions.make_room(connection, session=session, now=now, token_lifetime=lifetime)

            def tell(ended: list[Revocation]) -> None:
                tools.denials.learn(ended, now=now)
                asker.tell_ends(ended, detail="crowded", user_id=proof.user.id)
                failures = proof.failures_before
                asker.tell(
                    Event.LOGIN_SUCCESS_AFTER_FAIL if failures else Event.LOGIN_SUCCESS,
                    detail=str(failures or ""),
                    user_id=proof.user.id,
                    session_id=session.id,
                )

            tools.readiness.expect_a_key()
            if await proof.conclude(renew_and_open, then=tell) is None:  # disabled, deleted, or given another password
                raise InvalidCredentials("changed meanwhile", user_id=proof.user.id)
            # Not before: those who are told their outcome in one bunch would come to the database one by one.
            return issue(tools, user=proof.user, session=session, now=now)


def turn_away(tools: Tools, *, asker: Asker) -> None:
    """Refuse who comes from a network that floods, before the credentials are read.

    Raises:
        Overloaded: nobody from there would get a place in the queue for a hash.
    """
    with refusals_counted(tools.metrics), Telling(asker, Event.LOGIN_FAIL).failure():
        tools.hasher.pool.turn_away(asker.network)


def _finding(username: str) -> Story[User | None] | None:
    try:
        name = usernames.canonical(username)
    except InvalidUsername:
        return None
    return lambda connection: users.find_by_name(connection, canonical_name=name)


def _begun(tools: Tools, user: User, *, now: int, network: str, user_agent: str) -> Session:
    session = Session(
        id=new_id(),
        user_id=user.id,
        auth_time=now,
        expires_at=now + tools.lifetimes.session,
        salt=new_salt(),
        counter=0,
        refreshed_at=now,
        ends_at=now + min(tools.lifetimes.session, tools.lifetimes.idle),
        token_expires_at=now,
        password_version=user.password_version,
        network=network,
        user_agent=user_agent,
    )
    return session.with_token(now=now, lifetime=tools.lifetimes.access_token)
