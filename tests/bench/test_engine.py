"""The load engine does what it says, against real servers of a few lines, on both event loops."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import count, islice, repeat

import pytest

from tests.bench.tiny import LOOPS, Seen, answer, run_on, tiny_server
from tests.servers import free_port
from watchword.bench import engine
from watchword.bench.engine import Phase, Request, Sample, closed_loop, once, open_loop
from watchword.bench.measurement import summarise

HOST = "127.0.0.1"
GET = Request("GET", "/")


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[None, None, None]], None]:
    """Runs a story; a test that asks for it runs once on each kind of event loop."""
    return lambda story: run_on(request.param, story)


Run = Callable[[Coroutine[None, None, None]], None]


def numbered() -> Iterator[Request]:
    """Requests that can be told apart."""
    return (Request("POST", f"/{number}", body=b"%d" % number) for number in count())


async def after_a_moment(_: Seen) -> bytes:
    """An answer that takes long enough for all clients of a phase to have come."""
    await asyncio.sleep(0.1)
    return answer()


def paths(seen: list[Seen]) -> list[str]:
    return [request.head.split(" ")[1] for request in seen]


def test_closed_loop_counts_what_the_server_saw(run: Run) -> None:
    """Each request that the server saw is one sample, each was the next in turn, and no more were open than clients."""

    async def story() -> None:
        async with tiny_server(after_a_moment) as tiny:
            requests = islice(numbered(), 100)
            phase = await closed_loop("c", host=HOST, port=tiny.port, requests=requests, clients=7, seconds=30)
        assert len(phase.samples) == len(tiny.seen) == 100
        assert sorted(paths(tiny.seen)) == sorted(f"/{number}" for number in range(100))
        assert [request.body.decode() for request in tiny.seen] == [path[1:] for path in paths(tiny.seen)]
        assert tiny.most_connected == 7
        assert {sample.status for sample in phase.samples} == {200}
        assert (phase.name, phase.seconds) == ("c", 30)
        assert 0 < phase.generator_cpu < 3

    run(story())


def test_the_clients_come_one_after_the_other(run: Run) -> None:
    """A crowd does not arrive at one instant: its clients come within the first tenth of a short phase."""

    async def long_enough(_: Seen) -> bytes:
        await asyncio.sleep(0.6)
        return answer()

    async def story() -> None:
        async with tiny_server(long_enough) as tiny:
            phase = await closed_loop(
                "c", host=HOST, port=tiny.port, requests=islice(numbered(), 10), clients=10, seconds=5
            )
        began = sorted(sample.started for sample in phase.samples)
        assert len(began) == 10
        assert all(start >= 0.05 * number - 0.01 for number, start in enumerate(began))  # timers are a little coarse

    run(story())


def test_closed_loop_ends_in_time(run: Run) -> None:
    """Nothing is sent once the phase is over; what was sent before is answered and counted."""

    async def slowly(_: Seen) -> bytes:
        await asyncio.sleep(0.25)
        return answer()

    async def story() -> None:
        async with tiny_server(slowly) as tiny:
            phase = await closed_loop("c", host=HOST, port=tiny.port, requests=repeat(GET), clients=2, seconds=0.3)
        assert len(phase.samples) == len(tiny.seen) >= 2
        assert all(0 <= sample.started < 0.3 and sample.seconds > 0.24 for sample in phase.samples)
        assert {sample.status for sample in phase.samples} == {200}

    run(story())


def test_a_client_waits_for_its_answer(run: Run) -> None:
    """However many requests there are, a client has one of them under way at a time."""
    under_way = most = 0

    async def slowly(_: Seen) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.3)
        under_way -= 1
        return answer()

    async def story() -> None:
        async with tiny_server(slowly) as tiny:
            await closed_loop("c", host=HOST, port=tiny.port, requests=islice(numbered(), 25), clients=5, seconds=30)
        assert most == 5

    run(story())


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_client_waits_as_told_and_sends_the_same_again(run: Run, status: int) -> None:
    """After Retry-After: 1 the same request comes again, not sooner than a second later, and knows of its refusal."""

    async def refuse_once(seen: Seen) -> bytes:
        return answer() if seen.number else answer(status, b"", "Retry-After: 1")

    async def story() -> None:
        async with tiny_server(refuse_once) as tiny:
            phase = await closed_loop(
                "c", host=HOST, port=tiny.port, requests=islice(numbered(), 1), clients=3, seconds=5
            )
        first, second = tiny.seen
        assert first.head == second.head
        assert second.at - first.at > 0.99
        assert [(sample.status, sample.retry) for sample in phase.samples] == [(status, 0), (200, 1)]
        assert summarise(phase).over_retries.p50 > 0.99  # type: ignore[union-attr]

    run(story())


def test_who_is_told_to_wait_past_the_end_is_gone(run: Run) -> None:
    """A client that must wait for longer than the phase lasts sends nothing more, and nobody waits for it."""

    async def refuse(_: Seen) -> bytes:
        return answer(503, b"", "Retry-After: 3600")

    async def story() -> None:
        async with tiny_server(refuse) as tiny:
            phase = await closed_loop("c", host=HOST, port=tiny.port, requests=repeat(GET), clients=4, seconds=30)
        assert len(tiny.seen) == len(phase.samples) == 4
        assert summarise(phase).unfinished == 4

    run(story())


def test_a_request_is_sent_until_it_is_answered(run: Run) -> None:
    """However often it is refused; each of its samples knows how often that was."""

    async def refuse_five(seen: Seen) -> bytes:
        return answer() if seen.number == 5 else answer(503, b"", "Retry-After: 0")

    async def story() -> None:
        async with tiny_server(refuse_five) as tiny:
            phase = await closed_loop("c", host=HOST, port=tiny.port, requests=iter([GET]), clients=1, seconds=30)
        assert [sample.retry for sample in phase.samples] == [0, 1, 2, 3, 4, 5]

    run(story())


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("3", 3.0), ("0", 0.0), (None, 1.0), ("soon", 1.0), ("-1", 1.0), ("²", 1.0)]
)
def test_a_refusal_that_does_not_tell_means_a_second(retry_after: str | None, seconds: float) -> None:
    """Whole seconds are taken at their word; anything else is a second, so that nobody is hammered."""
    assert engine.seconds_to_wait(retry_after) == seconds


def test_connections_closed_by_the_server_are_opened_again(run: Run) -> None:
    """Closed instead of an answer, after one, or announced: each request is one sample, each answer a good one."""
    answered = 0

    async def moody(seen: Seen) -> bytes:
        nonlocal answered
        if seen.number % 5 == 1:
            return b""
        answered += 1
        if seen.number % 5 == 3:
            return answer(200, b"{}", "Connection: close")
        return b"HTTP/1.1 200 OK\r\n\r\nto the end" if seen.number % 5 == 4 else answer()

    async def story() -> None:
        async with tiny_server(moody) as tiny:
            requests = islice(numbered(), 40)
            phase = await closed_loop("c", host=HOST, port=tiny.port, requests=requests, clients=3, seconds=30)
        assert len(tiny.seen) == len(phase.samples) == 40
        assert [sample.status for sample in phase.samples].count(200) == answered == 32
        assert summarise(phase).statuses == {0: 8, 200: 32}

    run(story())


@pytest.mark.parametrize("loop", ["closed", "open"])
def test_an_absent_server_is_a_failed_connection(run: Run, loop: str) -> None:
    """Where nobody listens there are samples with status 0, and not more than a client makes in a few tries."""

    async def story() -> None:
        port = free_port()
        if loop == "closed":
            phase = await closed_loop("c", host=HOST, port=port, requests=repeat(GET), clients=2, seconds=0.5)
            assert 2 <= len(phase.samples) <= 12
        else:
            phase = await open_loop("o", host=HOST, port=port, requests=repeat(GET), rate=40, seconds=0.5)
            assert len(phase.samples) == 20
        assert {sample.status for sample in phase.samples} == {0}

    run(story())


@pytest.mark.parametrize("loop", ["closed", "open"])
def test_a_server_that_never_answers_does_not_hold_the_phase(
    run: Run, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not answered some time after the phase counts as no answer, those in the queue included."""
    monkeypatch.setattr(engine, "DRAIN_SECONDS", 0.2)

    async def never(_: Seen) -> bytes:
        await asyncio.sleep(60)
        raise AssertionError("the client stayed")

    async def story() -> None:
        async with asyncio.timeout(10), tiny_server(never) as tiny:
            if loop == "closed":
                phase = await closed_loop("c", host=HOST, port=tiny.port, requests=repeat(GET), clients=3, seconds=1.0)
                assert len(phase.samples) == 3
            else:
                phase = await open_loop(
                    "o", host=HOST, port=tiny.port, requests=repeat(GET), rate=100, seconds=0.1, connections=2
                )
                assert len(phase.samples) == 10
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        assert {sample.status for sample in phase.samples} == {0}
        assert all(sample.seconds > 0.19 for sample in phase.samples)

    run(story())


