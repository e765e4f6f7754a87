"""A client that calls a guarded route ten times at once: it logs in once, and would refresh once.

LOGIN_USERNAME=alice LOGIN_PASSWORD='correct horse battery staple' python examples/client.py
"""

import asyncio
import os

import httpx

from watchword.client import NotAuthenticated, WatchwordAuth

LOGIN_SERVICE = os.environ.get("LOGIN_SERVICE", "http://127.0.0.1:8000")


async def main() -> None:
    auth = WatchwordAuth(LOGIN_SERVICE, username=os.environ["LOGIN_USERNAME"], password=os.environ["LOGIN_PASSWORD"])
    async with httpx.AsyncClient(auth=auth, base_url=LOGIN_SERVICE) as client:
        answers = await asyncio.gather(*(client.get("/me") for _ in range(10)))
    sessions = {answer.json()["sid"] for answer in answers}
    print(f"{len(answers)} answers for {answers[0].json()['username']}, {len(sessions)} session")


try:
    asyncio.run(main())
except NotAuthenticated as refusal:
    raise SystemExit(f"Cannot log in: {refusal}") from None
