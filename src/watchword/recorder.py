"""The recorder: takes what happens, tells the log at once, and keeps it in order for whoever writes it to the database.

One per process. Recording is a plain call that waits for nothing and fails nobody: a login must not become slower, nor
be refused, because of what is noted about it. ``flows.audit`` writes down what waits here.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, NamedTuple, Self

from watchword import telemetry
from watchword.audit import ALARMING, LAST, Entry, Event, Outcome, Seals
from watchword.identifiers import new_id
from watchword.model import Revocation

MOST: Final = 10_000
"""Events that may wait for a database that is away: some 10 MB. What comes then is only in the log."""
BATCH: Final = 256
MOST_ALIKE: Final = 10
"""Of the events that somebody causes for nothing, so many of a kind are told in a second, and the rest as one."""

MOST_ENDS: Final = 100
"""Sessions that one act has ended of which each is told."""

_BY_STRANGERS: Final = frozenset({Event.RATE_LIMIT_EXCEEDED, Event.LOGIN_FAIL_MAX, Event.LOGIN_FAIL})
_BY_OUR_OWN: Final = frozenset({Event.TOKEN_CREATED, Event.AUTHZ_FAIL, Event.PASSWORD_CHANGE_FAIL})
"""By an account or a client of ours. Whatever ends a session, or needs a login for each, is not for nothing."""
_FOR_NOTHING: Final = frozenset({Outcome.REFUSED, Outcome.ABORTED})
"""Without a password having been judged, for which there is a throttle."""
_WITH_ROOM_ALWAYS: Final = LAST | {Event.AUDIT_LOST}
"""What a process tells of itself: without its last event what was before could be removed unnoticed."""
_ITSELF: Final = "service"
_SECOND: Final = 1000


class _What(NamedTuple):
    """What events that are summed up have in common."""

    event: Event
    outcome: Outcome
    detail: str
    actor: str
    user_id: str


class Recorder:
    """The events of this process that are not in the database yet.

    Args:
        seals: what chains them.
        milliseconds: tells the time since the epoch.
        lose: is told of each event that found no room.

    Attributes:
        writer: this process's id among all that ever wrote.
        seals: what chains the events.
        news: set while something waits.
    """

    def __init__(self, seals: Seals, *, milliseconds: Callable[[], int], lose: Callable[[], None]) -> None:
        self.writer = new_id()
        self.seals = seals
        self.news = asyncio.Event()
        self._milliseconds = milliseconds
        self._lose = lose
        self._waiting: deque[Entry] = deque()
        self._seq = 0
        self._digest = b""
        self._lost = 0
        self._second = 0
        self._alike: Counter[_What] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def record(
        self,
        event: Event,
        *,
        outcome: Outcome,
        actor: str,
        detail: str = "",
        user_id: str = "",
        session_id: str = "",
        network: str = "",
        request_id: str = "",
    ) -> None:
        """Take an event; see ``audit.Entry`` for what is what."""
        at = self._milliseconds()
        what = _What(event, outcome, detail, actor, user_id)
        alike = _summed_up_as(what)
        if alike is not None and self._is_one_of_many(alike, at):
            self.news.set()
            return
        self._take(what, at, session_id=session_id, network=network, request_id=request_id)

    def _take(self, what: _What, at: int, *, session_id: str = "", network: str = "", request_id: str = "") -> None:
        event, outcome, detail, actor, user_id = what
        seq = self._seq + 1 if len(self._waiting) < MOST or event in _WITH_ROOM_ALWAYS else 0
        fields = (self.writer, seq, at, event, outcome, detail, actor, user_id, session_id, network, request_id)
        if seq:
            self._chain(fields)
            self.news.set()
        else:
            self._lost += 1
            self._lose()
        telemetry.event_happened(_line_of(*fields))

    def sum_up(self, *, at: int | None = None) -> None:
        """Tell how many of a kind were not told in a second that is over, or until now."""
        alike, self._alike, self._second = self._alike, Counter(), 0 if at is None else at // _SECOND
        for what, number in alike.items():
            if number > MOST_ALIKE:
                more = f"{what.detail} {number - MOST_ALIKE} more".lstrip()
                self._take(what._replace(detail=more), self._milliseconds())

    def close(self, last: Event, *, actor: str) -> None:
        """Tell a process's last event, behind all that is still to be told; none if it has told nothing."""
        self.sum_up()
        if self._seq:
            self._tell_losses()
            self.record(last, outcome=Outcome.SUCCESS, actor=actor)

    def unwritten(self) -> list[bytes]:
        """What waits, as lines of the log: for a command, which has no log, where the table has not taken it."""
        return [telemetry.encoded(_line_of(*entry[:-1])) for entry in self._waiting]

    def next_batch(self) -> list[Entry]:
        """The oldest that wait."""
        if (at := self._milliseconds()) // _SECOND != self._second:
            self.sum_up(at=at)
        return list(islice(self._waiting, BATCH))

    def written(self, batch: list[Entry]) -> None:
        """Forget a batch that is in the database now; if others were lost meanwhile, that is an event too."""
        while self._waiting and self._waiting[0].writer == batch[-1].writer and self._waiting[0].seq <= batch[-1].seq:
            self._waiting.popleft()
        self._tell_losses()
        if not self._waiting and not self._has_more():
            self.news.clear()

    def begin_anew(self, batch: list[Entry]) -> None:
        """Chain what waits under another id, as somebody else writes under that of a batch.

        A machine whose snapshot was resumed twice has each of its processes twice.
        """
        if batch[0].writer == self.writer:  # and not under yet another, where several wrote it down
            waiting, self._waiting = self._waiting, deque()
            self.writer, self._seq, self._digest = new_id(), 0, b""
            for entry in waiting:
                self._chain((self.writer, self._seq + 1, *entry[2:-1]))

    def _chain(self, fields: tuple[Any, ...]) -> None:
        self._seq, self._digest = fields[1], self.seals.digest(fields, previous=self._digest)
        self._waiting.append(Entry._make((*fields, self._digest)))

    def _tell_losses(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            self.record(Event.AUDIT_LOST, outcome=Outcome.FAILURE, actor=_ITSELF, detail=str(lost))

    def _is_one_of_many(self, what: _What, at: int) -> bool:
        if at // _SECOND != self._second:
            self.sum_up(at=at)
        self._alike[what] += 1
        return self._alike[what] > MOST_ALIKE

    def _has_more(self) -> bool:
        return any(number > MOST_ALIKE for number in self._alike.values())


def _line_of(
    writer: str,
    seq: int,
    at: int,
    event: str,
    outcome: str,
    detail: str,
    actor: str,
    user_id: str,
    session_id: str,
    network: str,
    request_id: str,
) -> telemetry.EventLine:
    return telemetry.EventLine(
        time=telemetry.timestamp(at),
        level="warning" if event in ALARMING else "info",
        event=event,
        outcome=outcome,
        actor=actor,
        detail=detail,
        user_id=user_id,
        session_id=session_id,
        network=network,
        request_id=request_id,
        writer=writer,
        seq=seq,
    )


def _summed_up_as(what: _What) -> _What | None:
    """What tells a flood of such events; None where each is told.

    Strangers share one sum, for they could claim to be anybody, and each name would have a sum of its own. An account
    or a client answers for its own.
    """
    if what.event is not Event.TOKEN_CREATED and what.outcome not in _FOR_NOTHING:
        return None
    if what.event in _BY_STRANGERS:
        return what._replace(actor=_ITSELF, user_id="")
    return what if what.event in _BY_OUR_OWN else None


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for something, and from where: the half of an event that is known before it happens.

    Attributes:
        recorder: whom to tell.
        actor: ``user``, ``client:<id>``, ``cli`` or ``service``.
        network: where the request came from, as ``networks.network_of`` writes it.
        user_agent: what the client calls itself, as far as it can be shown.
        request_id: the request's.
    """

    recorder: Recorder
    actor: str
    network: str = ""
    user_agent: str = ""
    request_id: str = ""

    def as_client(self, client_id: str) -> Self:
        """The same, once it has proven to be a client of ours."""
        return replace(self, actor=f"client:{client_id}")

    def tell(
        self,
        event: Event,
        *,
        outcome: Outcome = Outcome.SUCCESS,
        detail: str = "",
        user_id: str = "",
        session_id: str = "",
    ) -> None:
        """Tell that it has happened."""
        self.recorder.record(
            event,
            outcome=outcome,
            actor=self.actor,
            detail=detail,
            user_id=user_id,
            session_id=session_id,
            network=self.network,
            request_id=self.request_id,
        )

    def tell_ends(self, ended: Sequence[Revocation], *, detail: str, user_id: str) -> None:
        """Tell which sessions of a user have been ended at once; of very many only how many more there were.

        Ten thousand events at once would fill the queue, and what else happens in that moment would be lost.
        """
        for each in ended[:MOST_ENDS]:
            self.tell(Event.SESSION_LOGOUT, detail=detail, user_id=user_id, session_id=each.session_id)
        more = len(ended) - MOST_ENDS
        if more > 0:
            self.tell(Event.SESSION_LOGOUT, detail=f"{detail} {more} more", user_id=user_id)
