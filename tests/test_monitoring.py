"""What watches the service: the page on metrics, the alert rules and the dashboard speak of what is really exposed."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from watchword.endpoints import ROUTES
from watchword.metrics import Metrics

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "metrics.md"
ALERTS: Final = DOCS / "monitoring" / "alerts.yml"
DASHBOARD: Final = DOCS / "monitoring" / "dashboard.json"

NAME: Final = re.compile(r"\b(?:watchword|process)_\w+")
SELECTOR: Final = re.compile(r"\b((?:watchword|process)_\w+)\{([^}]*)\}")
MATCHER: Final = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
GROUPED: Final = re.compile(r"\bby \(([^)]*)\)")
PLACE: Final = {"job", "instance"}
"""The labels that Prometheus adds when it scrapes."""
PARTS: Final = ("_bucket", "_sum", "_count")
"""What a histogram is exposed as; the page names it without."""
RULE_FIELDS: Final = {"expr", "labels", "annotations", "severity", "summary", "description"}
ROWS: Final = ["Logins", "Hashing", "Requests", "Database", "Process"]


class Idle:
    """The queue of a pool that has nothing to do."""

    depth = 0
    expected_wait = 0.0


class Fresh:
    """News of a moment ago."""

    staleness = 0.1


class Rule(NamedTuple):
    """An alert rule: its name, its expression, and each `key: value` of it."""

    name: str
    expression: str
    fields: dict[str, str]


def exposed() -> dict[str, set[str]]:
    """The labels of each name that a process exposes which has seen one of everything."""
    metrics = Metrics()
    metrics.describe_hashing(Idle(), backend="PyNaCl", memory_kib=19456, passes=2, threads=1)
    metrics.describe_news(Fresh())
    metrics.describe_log(lambda: 0)
    metrics.describe_signing_key(lambda: 86_400.0)
    metrics.login_ended("failure", "wrong_password")
    metrics.hash_computed(0.001, 0.01)
    metrics.database_used("read", 0.001)
    metrics.request_answered(method="POST", route="/login", status=401, seconds=0.02)
    names: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


def ours() -> set[str]:
    """Our own metrics, a histogram under the name without its parts."""
    bases = set()
    for name in exposed():
        if name.startswith("watchword_") and not name.endswith("_created"):
            part = next((part for part in PARTS if name.endswith(part)), "")
            bases.add(name.removesuffix(part))
    return bases


def rules() -> list[Rule]:
    """The alert rules, as far as they can be read without a YAML parser."""
    found = []
    for block in re.split(r"^ {6}- (?=alert: )", ALERTS.read_text(), flags=re.MULTILINE)[1:]:
        name = re.match(r"alert: (\w+)\n", block)
        expression = re.search(r"^ {8}expr: \|\n((?: {10}.*\n)+)", block, flags=re.MULTILINE)
        assert name, block
        assert expression, block
        fields = dict(
            re.findall(r"^ {8,10}(expr|for|labels|annotations|severity|summary|description):(.*)$", block, re.M)
        )
        found.append(Rule(name[1], expression[1], fields))
    return found


def dashboard() -> dict[str, Any]:
    """The dashboard, parsed."""
    parsed: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return parsed


def queries() -> list[str]:
    """Every expression that the dashboard asks with, those of its variables included."""
    variables = [each["definition"] for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    return variables + [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def expressions() -> list[str]:
    """What alert rules and dashboard ask."""
    return [rule.expression for rule in rules()] + queries()


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD, PAGE], ids=lambda file: file.name)
def test_every_name_is_exposed(file: Path) -> None:
    """No rule, no panel and no line of the page names a metric that nobody exposes."""
    known = set(exposed()) | (ours() if file == PAGE else set())
    named = set(NAME.findall(file.read_text()))
    if sys.platform != "linux":  # elsewhere there is no /proc that the process's own metrics could be read from
        named = {name for name in named if name.startswith("watchword_")}
    assert named
    assert named - known == set()


def test_every_metric_of_ours_is_explained() -> None:
    """The page has a row for each of our metrics, with exactly its labels."""
    labels = exposed()
    rows = dict(re.findall(r"^\| `(watchword_\w+)` \| [^|]+ \| ([^|]*)\|", PAGE.read_text(), flags=re.MULTILINE))
    assert set(rows) == ours()
    for name, told in rows.items():
        real = labels.get(name, set()) | labels.get(f"{name}_count", set())
        assert set(re.findall(r"\w+", told)) == real, name


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """Nothing is counted that nobody would see."""
    asked = set(NAME.findall("\n".join(queries())))
    assert {base for base in ours() if not any(name.startswith(base) for name in asked)} == set()


def test_selectors_match_labels_that_exist() -> None:
    """A matcher on a label that a metric has not would silently select nothing, or everything."""
    labels = exposed()
    selectors = [found for each in expressions() for found in SELECTOR.findall(each)]
    assert selectors
    for name, matchers in selectors:
        if name in labels:
            assert {label for label, _ in MATCHER.findall(matchers)} <= labels[name] | PLACE, name


def test_grouping_is_by_labels_that_exist() -> None:
    """A sum by a label that no metric in it has would be one sum over all."""
    labels = exposed()
    for each in expressions():
        grouped = {label.strip() for group in GROUPED.findall(each) for label in group.split(",")}
        there = {label for name in NAME.findall(each) for label in labels.get(name, ())}
        assert grouped <= there | PLACE, each


def test_values_that_are_asked_for_are_explained() -> None:
    """Outcomes and reasons, wherever one is selected, are in the page's table; routes are in the route table."""
    explained = set(re.findall(r"^\| `(?:failure|refused)` \| `(\w+)` \|", PAGE.read_text(), flags=re.MULTILINE))
    explained |= {"success", "failure", "refused"}
    routes = {route.path for route in ROUTES}
    for each in expressions():
        for label, value in MATCHER.findall(each):
            if label in {"outcome", "reason"}:
                assert set(value.split("|")) <= explained, each
            elif label == "route":
                assert set(value.split("|")) <= routes, each


