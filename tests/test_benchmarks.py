"""The pure parts of the benchmarks: what rounds come to, which budgets are met, how the page shows it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.auc import Auc
from benchmarks.budgets import BUDGETS, Budget, judge
from benchmarks.people import password_hash, username, write_import_file
from benchmarks.pictures import Bar, Chart, Mark
from benchmarks.refusals import FURTHEST, REASONS, THROTTLED, WRONG, compare
from benchmarks.report import PROGRAMS, budget_table, charts, conclusion, markdown, write
from benchmarks.results import Results, Spread
from watchword.passwords import EncodedHash, Parameters

FAST = Budget("logins", "≥", 0.9, "{:.2f} of the raw limit", "watchword", "login share")
SLIM = Budget("memory", "≤", 140, "{:.0f} MB", "watchword", "memory MB")
AHEAD = Budget("beside the best peer", ">", 1, "{:.2f} ×", "watchword", "login ÷ best peer")
CLEAN = Budget("faults", "≤", 0, "{:.0f}", "watchword", "overload faults", in_each_round=True)

FACTS = {"command": "make bench", "date": "2030-01-01", "commit": "abc1234", "few": "1,000", "many": "1,000,000"}


@pytest.fixture
def results() -> Results:
    """Three rounds, as a run leaves them."""
    found = Results(facts=dict(FACTS))
    for share, memory in ((0.91, 120.0), (0.97, 150.0), (0.85, 130.0)):
        found.add("watchword", {"login share": share, "memory MB": memory, "overload faults": 0.0})
        found.add("flask", {"login share": share / 2, "memory MB": 2 * memory})
    found.add("growth on SQLite", {"import s": 60.0})
    found.add("growth on SQLite", {"many ÷ few": 0.99})
    return found


def test_a_spread_is_the_median_with_the_ends() -> None:
    """One wild round moves an end and not the figure."""
    assert Spread.over([3.0, 100.0, 2.0]) == Spread(median=3.0, lowest=2.0, highest=100.0)
    assert Spread.over([1.0, 2.0]) == Spread(median=1.5, lowest=1.0, highest=2.0)
    assert Spread.over([7.0]) == Spread(7.0, 7.0, 7.0)


def test_figures_that_only_some_rounds_have_are_of_those_rounds(results: Results) -> None:
    """What was never measured is None, and not zero."""
    assert results.values("growth on SQLite", "many ÷ few") == [0.99]
    assert results.spread("growth on SQLite", "many ÷ few") == Spread(0.99, 0.99, 0.99)
    assert results.spread("watchword", "never measured") is None
    assert results.spread("nobody", "login share") is None


def test_results_survive_their_file(results: Results, tmp_path: Path) -> None:
    """A page can be written again from the figures that a run left."""
    results.save(tmp_path / "figures.json")
    assert Results.load(tmp_path / "figures.json") == results


@pytest.mark.parametrize(
    ("budget", "values", "verdict"),
    [
        (FAST, [0.90], "met"),
        (FAST, [0.899], "missed"),
        (FAST, [0.5, 0.95, 0.91], "met"),
        (SLIM, [140.0], "met"),
        (SLIM, [140.1], "missed"),
        (AHEAD, [1.0], "missed"),
        (AHEAD, [1.01], "met"),
        (CLEAN, [0.0, 0.0, 0.0], "met"),
        (CLEAN, [0.0, 0.0, 1.0], "missed"),
    ],
)
def test_the_median_decides_unless_every_round_must_hold(budget: Budget, values: list[float], verdict: str) -> None:
    """The mark itself is within the budget, but for "more than"; a single fault in any round is a miss."""
    assert budget.verdict(Spread.over(values)) == verdict


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """A run of parts must not look like success."""
    assert FAST.verdict(None) == "not measured"
    assert {one.verdict for one in judge(Results())} == {"not measured"}


def test_a_missed_budget_is_said_plainly(results: Results) -> None:
    """In the table in bold, and below it by its name and mark."""
    judged = judge(results, [FAST, SLIM, Budget("start", "≤", 0.8, "{:.2f} s", "watchword", "start s")])
    assert budget_table(judged).splitlines()[2:] == [
        "| logins | ≥ 0.90 of the raw limit | 0.91 of the raw limit | 0.85–0.97 | met |",
        "| memory | ≤ 140 MB | 130 MB | 120–150 | met |",
        "| start | ≤ 0.80 s | – | – | **not measured** |",
    ]
    assert conclusion(judged) == "2 of 3 budgets are met. Not measured: start (≤ 0.80 s)."
    assert conclusion(judged[:2]) == "All 2 budgets are met."
    results.add("watchword", {"memory MB": 999.0})
    results.add("watchword", {"memory MB": 999.0})
    assert conclusion(judge(results, [SLIM])) == "0 of 1 budgets are met. **Missed:** memory (≤ 140 MB)."


def test_every_budget_names_itself_once() -> None:
    """Two budgets on one figure would be a slip of the pen."""
    assert len({(budget.owner, budget.figure) for budget in BUDGETS}) == len(BUDGETS)
    for budget in BUDGETS:
        assert budget.form.format(budget.mark)


def test_the_page_has_everybodys_figures(results: Results) -> None:
    """A program that was not measured shows a dash; rows that nobody has are left out; notes come last."""
    page = markdown(results, pictures=["![picture](performance/logins.svg)"], notes="## What was tried\n\nThis.")
    assert "Measured by `make bench` on 2030-01-01, at commit abc1234." in page
    assert "| logins ÷ raw limit | 0.91 (0.85–0.97) | 0.46 (0.42–0.48) | – | – |" in page
    assert "| many beside few | 0.99 × | – |" in page
    assert "| import of the many | 60 s | – |" in page
    assert "start to the first 200 |" not in page
    assert "performance/logins.svg" in page
    assert page.endswith("## What was tried\n\nThis.\n")
    tables = [line for line in page.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in tables)


def test_the_page_stands_beside_its_pictures_and_figures(results: Results, tmp_path: Path) -> None:
    """Every picture that the page shows is there, and is well-formed; one without a bar is not drawn."""
    write(results, page=tmp_path / "performance.md", pictures=tmp_path / "performance", notes="")
    drawn = {file.stem for file in (tmp_path / "performance").glob("*.svg")}
    assert drawn == {"logins", "memory"}
    for name in drawn:
        assert f"(performance/{name}.svg)" in (tmp_path / "performance.md").read_text()
        ElementTree.parse(tmp_path / "performance" / f"{name}.svg")
    assert Results.load(tmp_path / "performance" / "figures.json") == results


@pytest.mark.parametrize(
    ("samples", "reference", "area"),
    [
        ([3.0, 4.0], [1.0, 2.0], 1.0),
        ([1.0, 2.0], [3.0, 4.0], 0.0),
        ([1.0, 2.0], [1.0, 2.0], 0.5),
        ([5.0, 5.0], [5.0, 5.0, 5.0], 0.5),
        ([1.0, 4.0], [2.0, 3.0], 0.5),
        ([2.0, 4.0], [1.0, 3.0], 0.75),
        ([1.0, 2.0], [0.0, 1.0, 3.0], 7 / 12),
    ],
)
def test_the_area_is_the_share_of_pairs_of_which_the_sample_is_larger(
    samples: list[float], reference: list[float], area: float
) -> None:
    """Equal ones count half; seen from the other side it is the rest; and it lies within its interval."""
    found, turned = Auc.of(samples, reference), Auc.of(reference, samples)
    assert found.area == pytest.approx(area)
    assert (turned.area, turned.low, turned.high) == pytest.approx((1 - area, 1 - found.high, 1 - found.low))
    assert 0.0 <= found.low <= found.area <= found.high <= 1.0
    assert (found.off, turned.off) == pytest.approx((abs(area - 0.5), abs(area - 0.5)))


def test_the_interval_is_delongs() -> None:
    """By hand: 24 shares of 0, 1/2 and 1 have the variance 4/23, and 32 of 1/3 and 2/3 have 8/279."""
    found = Auc.of([1.0, 3.0, 5.0] * 8, [2.0, 2.0, 4.0, 4.0] * 8)
    assert found.area == 0.5
    assert found.high - found.area == pytest.approx(1.96 * (4 / 23 / 24 + 8 / 279 / 32) ** 0.5)


def test_an_interval_narrows_with_the_root_of_the_samples() -> None:
    """Sixteen times as many samples of the same shape say four times as much."""
    few, many = ([float(number % 50) for number in range(size)] for size in (50, 800))
    widths = [found.high - found.low for found in (Auc.of(few, few), Auc.of(many, many))]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.02)


def test_refusals_are_held_against_the_reference_of_their_group() -> None:
    """What the throttle refuses is quicker than what costs a hash, and tells nothing by that."""
    slow, quick = [0.020, 0.022], [0.001, 0.002]
    figures = compare(
        {THROTTLED: {THROTTLED: quick, REASONS[-1]: quick}, WRONG: {REASONS[1]: [0.01, 0.03], WRONG: slow}}
    )
    assert figures[f"{REASONS[-1]} AUC"] == figures[f"{REASONS[1]} AUC"] == 0.5
    assert figures[FURTHEST] == 0.0
    assert figures[f"{WRONG} ms"] == pytest.approx(21)
    assert figures[f"{REASONS[1]} ÷ reference"] == pytest.approx(20 / 21)
    assert compare({WRONG: {WRONG: slow, REASONS[1]: quick}})[FURTHEST] == 0.5


def test_the_page_tells_what_the_time_of_a_refusal_tells() -> None:
    """A row for each reason that was measured; the reference has a time and no area."""
    found = Results(facts=dict(FACTS))
    found.add("refusals", compare({WRONG: {WRONG: [0.020, 0.022], REASONS[1]: [0.020, 0.022]}}))
    lines = markdown(found, pictures=[], notes="").splitlines()
    assert f"| {WRONG} | 21.0 ms | – | – |" in lines
    assert f"| {REASONS[1]} | 21.0 ms | 1.00 × | 0.50 (0.00–1.00) |" in lines
    assert not any(line.startswith(f"| {THROTTLED}") for line in lines)


def test_longer_bars_are_larger_figures() -> None:
    """Bars begin at nought; on a logarithmic axis ten times as much is always as much longer."""
    bars = [Bar(str(value), Spread.over([value])) for value in (1.0, 10.0, 100.0)]
    one, ten, hundred = _widths(Chart("linear", bars, "{:.0f}"))
    assert [ten / one, hundred / one] == pytest.approx([10, 100], rel=0.02)
    one, ten, hundred = _widths(Chart("by powers", bars, "{:.0f}", logarithmic=True))
    assert hundred - ten == pytest.approx(ten - one, abs=0.2)


def test_labels_cannot_break_a_picture() -> None:
    """What means something to XML is escaped, and the budget is drawn though no bar reaches it."""
    chart = Chart("<a> & b", [Bar("<script>", Spread.over([0.0]))], "{:.0f}", Mark(140, "budget 140"))
    text = "".join(ElementTree.fromstring(chart.svg()).itertext())
    assert "<a> & b" in text
    assert "<script>" in text
    assert "budget 140" in text


def test_there_is_a_chart_for_all_programs(results: Results) -> None:
    """Those that were measured, in one order, ours in colour."""
    (logins,) = [chart for name, chart in charts(results) if name == "logins"]
    assert [bar.label for bar in logins.bars] == [PROGRAMS["watchword"], PROGRAMS["flask"]]
    assert [bar.ours for bar in logins.bars] == [True, False]


def test_users_for_an_import_share_one_hash(tmp_path: Path) -> None:
    """As many lines as users, and the hash costs what was asked for."""
    cheap = Parameters(memory_kib=8, passes=1)
    file = write_import_file(tmp_path / "users.jsonl", users=3, parameters=cheap)
    lines = file.read_text().splitlines()
    assert [username(number) in line for number, line in enumerate(lines)] == [True, True, True]
    assert EncodedHash.parse(password_hash(cheap)).parameters == cheap


def _widths(chart: Chart) -> list[float]:
    bars = ElementTree.fromstring(chart.svg()).iter("{http://www.w3.org/2000/svg}rect")
    return [float(bar.attrib["width"]) for bar in bars]