def test_open_loop_keeps_its_rate(run: Run) -> None:
    """As many requests as the rate says are sent, due at even distances, whatever the answers are, and none twice."""

    async def refuse_some(seen: Seen) -> bytes:
        return answer(503, b"", "Retry-After: 1") if seen.number % 2 else answer()

    async def story() -> None:
        async with tiny_server(refuse_some) as tiny:
            phase = await open_loop("o", host=HOST, port=tiny.port, requests=numbered(), rate=200, seconds=0.5)
        assert len(tiny.seen) == 100
        assert sorted(paths(tiny.seen)) == sorted(f"/{number}" for number in range(100))
        assert sorted(sample.started for sample in phase.samples) == [number / 200 for number in range(100)]
        assert summarise(phase).statuses == {200: 50, 503: 50}

    run(story())


def test_a_stall_shows_in_all_that_was_due_meanwhile(run: Run) -> None:
    """While the server stands still requests go on being due, and each one's time begins then (no omission)."""
    stall, over = 0.3, asyncio.Event()

    async def stand_still(seen: Seen) -> bytes:
        if seen.number == 10:
            await asyncio.sleep(stall)
            over.set()
        elif seen.number > 10:
            await over.wait()
        return answer()

    async def story() -> None:
        async with tiny_server(stand_still) as tiny:
            phase = await open_loop(
                "o", host=HOST, port=tiny.port, requests=numbered(), rate=100, seconds=0.5, connections=3
            )
        assert tiny.most_connected <= 3
        in_turn = sorted(phase.samples, key=lambda sample: sample.started)
        end = in_turn[10].started + stall
        meanwhile = [sample for sample in in_turn[10:] if sample.started < end]
        assert len(meanwhile) == 30
        assert all(sample.started + sample.seconds >= end - 0.002 for sample in meanwhile)
        assert summarise(phase).times.p50 > 0.05  # type: ignore[union-attr]

    run(story())


