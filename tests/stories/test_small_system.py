"""The small system of the examples: its story is true, and nothing of it is left behind."""

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import httpx
import pytest

from tests.guard.elsewhere import Reply, login_service, reply
from tests.servers import environment, free_port

PROGRAM = Path(__file__).parents[2] / "examples" / "system" / "run.py"
SECONDS = 120.0

STORY = r"""Starting a login service, and two services that it guards…
They are there: login at (\S+), reports at (\S+), figures at (\S+)\.
Alice .* asks reports, which asks figures with her token: 200 {'figures': \[3, 1, 4\], 'report_for': 'alice'}
Bob lacks .*: 403 {'code': 'insufficient_scope', 'refused_by': 'figures'}
Nobody's token: 401 missing_token
watchword keys rotate --now: another key signs, (.{8})… after (?!\4)(.{8})….
Meanwhile Alice has called \d+ times, half of it with fresh tokens: 0 refused.
Alice logs out. .*
  (?:reports|figures) refuses it after [0-9.]+ s
  (?:reports|figures) refuses it after [0-9.]+ s
All of it goes on until Ctrl-C; the logs are in (\S+)\. Alice's next token:
  curl .*
"""


@contextmanager
def told(*arguments: str, environ: dict[str, str], cwd: Path | None = None) -> Iterator["subprocess.Popen[str]"]:
    """The program in a terminal's place; ended, with all that it started, if it does not come to its end."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        env=environ, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    watchdog = threading.Timer(SECONDS, process.terminate)
    watchdog.start()
    try:
        with process:
            yield process
    finally:
        watchdog.cancel()


def descendants(pid: int) -> set[int]:
    """The ids of all processes that one has started, and they in turn."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return {*children, *chain.from_iterable(descendants(child) for child in children)}


def test_the_story_is_true_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Calls across services, a rotation that nobody notices (row 93), a logout; then all serve until Ctrl-C ends them.

    The settings of a real Watchword, which the environment may hold, are left alone, and no proxy hears of it. Where it
    is started there is a ``reports.py`` already, as the README has one written: it is not served in the place of ours.
    """
    (tmp_path / "reports.py").write_text("app = None\n")
    real = environment(tmp_path / "real", DATABASE_URL="postgresql://real.example/watchword")
    environ = {**real, "HTTP_PROXY": f"http://127.0.0.1:{free_port()}"}
    with told(str(tmp_path / "system"), environ=environ, cwd=tmp_path) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("  curl"):
                break
        story = re.fullmatch(STORY, "".join(lines))
        assert story, "".join(lines)
        assert story[6] == str(tmp_path / "system")
        for url in story.group(1, 2, 3):
            assert httpx.get(f"{url}/healthz").status_code in {200, 404}
        started = descendants(process.pid)
        assert len(started) >= 3
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 0
        assert process.stdout.read() == ""
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert (tmp_path / "system" / "reports.log").exists()
    assert not (tmp_path / "real").exists()


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    """With one line; what is there stays."""
    (tmp_path / "kept").touch()
    with told(str(tmp_path), environ=environment(tmp_path)) as process:
        said, _ = process.communicate()
    assert (process.returncode, said) == (1, f"{tmp_path} is not empty\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


@pytest.mark.parametrize(
    ("figures", "status"),
    [
        (reply({"figures": [1]}), 200),
        (reply({"code": "insufficient_scope"}, 403), 403),
        (Reply(b"<h1>Bad Gateway</h1>", 502), 502),
        (Reply(b"<h1>Internal Server Error</h1>", 500), 502),
        (Reply(b"<h1>Welcome!</h1>"), 502),
        (reply({"error": "Not Found"}, 404), 502),
        (reply(["figures"]), 502),
        (Reply(b"[" * 100_000), 502),
    ],
    ids=lambda argument: f"{argument.status} {argument.body[:40]!r}" if isinstance(argument, Reply) else "",
)
async def test_what_answers_in_the_place_of_the_figures(
    monkeypatch: pytest.MonkeyPatch, figures: Reply, status: int
) -> None:
    """A proxy's page, or that of a fault, is none of this service's own: 502, not 500."""
    monkeypatch.syspath_prepend(PROGRAM.parent)
    monkeypatch.setitem(sys.modules, "reports", None)  # so that nothing of it is left
    del sys.modules["reports"]
    async with login_service() as service:
        service.planned["/figures"] = figures
        monkeypatch.setenv("WATCHWORD_ISSUER", service.issuer.url)
        monkeypatch.setenv("FIGURES_SERVICE", service.issuer.url)
        app = importlib.import_module("reports").app
        async with app.test_app():
            bearer = service.issuer.bearer(scope="reports:read")
            answer = await app.test_client().get("/reports", headers=bearer)
    assert answer.status_code == status
    assert isinstance(await answer.get_json(), dict)
