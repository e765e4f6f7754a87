"""GET /forward-auth: whose token is this? For proxies that ask before they pass a request on.

Every request of the application behind the proxy pays for this one, so it is answered before Quart, by the same guard.
"""

import re
from typing import Final
from urllib.parse import quote

from hypercorn.typing import HTTPScope

from watchword.endpoints.exchange import Exchange
from watchword.errors import TokenRefused, Unavailable
from watchword.guard.extension import Checkpoint
from watchword.problems import problem_of, problem_of_status

PATH: Final = "/forward-auth"

_METHODS: Final = frozenset({"GET", "HEAD"})
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_PLAIN: Final = re.compile(r"[!-$&-~]+", re.ASCII)


async def forward_auth(exchange: Exchange, scope: HTTPScope, checkpoint: Checkpoint) -> None:
    """Answer 200 with X-Auth-User, X-Auth-Subject and X-Auth-Scope, or the guard's refusal.

    A user name may be of any script: what is not visible ASCII is percent-encoded, as no header carries it safely.
    """
    if scope["method"] not in _METHODS:
        await exchange.refuse(problem_of_status(405), headers=[(b"allow", b"GET, HEAD")])
        return
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    try:
        token = checkpoint.admit(sent)
    except (TokenRefused, Unavailable) as reason:
        await exchange.refuse(problem_of(reason))
        return
    await exchange.answer(
        status=200,
        headers=[
            (b"content-length", b"0"),
            (b"x-auth-user", _visible(token.username).encode()),
            (b"x-auth-subject", token.sub.encode()),
            (b"x-auth-scope", token.scope.encode()),
        ],
    )


def _visible(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_VISIBLE)  # most names need no look at each character
