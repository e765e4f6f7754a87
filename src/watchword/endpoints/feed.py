"""GET /revocations: which sessions have ended, for guards that share no database with us."""

import re
from typing import Final

import msgspec
from quart import Response

from watchword.endpoints.answers import Time, answer
from watchword.endpoints.bearer import service_token
from watchword.endpoints.queries import sent
from watchword.errors import InvalidRequest
from watchword.flows import Tools
from watchword.flows.feed import feed as tell

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
"""One spelling each, and none that a database could not hold."""


class Ended(msgspec.Struct):
    """A session that ended before its time, and until when a token of it could live."""

    seq: int
    sid: str
    revoked_at: Time
    expires_at: Time


class Feed(msgspec.Struct):
    """What has ended, and what else a guard goes by; see ``flows.feed.News``."""

    seq: int
    more: bool
    now: Time
    keys: str
    revocations: list[Ended]


async def feed(tools: Tools) -> Response:
    """Tell what has ended since ``?after=N``, or where it is left out begin with all that counts."""
    token = service_token()
    news = await tell(tools, service_token=token, after=_after(sent("after")))
    ended = [
        Ended(seq=each.seq, sid=each.session_id, revoked_at=each.revoked_at, expires_at=each.expires_at)
        for each in news.revocations
    ]
    return answer(Feed(seq=news.seq, more=news.more, now=news.now, keys=news.keys, revocations=ended))


def _after(numbers: list[str]) -> int | None:
    if not numbers:
        return None
    if len(numbers) > 1 or not _NUMBER.fullmatch(numbers[0]):
        raise InvalidRequest("after: must be a number, once")
    return int(numbers[0])
