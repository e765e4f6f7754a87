"""The lean client reads what HTTP/1.1 servers write, however it is cut, and nothing else."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.tiny import LOOPS, Seen, answer, run_on, tiny_server
from watchword.bench.http import MAX_BODY, MAX_HEAD, Answer, AnswerReader, BadAnswer, Line, Request


def read(*pieces: bytes) -> Answer:
    """The answer that the pieces make, which must be whole with the last of them."""
    reader = AnswerReader()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    whole = reader.feed(pieces[-1])
    assert whole is not None
    return whole


def chunked(chunks: list[bytes], *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """A body in chunks."""
    parts = [b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk]
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


bodies = st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])


@given(bodies, st.lists(bodies), st.sampled_from(["length", "chunked"]), st.data())
def test_cut_anywhere_an_answer_is_the_same(body: bytes, more: list[bytes], framing: str, data: st.DataObject) -> None:
    """Whatever pieces an answer comes in, it is whole with its last byte and never before."""
    if framing == "length":
        wire, expected = answer(200, body), body
    else:
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
        wire += chunked([body, *more], extension=b";a=b", trailer=b"X-Sum: 1\r\n")
        expected = b"".join([body, *more])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=12)))
    pieces = [wire[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    got = read(*pieces)
    assert (got.status, got.body, got.keeps_alive) == (200, expected, True)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """Such an answer is whole when the connection ends; one with a length or chunks is torn then."""
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nso f") is None
    assert reader.feed(b"ar") is None
    got = reader.end()
    assert got == Answer(200, b"HTTP/1.1 200 OK", b"so far", keeps_alive=False)
    for torn in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"):
        reader = AnswerReader()
        assert reader.feed(torn) is None
        assert reader.end() is None


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"HTTP/1.1 204 No Content", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500", True),
        (b"HTTP/1.1 204 No Content\r\nConnection: Close", False),
        (b"HTTP/1.0 204 No Content", False),
        (b"HTTP/1.0 204 No Content\r\nconnection: Keep-Alive", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204", True),
    ],
)
def test_answers_without_a_body(head: bytes, keeps_alive: bool) -> None:
    """No body follows a 204 or a 304, interim answers are passed over, and who closes says so."""
    got = read(head + b"\r\n\r\n")
    assert got.status in {204, 304}
    assert (got.body, got.keeps_alive) == (b"", keeps_alive)


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 600 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        *(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % size
            for size in (b"xyz", b"", b"-3", b"+6", b"0x6", b"1_0", b"000000006", b"6 6")
        ),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1),
        b"H" * (MAX_HEAD + 1),
    ],
    ids=lambda wire: wire[:60].decode(),
)
def test_what_is_no_answer_is_refused(wire: bytes) -> None:
    """Another protocol, a senseless length or an endless answer is an error, not a wait."""
    with pytest.raises(BadAnswer):
        AnswerReader().feed(wire)


def test_more_than_was_asked_for_ends_the_connection() -> None:
    """Bytes after the answer belong to no request: the answer stands, the connection is not used again."""
    late = b"HTTP/1.1 408 Too Slow\r\n"
    in_chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"ab"])
    for whole in (answer(200, b"ab"), in_chunks):
        assert read(whole) == Answer(200, read(whole).head, b"ab", keeps_alive=True)
        assert read(whole + late) == Answer(200, read(whole).head, b"ab", keeps_alive=False)


def test_a_request_goes_out_as_written() -> None:
    """Host and Content-Length are added where they are missing, and only there."""
    wire = Request("POST", "/login", (("Content-Type", "text/plain"),), b"ab").encode("::1", 80)
    assert wire == b"POST /login HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nab"
    assert (
        Request("GET", "/", (("host", "a.example"),)).encode("::1", 80) == b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"
    )


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/ HTTP/1.1\r\nX: 1"),
        Request("GET", "/", (("X", "1\r\nY: 2"),)),
        Request("GET", "/", (("X\n", "1"),)),
        Request("G ET", "/"),
    ],
)
def test_nothing_is_smuggled_into_a_request(request_: Request) -> None:
    """A line end in a path or a header would be another request, and is refused."""
    with pytest.raises(ValueError, match="control characters"):
        request_.encode("127.0.0.1", 80)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_line_is_kept_and_opened_again(loop: str) -> None:
    """One connection serves request after request; once the server has closed it the next one opens another."""

    async def close_at_two(seen: Seen) -> bytes:
        return answer(200, b"%d" % seen.number, *(["Connection: close"] if seen.number == 2 else []))

    async def story() -> None:
        async with tiny_server(close_at_two) as tiny:
            line = Line("127.0.0.1", tiny.port)
            got = [(await line.exchange(Request("GET", "/"))).body for _ in range(5)]
            assert got == [b"0", b"1", b"2", b"3", b"4"]
            assert tiny.most_connected == 1
            line.cut()
            with pytest.raises(ConnectionError):
                await line.exchange(Request("GET", "/"))
            assert len(tiny.seen) == 5

    run_on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_nobody_asked_for_answers_nothing(loop: str) -> None:
    """A server that speaks between two requests is hung up on; the next request gets its own answer on a new line."""
    connections = 0

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(200, b"%d" % connections))
        await asyncio.sleep(0.02)
        writer.write(answer(408, b"too slow"))
        await reader.read()
        writer.close()

    async def story() -> None:
        server = await asyncio.start_server(talkative, "127.0.0.1", 0)
        line = Line("127.0.0.1", server.sockets[0].getsockname()[1])
        async with asyncio.timeout(10):
            for number in (b"1", b"2"):
                assert (await line.exchange(Request("GET", "/"))).body == number
                await asyncio.sleep(0.1)
        line.cut()
        server.close()
        await server.wait_closed()

    run_on(loop, story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_line_cut_while_it_opens_sends_nothing(loop: str) -> None:
    """Whoever waits for the connection of a line that is cut is told so, and the server sees no request."""

    async def story() -> None:
        async with tiny_server() as tiny:
            line = Line("127.0.0.1", tiny.port)
            exchange = asyncio.create_task(line.exchange(Request("GET", "/")))
            await asyncio.sleep(0)
            line.cut()
            with pytest.raises(ConnectionAbortedError):
                await exchange
            await asyncio.sleep(0.05)
            assert tiny.seen == []
            assert tiny.connected == 0

    run_on(loop, story())
