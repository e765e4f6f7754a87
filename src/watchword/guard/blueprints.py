"""Guarding a whole blueprint, or a whole application, but for the views that are exempt."""

from quart import Blueprint, Quart, current_app, request, websocket

from watchword.errors import TokenRefused, Unavailable
from watchword.guard.admission import admit, second_look
from watchword.guard.marks import Requirement, is_exempt


def require_everywhere(target: Quart | Blueprint, requirement: Requirement) -> None:
    """Ask the same of all requests and WebSockets that lead to a view.

    A path that leads nowhere is answered as ever: 404 or 405. So is a preflight, which carries no token (Fetch §4.8).

    Raises:
        AssertionError: the blueprint is registered already, and what it does can no longer be changed.
    """

    async def before_request() -> None:
        rule = request.url_rule
        if rule is not None and not (request.method == "OPTIONS" and rule.provide_automatic_options):
            await _stand_before(rule.endpoint, requirement, method=request.method)

    async def before_websocket() -> None:
        if websocket.url_rule is not None:
            await _stand_before(websocket.url_rule.endpoint, requirement, method=websocket.method)

    target.before_request(before_request)
    target.before_websocket(before_websocket)


async def _stand_before(endpoint: str, requirement: Requirement, *, method: str) -> None:
    view = current_app.view_functions.get(endpoint)
    if view is not None and is_exempt(view, method=method):
        return
    try:
        admit(requirement)
    except (TokenRefused, Unavailable) as reason:
        await second_look(requirement, reason)