def test_every_rule_is_whole() -> None:
    """Each rule has its own name, an expression, a severity, a summary and a description; none is overlooked here."""
    names = [rule.name for rule in rules()]
    assert len(names) == len(set(names)) == len(re.findall(r"\balert:", ALERTS.read_text()))
    for rule in rules():
        assert rule.fields.keys() >= RULE_FIELDS, rule.name
        assert rule.fields["severity"].strip() in {"page", "ticket"}, rule.name
        assert re.fullmatch(r"\d+[mh]", rule.fields.get("for", "0m").strip()), rule.name
        for text in (rule.fields["summary"], rule.fields["description"]):
            assert re.fullmatch(r' "[^"\\]+"', text), rule.name
            assert text.count("{{") == text.count("}}"), rule.name


def test_the_rules_are_plain_yaml() -> None:
    """No tab, and an indentation of whole steps: what a YAML parser is strictest about."""
    for line in ALERTS.read_text().splitlines():
        assert "\t" not in line
        assert (len(line) - len(line.lstrip())) % 2 == 0, line


@pytest.mark.parametrize("expression", expressions())
def test_expressions_are_balanced(expression: str) -> None:
    """Parentheses, braces, brackets and quotes are closed where they were opened."""
    bare = re.sub(r'"[^"]*"', "", expression)
    assert '"' not in bare
    while (shorter := re.sub(r"\([^(){}\[\]]*\)|\{[^(){}\[\]]*\}|\[[^(){}\[\]]*\]", "", bare)) != bare:
        bare = shorter
    assert not set("(){}[]") & set(bare)


def test_counters_are_only_read_as_rates() -> None:
    """Each process counts from 0, so that a sum over bare counters would fall whenever one is replaced."""
    counters = r"\w+_(?:total|bucket|sum|count)"
    for each in queries():
        bare = re.sub(rf"\b(?:rate|increase)\({counters}\{{[^}}]*\}}\[[^\]]+\]\)", "", each)
        assert not re.search(rf"\b(?:watchword|process)_{counters}\b", bare), each


def test_the_dashboard_fits_anywhere() -> None:
    """It has no id of its own and asks the data source that is chosen on it."""
    board = dashboard()
    assert board["schemaVersion"] >= 38
    assert not {"id", "uid"} & board.keys()
    kinds = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert kinds["datasource"] == "datasource"
    assert set(re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text())) == {"${datasource}"}
    assert set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text())) <= kinds.keys() | {"__rate_interval", "__all"}


def test_panels_have_their_own_ids_and_places() -> None:
    """No two panels share an id or a spot, every one says what it shows, and the rows are in their order."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == ROWS
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
