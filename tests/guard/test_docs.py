"""The guard's page is true: its programs run as they stand there, and its own test passes."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "guard.md"


async def test_the_programs_of_the_page() -> None:
    """Pasted one after the other they are an application, guarded as the text says, and a test of it."""
    here: dict[str, Any] = {"__name__": __name__}  # where Quart looks for its folders
    for program in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(program, here)
    await here["test_reports"]()
    client = here["app"].test_client()
    statuses = [(await client.get(path)).status_code for path in ("/reports", "/reports/", "/reports/health")]
    assert statuses == [401, 401, 200]
    async with here["guard"].acting_as("alice", scope="reports:read"):
        assert (await client.get("/reports/")).status_code == 200
        assert (await client.delete("/reports/7")).status_code == 403
