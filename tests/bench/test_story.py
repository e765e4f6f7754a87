"""What is said beside the numbers."""

import pytest

from tests.bench.tiny import Seen, answer, tiny_server
from watchword.bench.measurement import Phase, Sample
from watchword.bench.story import CannotBegin, Plan, remarks, run
from watchword.bench.target import Target
from watchword.bench.users import User

WELL = Sample(1.0, 0.1, 200, 0)


@pytest.mark.parametrize(
    ("told", "repeated"),
    [("7", " and Retry-After: 7"), ("\x1b]0;owned\x07\x1b[2J", ""), ("soon", ""), ("7" * 5000, "")],
    ids=["seconds", "controls", "word", "digits"],
)
async def test_a_server_that_cannot_be_loaded_does_not_speak_to_the_terminal(told: str, repeated: str) -> None:
    """Of what it says only a short number is repeated: the rest may be commands that a terminal obeys, or fill it."""

    async def be_broken(_: Seen) -> bytes:
        return answer(500, b"{}", f"Retry-After: {told}")

    async with tiny_server(be_broken) as tiny:
        target = Target("127.0.0.1", tiny.port, ("127.0.0.1",))
        with pytest.raises(CannotBegin) as refusal:
            await run(Plan(target, [User("a", "b")], 1, 1.0, 1.0), lambda name, seconds: lambda sample: None)
    assert str(refusal.value) == f"{target.url}/login answers 500{repeated}, where 200 was expected"


async def test_a_login_refused_between_the_parts_costs_nothing_measured() -> None:
    """The third part goes on with the first token, and shows by itself what became of the service."""
    logins = 0

    async def refuse_all_but_the_first(seen: Seen) -> bytes:
        nonlocal logins
        logins += seen.head.startswith("POST")
        if seen.head.startswith("POST") and logins > 1:
            return answer(503, b"{}", "Retry-After: 60")
        return answer(200, b'{"token": "abc"}')

    async with tiny_server(refuse_all_but_the_first) as tiny:
        target = Target("127.0.0.1", tiny.port, ("127.0.0.1",))
        phases = await run(Plan(target, [User("a", "b")], 1, 20.0, 0.5), lambda name, seconds: lambda sample: None)
    statuses = [{sample.status for sample in phase.samples} for phase in phases]
    assert statuses == [{503}, {503}, {200}, {200}]


def said(*samples: Sample, users: int = 8, cpu: float = 0.1, late: float = 0.0) -> str:
    """The remarks about one phase under eight clients."""
    plan = Plan(Target("localhost", 80, ("127.0.0.1",)), [User("a", "b")] * users, 8, 100.0, 10.0)
    return "\n".join(remarks(plan, [Phase("logins", 10.0, samples, generator_cpu=cpu, late=late)]))


def test_a_run_that_went_well_needs_no_remark() -> None:
    """Refusals and slow answers are what was measured, and speak for themselves."""
    assert said(WELL, Sample(1.0, 9.0, 200, 0), Sample(1.0, 0.1, 503, 0), Sample(1.0, 0.1, 500, 0)) == ""


def test_a_generator_that_was_the_limit_is_remarked() -> None:
    """A generator without a core to itself, or late, is said to be one, with the figure."""
    for text, figure in ((said(WELL, cpu=0.93), "93 % of a core"), (said(WELL, late=0.03), "30 ms late")):
        assert "The load generator itself was a limit" in text
        assert figure in text


def test_faults_of_the_set_up_are_remarked() -> None:
    """Wrong passwords, failed connections and too few users are counted and named."""
    assert "2 requests were answered 401" in said(WELL, Sample(1.0, 0.1, 401, 0), Sample(1.0, 0.1, 401, 0))
    assert "1 requests got no answer" in said(WELL, Sample(1.0, 0.1, 0, 0))
    assert "8 clients shared 7 users" in said(WELL, users=7)
