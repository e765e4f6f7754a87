"""GET /docs: the page is made of the description, whole, and needs nothing but itself."""

import json
import re
import shlex
from base64 import b64encode
from hashlib import sha256
from xml.etree import ElementTree

import msgspec
import pytest

from watchword.endpoints.openapi import describe
from watchword.endpoints.openapi.page import POLICY, page

DESCRIBED = describe(issuer="https://login.example.com", password_min_length=15)
CALLERS = {
    None: "anyone",
    "bearer": "bearer of an access token",
    "client": "a client, by its secret",
    "service": "a service, by its token",
}


def drawn(**changes: object) -> ElementTree.Element:
    """The page of a description, parsed; it is well-formed XML also."""
    text = page(msgspec.json.encode({**DESCRIBED, **changes})).decode()
    assert text.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    """The page."""
    return drawn()


def text_of(element: ElementTree.Element) -> str:
    """All text in an element."""
    return "".join(element.itertext())


def test_every_operation_is_on_the_page(root: ElementTree.Element) -> None:
    """Each has a heading, its method and path, who may call, all its statuses and words, and a place to link to."""
    articles = {article.get("id"): article for article in root.iter("article")}
    operations = [
        (method.upper(), path, operation)
        for path, methods in json.loads(msgspec.json.encode(DESCRIBED["paths"])).items()
        for method, operation in methods.items()
    ]
    assert articles.keys() == {operation["operationId"] for _, _, operation in operations}
    for method, path, operation in operations:
        text = text_of(articles[operation["operationId"]])
        assert operation["summary"] in text
        assert f"{method}{path}" in text
        schemes = [scheme for each in operation["security"] for scheme in each] or [None]
        assert all(CALLERS[scheme] in text for scheme in schemes)
        for status, response in operation["responses"].items():
            assert status in text
            for content in response.get("content", {}).values():
                for word, example in content["examples"].items():
                    assert int(status) < 400 or word in text
                    assert not isinstance(example["value"], dict) or all(name in text for name in example["value"])


def test_every_link_leads_somewhere(root: ElementTree.Element) -> None:
    """Names are used once, and each link is to one of them or to the document beside the page."""
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for link in root.iter("a"):
        href = link.get("href") or ""
        assert href == "openapi.json" or href.removeprefix("#") in names, href


def test_nothing_comes_from_elsewhere(root: ElementTree.Element) -> None:
    """No script, no frame, no image, no form; the one style sheet is the one that the policy names."""
    foreign = {"script", "iframe", "img", "form", "object", "embed", "base", "input", "video", "svg"}
    assert foreign & {element.tag for element in root.iter()} == set()
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or name == "style"]
    (style,) = root.iter("style")
    digest = b64encode(sha256((style.text or "").encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert not re.search(r"url\(|@import|http", style.text or "")
    (link,) = root.iter("link")
    assert (link.get("href") or "").startswith("data:image/svg+xml,")


def test_each_request_can_be_pasted(root: ElementTree.Element) -> None:
    """A shell reads each request as one command, to the service's own address and with what it needs."""
    commands = {
        article.get("id"): shlex.split(text_of(code).replace("\\\n", " "))
        for article in root.iter("article")
        for code in article.iter("code")
        if code.get("class") == "all"
    }
    assert len(commands) == len(list(root.iter("article")))
    base = "https://login.example.com"
    assert commands["login"][:2] == ["curl", f"{base}/login"]
    assert json.loads(commands["login"][-1]) == {"username": "alice", "password": "correct horse battery staple"}
    assert commands["me"] == ["curl", f"{base}/me", "-H", "Authorization: Bearer $TOKEN"]
    assert commands["logout"][:5] == ["curl", "-i", "-X", "POST", f"{base}/logout?scope=global"]
    assert commands["end_session"][:4] == ["curl", "-i", "-X", "DELETE"]
    assert "{" not in commands["end_session"][4]


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "'; ls; '"])
def test_whatever_the_description_says_stays_text(evil: str) -> None:
    """An issuer or a description cannot become markup, nor a command of its own."""
    root = drawn(servers=[{"url": evil}], info={**DESCRIBED["info"], "title": evil, "description": evil})
    assert evil in [element.text for element in root.iter("h1")]
    assert not list(root.iter("script"))
    assert not list(root.iter("img"))
    (login,) = [element for element in root.iter("article") if element.get("id") == "login"]
    (command,) = [code for code in login.iter("code") if code.get("class") == "all"]
    assert shlex.split(text_of(command))[1] == f"{evil}/login"
