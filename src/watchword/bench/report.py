"""One page that shows what a service stood: self-contained, without a script, readable by day and by night."""

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final

from watchword.bench import charts, words
from watchword.bench.measurement import GOODPUT_BOUND, Outcome, Phase, Summary, summarise
from watchword.bench.story import Plan
from watchword.markup import Markup, joined, tag

NOTHING_FROM_ELSEWHERE: Final = "default-src 'none'; style-src 'unsafe-inline'"

_EXPLAINED: Final = (
    (
        "Logins",
        "come from clients who each log in again as soon as they are answered, every time as the next user of the "
        "file. This shows what the service can do. A client that is told to try later waits as long as it is told.",
    ),
    (
        "Guarded requests",
        "go out at a fixed rate, whether or not the service keeps up, and each is timed from the moment when it was "
        "due: whoever had to wait behind a stall counts in full.",
    ),
    (
        "p50, p90, p99",
        "say how long 50, 90 and 99 of a hundred answers took at the most. They and the maximum are of the answers "
        "with a 2xx status alone.",
    ),
    (
        "Answers a second",
        "counts 2xx answers that came within the part. A request without an answer is one whose connection failed, "
        "or ended before the answer did.",
    ),
)


def page(plan: Plan, phases: Sequence[Phase], remarks: Sequence[str], *, when: datetime) -> str:
    """The page.

    Args:
        plan: what was to be done.
        phases: what happened: logins alone and beside guarded requests, guarded requests alone and beside logins.
        remarks: what a reader must know.
        when: the time of the measurement.
    """
    summaries = [summarise(phase) for phase in phases]
    title = f"{plan.target.name}:{plan.target.port} under load"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=NOTHING_FROM_ELSEWHERE),
        tag("title", title),
        tag("style", Markup(_style())),
    )
    body = tag(
        "body",
        tag(
            "main",
            _opening(plan, title, when),
            *(tag("p", remark, class_="remark") for remark in remarks),
            _figures(summaries),
            _section(
                "How long answers took",
                "The share of answers that took so long, on a logarithmic axis. The solid line is p50: half of the "
                "2xx answers came sooner. The dashed one is p99: one in a hundred took longer.",
                charts.legend(phases, charts.TIMED),
                tag("div", charts.distribution(phases), class_="wide"),
            ),
            _section(
                "Throughput over time",
                "Answers a second, from the first moment of each part to its last.",
                charts.legend(phases),
                tag("div", *_panels(phases), class_="panels"),
            ),
            _section(
                "Answers by status",
                "What came back, of all that was sent.",
                charts.legend(phases),
                tag("div", charts.statuses(phases), class_="wide"),
            ),
            _section("The numbers", "", tag("div", _table(summaries), class_="wide")),
            _section("How this was measured", "", _explanation(summaries)),
        ),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _opening(plan: Plan, title: str, when: datetime) -> Markup:
    said = (
        f"{plan.clients} clients logging in as {len(plan.users):,} users, and {plan.rate:g} guarded requests a second: "
        f"{plan.seconds:g} seconds each alone, then {plan.seconds:g} seconds at once."
    )
    return tag(
        "header",
        tag("p", f"watchword bench · {when:%d %B %Y, %H:%M} UTC", class_="eyebrow"),
        tag("h1", title),
        tag("p", said, class_="lead"),
    )


def _figures(summaries: Sequence[Summary]) -> Markup:
    logins_alone, logins, guarded_alone, guarded = summaries
    sent = sum(count for summary in summaries for count in summary.statuses.values())
    good = sum(
        count for summary in summaries for code, count in summary.statuses.items() if Outcome.of(code) is Outcome.GOOD
    )
    return tag(
        "dl",
        _figure("Logins a second", words.rate(logins_alone.rate), f"{words.rate(logins.rate)} beside guarded requests"),
        _figure("Login, p99", _p99(logins_alone), f"{_p99(logins)} beside guarded requests"),
        _figure("Guarded request, p99", _p99(guarded_alone), f"{_p99(guarded)} beside logins"),
        _figure("Answered with 2xx", words.share(good / sent) if sent else "–", f"of {sent:,} requests"),
        class_="figures",
    )


def _figure(name: str, value: str, remark: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", remark, class_="small"))


def _section(title: str, said: str, *content: str) -> Markup:
    return tag("section", tag("h2", title), *([tag("p", said)] if said else []), *content)


def _panels(phases: Sequence[Phase]) -> list[Markup]:
    panels = []
    for pair in (phases[:2], phases[2:]):
        top = charts.top_rate(pair)
        panels += [charts.throughput(phase, top_rate=top) for phase in pair]
    return panels


def _table(summaries: Sequence[Summary]) -> Markup:
    headings = (
        "",
        "answers/s",
        f"within {GOODPUT_BOUND:g} s",
        "p50",
        "p90",
        "p99",
        "max",
        "refusals, p99",
        "over retries, p99",
    )
    rows = (
        tag(
            "tr",
            tag("th", summary.name, scope="row"),
            *(tag("td", cell) for cell in _cells(summary)),
        )
        for summary in summaries
    )
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    return tag("table", head, tag("tbody", *rows))


def _cells(summary: Summary) -> list[str]:
    times = summary.times
    return [
        words.rate(summary.rate),
        words.rate(summary.goodput),
        *([words.duration(value) for value in (times.p50, times.p90, times.p99, times.max)] if times else ["–"] * 4),
        words.duration(summary.refusals.p99) if summary.refusals else "–",
        words.duration(summary.over_retries.p99) if summary.refusals and summary.over_retries else "–",
    ]


def _explanation(summaries: Sequence[Summary]) -> Markup:
    cpu = max(summary.generator_cpu for summary in summaries)
    late = max(summary.late for summary in summaries)
    generator = (
        f"used up to {words.share(cpu)} of one core, and sent 99 % of the guarded requests within "
        f"{words.duration(late)} of the moment when they were due."
    )
    entries = (*_EXPLAINED, ("The load generator", generator))
    return joined(*(tag("p", tag("strong", name), f" {said}") for name, said in entries))


def _p99(summary: Summary) -> str:
    return words.duration(summary.times.p99) if summary.times else "–"


def _style() -> str:
    return files("watchword.bench").joinpath("report.css").read_text(encoding="utf-8")
