"""GET /forward-auth: whose token is this? For proxies that ask before they pass a request on.

Every request of the application behind the proxy pays for this one. The guard is the same as everywhere.
"""

import re
from typing import Final
from urllib.parse import quote

from watchword.endpoints.doors import Call, Reply
from watchword.flows import Tools

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_PLAIN: Final = re.compile(r"[!-$&-~]+", re.ASCII)


async def forward_auth(_: Tools, call: Call) -> Reply:
    """Answer 200 with X-Auth-User, X-Auth-Subject and X-Auth-Scope, or raise the guard's refusal.

    A user name may be of any script: what is not visible ASCII is percent-encoded, as no header carries it safely. Nor
    would it what who shares a secret with us may have signed as a subject or a scope.
    """
    token = call.admit()
    return Reply(
        200,
        headers=(
            (b"x-auth-user", _visible(token.username).encode()),
            (b"x-auth-subject", _visible(token.sub).encode()),
            (b"x-auth-scope", " ".join(map(_visible, filter(None, token.scope.split(" ")))).encode()),
        ),
    )


def _visible(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_VISIBLE)  # most names need no look at each character
