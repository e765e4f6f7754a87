"""The guard: may this bearer pass? A Quart extension for Watchword's own endpoints and for any other application.

    app = Quart(__name__)
    Guard(app, issuer="https://login.example.com")

    @app.get("/reports")
    @token_required(scope="reports:read")
    async def reports():
        return {"for": current_token.username}

It verifies the token in the ``Authorization`` header and touches no database.
"""

from watchword.guard.decorators import current_token, token_required
from watchword.guard.extension import Guard
from watchword.guard.refusal import Refusal

__all__ = ["Guard", "Refusal", "current_token", "token_required"]
