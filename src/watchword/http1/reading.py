"""What a client has sent, as h11 makes it out: it gets little at a time, and no head that would take it long."""

import re
from typing import Any, Final

import h11

_BAD_REQUEST: Final = 400
_FIELDS_TOO_LARGE: Final = 431
_NOT_IMPLEMENTED: Final = 501
"""What h11 makes of a transfer coding that it does not know."""

_PIECE: Final = 1 << 11
"""Bytes that h11 gets at once: it asks how long a head is only while that has no end, so that one which comes whole
would be of any length."""
_MOST_LINES: Final = 102
"""The request line, a hundred fields and the empty line: h11 takes microseconds for a field of two bytes too."""
_MOST_BETWEEN: Final = 1 << 8
"""Bytes of the fields behind a body, or between two chunks of it, where no client of ours has anything to say."""
_MOST_ESCAPES: Final = 1 << 10
"""Of a target. None of ours has any, but somebody's route beside them may."""
_MOST_AHEAD: Final = 1 << 14
"""Bytes beyond a request that are taken before its answer has ended; who sends more is missed when that is written."""
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_NO_TEXT: Final = re.compile(rb"[\x00\v\f]|\r(?=[^\n])")
"""What h11 takes for no part of a field (RFC 9110 §5.5); behind thousands of blanks it would be at it for seconds."""


class Unreadable(ValueError):
    """What was sent is no request.

    Attributes:
        status: that of the answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Reading:
    """The bytes of a connection, and the requests that they are.

    Args:
        most: bytes of a head.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._h11 = self._fresh()
        self._ahead = bytearray()
        self._is_all = False
        self._is_chunked = False
        self._is_connect = False

    @property
    def is_done(self) -> bool:
        """Whether the request has been read to its end, and another may follow."""
        return self._h11.their_state is h11.DONE

    @property
    def is_over(self) -> bool:
        """Whether the request was to be the last: what follows is nobody's."""
        return self._h11.their_state is h11.MUST_CLOSE

    @property
    def is_far_ahead(self) -> bool:
        """Whether more has been taken than may wait for the end of an answer."""
        return len(self._ahead) + len(self._beyond) > _MOST_AHEAD

    def take(self, data: bytes) -> None:
        """Take what has come; nothing, where no more will."""
        self._ahead += data
        self._is_all = not data
        self._give()

    def next_event(self) -> Any:
        """What comes next of what is there: one of h11's events, or what it says instead.

        Raises:
            Unreadable: it is no part of a request, or of one that nobody should send.
        """
        while True:
            self._expect_a_short_head()
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as fault:
                status = fault.error_status_hint
                raise Unreadable(_BAD_REQUEST if status == _NOT_IMPLEMENTED else status) from fault  # no fault of ours
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.EndOfMessage):
                self._stay_with_http1()
            if event is not h11.NEED_DATA:
                return event
            # It cannot make a piece of a body of what it has, as the end of that is not there.
            if self._h11.their_state is h11.SEND_BODY and len(self._beyond) > _MOST_BETWEEN:
                raise Unreadable(_FIELDS_TOO_LARGE)
            if not self._give():  # nothing more will come, or has, or not yet
                return event

    def leave_to_go_on(self) -> bytes:
        """What to tell who waits for leave to send the body (RFC 9110 §10.1.1); nothing, where nobody does."""
        if not self._h11.they_are_waiting_for_100_continue:
            return b""
        return self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def begin_anew(self) -> bool:
        """Let another request begin, as the answer to the one before has ended.

        Returns:
            Whether anything of it is there.
        """
        beyond, is_all = self._h11.trailing_data
        self._ahead[:0] = beyond
        self._is_all |= is_all
        self._h11 = self._fresh()
        return self._give()

    def _fresh(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._most)

    @property
    def _beyond(self) -> bytes:
        """What h11 has and has made nothing of."""
        return self._h11.trailing_data[0]

    def _give(self) -> bool:
        """Let h11 have the next piece of what has come, and after the last one that this is all.

        Returns:
            Whether there was anything.
        """
        if self._ahead:
            size = self._size_of_piece()
            self._h11.receive_data(bytes(self._ahead[:size]))
            del self._ahead[:size]
            return True
        if self._is_all:
            self._h11.receive_data(b"")
            self._is_all = False
            return True
        return False

    def _size_of_piece(self) -> int:
        """How many bytes h11 may have next: of a head those to its end, so that what follows is not at hand with it."""
        if self._h11.their_state is not h11.IDLE:
            return _MOST_BETWEEN if self._is_chunked else _PIECE
        before = self._beyond[-2:]
        end = _END_OF_HEAD.search(before + self._ahead[:_PIECE])
        return _PIECE if end is None else max(1, end.end() - len(before))

    def _expect_a_short_head(self) -> None:
        """See that of a head, or of what is there of one, h11 gets nothing that it would be long at."""
        if self._h11.their_state is not h11.IDLE:
            return
        ahead = self._beyond
        odd = _NO_TEXT.search(ahead) if _may_be_odd(ahead) else None
        # h11 asks how long it is only while the end is not there.
        if odd is None and len(ahead) <= self._most and ahead.count(b"\n") <= _MOST_LINES:
            return
        end = _END_OF_HEAD.search(ahead)
        length = len(ahead) if end is None else end.end()
        if length > self._most or ahead.count(b"\n", 0, length) > _MOST_LINES:
            raise Unreadable(_FIELDS_TOO_LARGE)
        if odd is not None and odd.start() < length:
            raise Unreadable(_BAD_REQUEST)

    def _begin(self, asked: h11.Request) -> None:
        path, _, _ = asked.target.partition(b"?")
        if not asked.http_version.startswith(b"1.") or path.count(b"%") > _MOST_ESCAPES:
            raise Unreadable(_BAD_REQUEST)
        self._is_chunked = any(name == b"transfer-encoding" for name, _ in asked.headers)
        self._is_connect = asked.method == b"CONNECT"

    def _stay_with_http1(self) -> None:
        """Show h11 a refusal, which nobody gets, where a request asked to change to something else: so it reads on.

        At the end of the request and no earlier: h11 would think that nobody waits for leave to send the body any more.
        """
        might_change = self._h11.their_state is h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]  # not listed
        if might_change and not self._is_connect:
            self._h11.send(h11.Response(status_code=_BAD_REQUEST, headers=[(b"content-length", b"0")]))


def _may_be_odd(ahead: bytes) -> bool:
    """Whether there is something for ``_NO_TEXT``, in a tenth of its time: of all that is there each byte asks anew."""
    lone = ahead.count(b"\r") - ahead.count(b"\r\n") - ahead.endswith(b"\r")
    return lone > 0 or b"\0" in ahead or b"\v" in ahead or b"\f" in ahead