def test_a_late_generator_says_so(run: Run) -> None:
    """When the generator's own loop stood still, the phase tells how late its requests went out."""

    async def story() -> None:
        async with tiny_server() as tiny, asyncio.TaskGroup() as both:
            loading = both.create_task(
                open_loop("o", host=HOST, port=tiny.port, requests=repeat(GET), rate=25, seconds=1)
            )
            await asyncio.sleep(0.1)
            time.sleep(0.3)  # noqa: ASYNC251  (it is the very fault that is looked for)
        phase = loading.result()
        assert len(phase.samples) == 25
        assert phase.late > 0.2

    run(story())


def test_samples_are_told_as_they_are_taken(run: Run) -> None:
    """Who watches is told every sample of either loop, refused tries included."""
    told: list[Sample] = []

    async def refuse_once(seen: Seen) -> bytes:
        return answer() if seen.number else answer(503, b"", "Retry-After: 0")

    async def story() -> None:
        async with tiny_server(refuse_once) as tiny:
            phases: list[Phase] = [
                await closed_loop(
                    "c",
                    host=HOST,
                    port=tiny.port,
                    requests=islice(numbered(), 9),
                    clients=2,
                    seconds=5,
                    watch=told.append,
                ),
                await open_loop(
                    "o", host=HOST, port=tiny.port, requests=numbered(), rate=100, seconds=0.05, watch=told.append
                ),
            ]
        samples = [sample for phase in phases for sample in phase.samples]
        assert len(samples) == 9 + 1 + 5
        assert sorted(told, key=repr) == sorted(samples, key=repr)

    run(story())


def test_two_loads_run_side_by_side(run: Run) -> None:
    """Both kinds of load at once each count their own."""

    async def story() -> None:
        async with tiny_server() as tiny:
            async with asyncio.TaskGroup() as both:
                one = both.create_task(
                    closed_loop("c", host=HOST, port=tiny.port, requests=repeat(GET), clients=2, seconds=0.2)
                )
                other = both.create_task(
                    open_loop("o", host=HOST, port=tiny.port, requests=repeat(GET), rate=100, seconds=0.2)
                )
            assert len(one.result().samples) + len(other.result().samples) == len(tiny.seen)
            assert len(other.result().samples) == 20

    run(story())


def test_a_cancelled_load_leaves_nothing_behind(run: Run) -> None:
    """Who cancels a load finds every connection closed and nothing sent afterwards."""

    async def story() -> None:
        async with tiny_server() as tiny:
            loads = [
                asyncio.create_task(
                    closed_loop("c", host=HOST, port=tiny.port, requests=repeat(GET), clients=4, seconds=60)
                ),
                asyncio.create_task(
                    open_loop("o", host=HOST, port=tiny.port, requests=repeat(GET), rate=100, seconds=60)
                ),
            ]
            await asyncio.sleep(0.2)
            for load in loads:
                load.cancel()
            await asyncio.wait(loads)
            assert all(load.cancelled() for load in loads)
            await asyncio.sleep(0.1)
            seen = len(tiny.seen)
            await asyncio.sleep(0.1)
            assert len(tiny.seen) == seen > 4
            assert tiny.connected == 0

    run(story())


def test_once_gives_the_whole_answer(run: Run) -> None:
    """One request brings status, headers under lower-case names, and body; where nobody listens it is an OSError."""

    async def told(_: Seen) -> bytes:
        return answer(418, b'{"a":1}', "X-One: 1", "Vary: a", "vary: b")

    async def story() -> None:
        async with tiny_server(told) as tiny:
            status, headers, body = await once(HOST, tiny.port, GET)
        assert (status, body) == (418, b'{"a":1}')
        assert headers == {"content-length": "7", "x-one": "1", "vary": "a, b"}
        with pytest.raises(ConnectionRefusedError):
            await once(HOST, free_port(), GET)

    run(story())
