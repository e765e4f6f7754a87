"""The page at /docs in a real browser: it needs no other host, reads well anywhere, and what it says works."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.builders import PASSWORD
from tests.servers import Server, free_port, watchword, watchword_server
from tests.stories.browser import ENTER, TAB, Browser, browsing, is_installed
from watchword.endpoints.openapi import DESCRIBED
from watchword.endpoints.openapi.operations import CHAPTERS, OPERATIONS

FAINTEST = 4.5
"""The least contrast of text (WCAG 2.2 §1.4.3)."""

# Of each text on the page: how much its colour differs from what is behind it, in the words of WCAG 2.2.
CONTRASTS = """
const part = value => { value /= 255; return value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
const behind = element => {
  for (; element; element = element.parentElement) {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
};
const found = {};
for (const element of document.querySelectorAll('body *')) {
  if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
  const [one, other] = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
  found[`${element.tagName} ${element.className}`] = (one + .05) / (other + .05);
}
return found;
"""


class Opened(NamedTuple):
    """The page in a browser, and the service that it is about."""

    browser: Browser
    server: Server


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page, loaded once for all of these; CI installs the browser."""
    if not is_installed():
        pytest.skip("there is no Chromium on this machine: apt-get install chromium chromium-driver")
    folder = tmp_path_factory.mktemp("docs")
    port = free_port()
    with (
        watchword_server(folder / "instance", port=port, ISSUER=f"http://127.0.0.1:{port}") as server,
        browsing(folder) as browser,
    ):
        browser.open(f"{server.url}/docs")
        yield Opened(browser, server)


def test_it_asks_no_other_host_and_has_no_errors(opened: Opened) -> None:
    """The page itself is all that is asked for, its policy lets in all that it needs, and the console stays empty."""
    browser, server = opened
    assert browser.requested() == [f"{server.url}/docs"]
    assert browser.console() == []
    assert browser.run("return document.styleSheets.length") == 1
    assert browser.run("return document.title") == "Watchword: the HTTP interface"


def test_its_headings_are_the_routes(opened: Opened) -> None:
    """One title, the chapters, and under them an entry for every route, all to be seen."""
    headings = "return [...document.querySelectorAll('{}')].map(each => each.innerText)"
    assert opened.browser.run(headings.format("h1")) == ["Watchword"]
    assert opened.browser.run(headings.format("h2")) == list(CHAPTERS)
    routes = {OPERATIONS[f"{route.method} {route.path}"].summary for route in DESCRIBED}
    assert {text.removesuffix("#").strip() for text in opened.browser.run(headings.format("h3"))} == routes
    heights = opened.browser.run("return [...document.querySelectorAll('article')].map(each => each.offsetHeight)")
    assert min(heights) > 100


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 1920])
def test_nothing_sticks_out(opened: Opened, width: int) -> None:
    """From the smallest phone to a wide screen, nobody has to scroll sideways, whatever is opened."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 800}
    opened.browser.command("Emulation.setDeviceMetricsOverride", **size)
    opened.browser.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    wider = opened.browser.run(
        "return [...document.querySelectorAll('body *')].filter(each => !each.closest('.skip') &&"
        " each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"
    )
    opened.browser.run("document.querySelectorAll('details').forEach(each => { each.open = false; })")
    assert wider == []
    opened.browser.command("Emulation.clearDeviceMetricsOverride")


def test_it_can_be_read_by_day_and_by_night(opened: Opened) -> None:
    """Both colour schemes differ, and in both every text stands out from its ground."""
    grounds = set()
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        opened.browser.command("Emulation.setEmulatedMedia", features=[feature])
        grounds.add(opened.browser.run("return getComputedStyle(document.body).backgroundColor"))
        contrasts = opened.browser.run(CONTRASTS)
        assert len(contrasts) > 15
        assert {name: ratio for name, ratio in contrasts.items() if ratio < FAINTEST} == {}, scheme
    assert len(grounds) == 2


def test_it_can_be_used_without_a_mouse(opened: Opened) -> None:
    """The first tab stop leads past the list of routes, and a refusal opens by a key."""
    browser, server = opened
    browser.open(f"{server.url}/docs")
    browser.press(TAB)
    assert browser.run("return document.activeElement.innerText") == "Skip to the routes"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") > 0
    browser.press(ENTER)
    assert browser.run("return location.hash") == "#routes"
    browser.run("document.querySelector('#login summary').focus()")
    browser.press(ENTER)
    assert browser.run("return document.querySelector('#login details').open") is True


def test_what_it_shows_can_be_pasted(opened: Opened) -> None:
    """The requests of the page log in, and ask who one is with the token that came back."""
    browser, server = opened
    arguments = ("users", "add", "alice", "--password-stdin")
    watchword(*arguments, environ=server.environ, stdin=PASSWORD).check_returncode()
    token = _pasted(browser, "login", server)["token"]
    assert _pasted(browser, "me", server, TOKEN=token)["username"] == "alice"
    assert _pasted(browser, "list_sessions", server, TOKEN=token)["sessions"][0]["current"] is True


def _pasted(browser: Browser, name: str, server: Server, **variables: str) -> dict[str, Any]:
    """What a shell prints that is given the request of a route, as the browser copies it."""
    command = browser.run(f"return document.querySelector('#{name} .all').innerText")
    done = subprocess.run(
        ["bash", "-c", command],
        env={**server.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    members: dict[str, Any] = json.loads(done.stdout)
    return members
