"""The page is whole, well-formed, needs no other host, and shows what was measured."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.bench.measurement import Phase, Sample
from watchword.bench.report import page
from watchword.bench.story import Plan
from watchword.bench.target import Target
from watchword.bench.users import User
from watchword.markup import Markup, tag

WHEN = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)
NAMES = ("logins alone", "logins beside /me", "/me alone", "/me beside logins")
SVG = "svg"

samples = st.builds(
    Sample,
    started=st.floats(0, 12),
    seconds=st.floats(0, 1e3) | st.sampled_from([0.0, 0.001, 1.0]),
    status=st.sampled_from([0, 200, 401, 404, 429, 500, 503]),
    retry=st.integers(0, 3),
)
phases = st.lists(samples, max_size=12).map(tuple)


def drawn(*measured: tuple[Sample, ...], name: str = "127.0.0.1", remarks: tuple[str, ...] = ()) -> str:
    """The page of four phases with these samples."""
    plan = Plan(Target(name, 8000, ("127.0.0.1",)), [User("alice", "a password")], 32, 100.0, 10.0)
    given_ = [Phase(NAMES[n], 10.0, taken, generator_cpu=0.12, late=0.001) for n, taken in enumerate(measured)]
    return page(plan, given_, remarks, when=WHEN)


def parsed(text: str) -> ElementTree.Element:
    """The page, read as strictly as XML is."""
    return ElementTree.fromstring(text)


def titles(root: ElementTree.Element) -> list[str]:
    """What the pictures tell when pointed at."""
    return [title.text or "" for picture in root.iter(SVG) for title in picture.iter("title")]


GOOD = tuple(Sample(n / 100, 0.001 + n / 1e4, 200, 0) for n in range(900))
REFUSED = tuple(Sample(n / 10, 0.004, 503, 0) for n in range(50))


@settings(deadline=None)
@given(phases, phases, phases, phases)
def test_any_measurement_makes_a_well_formed_page(
    one: tuple[Sample, ...], two: tuple[Sample, ...], three: tuple[Sample, ...], four: tuple[Sample, ...]
) -> None:
    """With many samples, few, none, or failures only, there is a page, and no number in it is not a number."""
    text = drawn(one, two, three, four)
    root = parsed(text)
    for element in root.iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "width", "height"):
            if name in element.attrib and element.tag != "meta":
                assert re.fullmatch(r"-?\d+(\.\d+)?", element.attrib[name]), element.attrib
    assert "nan" not in "".join(root.itertext()).lower()


def test_each_answer_is_in_the_pictures_once() -> None:
    """The bars of the distribution add up to the answers that have a time, the bars of the statuses to all."""
    told = titles(parsed(drawn(GOOD, GOOD + REFUSED, GOOD, (*GOOD, Sample(1, 1, 0, 0)))))
    counted = [re.fullmatch(r".+ m?s: ([\d,]+) (answered|told to try later)", title) for title in told]
    assert sum(int(match[1].replace(",", "")) for match in counted if match and match[2] == "answered") == 3600
    assert sum(int(match[1]) for match in counted if match and match[2] != "answered") == 50
    shares = [re.fullmatch(r"(.+): ([\d,]+) of ([\d,]+)", title) for title in told]
    assert [(match[1], match[2], match[3]) for match in shares if match] == [
        ("200", "900", "900"),
        ("200", "900", "950"),
        ("503", "50", "950"),
        ("200", "900", "900"),
        ("200", "900", "901"),
        ("no answer", "1", "901"),
    ]


def test_the_page_needs_no_other_host() -> None:
    """No script, no link, no picture from elsewhere; and the browser is told not to fetch one."""
    text = drawn(GOOD, REFUSED, (), GOOD)
    root = parsed(text)
    assert {element.tag for element in root.iter()} <= set(
        "html head meta title style body main header section div p h1 h2 dl dt dd span i strong "
        "table thead tbody tr th td svg g rect line text".split()
    )
    for element in root.iter():
        assert not {"src", "href", "onclick", "onload"} & element.attrib.keys()
    assert not re.search(r"url\(|@import|//", text.replace("<!DOCTYPE html>", ""))
    policy = root.find(".//meta[@http-equiv='Content-Security-Policy']")
    assert policy is not None
    assert policy.attrib["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "prefers-color-scheme: dark" in text


def test_bars_of_one_moment_stand_on_each_other() -> None:
    """In the throughput the refused of a moment are drawn on top of the answered, from the foot of the panel up."""
    page_ = parsed(drawn(GOOD + REFUSED, (), (), ()))
    _, panel, *_ = page_.iter(SVG)
    tops: dict[str, float] = {}
    for bar in panel.iter("rect"):
        box = bar.attrib
        top, height = float(box["y"]), float(box["height"])
        assert top + height == pytest.approx(tops.get(box["x"], 166.0), abs=0.02)
        tops[box["x"]] = top
    assert len(tops) < len(list(panel.iter("rect")))


@pytest.mark.parametrize(("more", "names"), [((), ["answered"]), (REFUSED, ["answered", "told to try later"])])
def test_the_legend_has_what_is_drawn(more: tuple[Sample, ...], names: list[str]) -> None:
    """Colours are explained, and only those that occur."""
    for legend in parsed(drawn(GOOD + more, GOOD, GOOD, GOOD)).iterfind(".//p[@class='legend']"):
        assert ["".join(entry.itertext()) for entry in legend.iter("span")] == names


def test_what_has_no_time_is_not_in_the_legend_of_times() -> None:
    """Errors are in the throughput and the statuses, and in neither picture nor legend of the times."""
    lost = (*GOOD, Sample(1, 1, 0, 0), Sample(1, 1, 500, 0))
    times, *others = parsed(drawn(lost, GOOD, GOOD, GOOD)).iterfind(".//p[@class='legend']")
    assert "".join(times.itertext()) == "answered"
    for legend in others:
        assert "".join(legend.itertext()) == "answeredserver errorsno answer"


def test_every_axis_has_its_unit() -> None:
    """Each picture of times or rates labels them with units."""
    pictures = list(parsed(drawn(GOOD, REFUSED, GOOD, GOOD)).iter(SVG))
    distribution, *throughput, statuses = (
        ["".join(text.itertext()) for text in picture.iter("text")] for picture in pictures
    )
    assert {"1 ms", "10 ms", "100 ms"} <= set(distribution)
    assert any(label.endswith(" %") for label in distribution)
    assert len(throughput) == 4
    for labels in throughput:
        assert {"answers/s", "0", "0 s", "10 s"} <= set(labels)
    assert "503 × 50 (100 %)" in statuses


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "]]>"])
def test_whatever_the_page_is_given_stays_text(evil: str) -> None:
    """A host's name or a remark cannot become markup."""
    root = parsed(drawn(GOOD, GOOD, GOOD, GOOD, name=evil, remarks=(evil,)))
    assert evil in [element.text for element in root.iter("p")]
    assert f"{evil}:8000 under load" in [element.text for element in root.iter("h1")]
    assert not list(root.iter("script"))
    assert not list(root.iter("img"))


def test_the_numbers_are_on_the_page() -> None:
    """What a reader came for is there in words: rate, percentiles, share, the generator's own load, no password."""
    text = " ".join(parsed(drawn(GOOD, GOOD, GOOD, GOOD)).itertext())
    assert "90.0" in text
    assert "45.9 ms" in text
    assert "12 %" in text
    assert "04 May 2026, 03:02 UTC" in text
    assert "a password" not in text


def test_an_element_escapes_all_but_markup() -> None:
    """Text and attributes are escaped, elements within elements are not."""
    assert tag("p", "<b>", tag("i", "&"), title='"', class_="a", data_x=1.0, gone=None) == Markup(
        '<p title="&quot;" class="a" data-x="1">&lt;b&gt;<i>&amp;</i></p>'
    )
