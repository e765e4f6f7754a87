"""The client: an ``httpx.Auth`` that logs in, carries the access token, and renews it once for all who need it.

    from watchword.client import WatchwordAuth

    auth = WatchwordAuth("https://login.example.com", username="alice", password=…)
    async with httpx.AsyncClient(auth=auth) as client:
        answer = await client.get("https://reports.example.com/reports")

``auth`` plugs into httpx and does what a ``session`` asks for; ``wire`` is what goes to the login service and comes
from it; ``errors`` is what can go wrong. Nothing here knows the server from the inside.
"""

from watchword.client.auth import WatchwordAuth
from watchword.client.errors import LoginRefused, NotAuthenticated, ServiceUnavailable, SessionOver, UnexpectedAnswer

__all__ = ["LoginRefused", "NotAuthenticated", "ServiceUnavailable", "SessionOver", "UnexpectedAnswer", "WatchwordAuth"]
