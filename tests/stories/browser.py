"""A real browser, driven through ChromeDriver's own protocol (W3C WebDriver, and Chromium's logs)."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port

SECONDS = 30.0
TAB, ENTER = "\ue004", "\ue007"

_QUIET = (
    "--headless",
    "--no-sandbox",  # it runs as root in CI, and opens nothing but our own page
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# A page whose first frame is not drawn, or whose window has no focus, may lose the key that is pressed on it.
_UNTIL_DRAWN = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(null)));"
_FOCUSED = "Emulation.setFocusEmulationEnabled"
_ASKED = "Network.requestWillBeSent"
_OF_NO_HOST = ("about:", "chrome:", "chrome-untrusted:", "data:")


class Browser:
    """A window of it.

    Args:
        driver: a client of ChromeDriver, at the address of this window's session.
    """

    def __init__(self, driver: httpx.Client) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        """Load a page, and wait until it takes keys."""
        self._ask("url", url=url)
        self._ask("execute/async", script=_UNTIL_DRAWN, args=[])

    def run(self, script: str) -> Any:
        """Run JavaScript in the page and give what it returns."""
        return self._ask("execute/sync", script=script, args=[])

    def command(self, name: str, **options: Any) -> None:
        """Do something that only Chromium's own protocol can."""
        self._ask("goog/cdp/execute", cmd=name, params=options)

    def press(self, key: str) -> None:
        """Press and release a key."""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def console(self) -> list[str]:
        """What has been written to the console since it was last asked, errors of the page included."""
        return [entry["message"] for entry in self._ask("se/log", type="browser")]

    def requested(self) -> list[str]:
        """What has been asked of any host since it was last asked; the browser's own pages ask none."""
        events = [json.loads(entry["message"])["message"] for entry in self._ask("se/log", type="performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == _ASKED]
        return [url for url in urls if not url.startswith(_OF_NO_HOST)]

    def _ask(self, command: str, **members: Any) -> Any:
        answer = self._driver.post(command, json=members).json()["value"]
        assert not (isinstance(answer, dict) and "stacktrace" in answer), answer
        return answer


def is_installed() -> bool:
    """Whether this machine has Debian's Chromium and its driver."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser without a screen, with a profile of its own in a folder."""
    port = free_port()
    arguments = [f"--user-data-dir={folder / 'profile'}", *_QUIET]
    options = {"binary": shutil.which("chromium"), "args": arguments}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    with (folder / "chromedriver.log").open("wb") as log:
        process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=SECONDS, trust_env=False) as driver:
            _wait_until_ready(driver, process)
            began = driver.post("session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            session = f"http://127.0.0.1:{port}/session/{began['sessionId']}"
            driver.base_url = f"{session}/"
            try:
                browser = Browser(driver)
                browser.command(_FOCUSED, enabled=True)
                yield browser
            finally:
                driver.delete(session).raise_for_status()  # which ends the browser; its driver alone would leave it
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the browser too, if it is still there
        process.wait(SECONDS)


def _wait_until_ready(driver: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if driver.get("status").json()["value"]["ready"]:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError("chromedriver does not answer")
