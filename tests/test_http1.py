"""HTTP/1.1 on one connection: what goes in and what comes out, with a small application behind it and a real socket."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from watchword import server
from watchword.http1 import reading

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LIMIT = 10.0

App = Callable[[Any, Any, Any], Awaitable[None]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def answering(*pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), reads: bool = True) -> App:
    """An application that answers with so many pieces, after it has read the request or without."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while reads and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for number, piece in enumerate(pieces, start=1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


@asynccontextmanager
async def served(app: App, **settings: Any) -> AsyncIterator[Callable[..., Awaitable[Connection]]]:
    """Serve an application in our way; inside, connect to it."""

    async def with_a_life(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    config, stop = Config(), asyncio.Event()
    config.include_server_header = False
    config.graceful_timeout = 1
    config.errorlog = None
    for name, value in settings.items():
        setattr(config, name, value)
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        patch.setattr("hypercorn.asyncio.run.TCPServer", None)
        patch.setattr("hypercorn.protocol.H11Protocol", None)
        server.serve_in_our_way()
        config.bind = [f"fd://{listener.fileno()}"]
        running = asyncio.create_task(serve(with_a_life, config, shutdown_trigger=stop.wait))
        try:
            yield lambda **options: asyncio.open_connection(*listener.getsockname(), **options)
        finally:
            stop.set()
            await asyncio.wait_for(running, LIMIT)
            listener.detach()  # the server has closed it


async def whole(connection: Connection, data: bytes) -> bytes:
    """Send something; all that comes until the server closes the connection."""
    reader, writer = connection
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), LIMIT)
    finally:
        writer.close()


def heads(data: bytes) -> list[list[bytes]]:
    """Status and header lines of each answer, without the date."""
    found = [part.split(b"\r\n\r\n")[0].split(b"\r\n") for part in data.split(b"HTTP/1.1 ")[1:]]
    return [[line for line in lines if not line.startswith(b"date: ")] for lines in found]


async def test_an_answer_is_written_with_its_length() -> None:
    """One piece needs no chunks, and a connection that goes on says nothing of its end."""
    async with served(answering(b"hello", headers=((b"x", b"y"),))) as connect:
        answers = await whole(await connect(), GET + LAST)
    assert heads(answers) == [
        [b"200 OK", b"x: y", b"content-length: 5"],
        [b"200 OK", b"x: y", b"content-length: 5", b"connection: close"],
    ]
    assert answers.count(b"\r\n\r\nhello") == 2
    assert answers.count(b"\r\ndate: ") == 2


async def test_an_answer_in_pieces_is_written_in_chunks() -> None:
    """Whose length is not known ends with the empty chunk; an empty piece in between ends nothing."""
    async with served(answering(b"hello", b"", b" world")) as connect:
        answer = await whole(await connect(), LAST)
    assert heads(answer) == [[b"200 OK", b"transfer-encoding: chunked", b"connection: close"]]
    assert answer.endswith(b"\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")


async def test_http_1_0_gets_its_answer_up_to_the_end_of_the_connection() -> None:
    """It knows neither chunks nor, from us, a second request."""
    async with served(answering(b"hello", b" world")) as connect:
        answer = await whole(await connect(), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET)
    assert heads(answer) == [[b"200 OK", b"connection: close"]]
    assert answer.endswith(b"\r\n\r\nhello world")


async def test_requests_in_one_packet_are_answered_one_after_the_other() -> None:
    """A thousand at once: in their order, each begun when the one before has ended."""
    under_way = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal under_way
        assert under_way == 0
        under_way += 1
        await asyncio.sleep(0)
        under_way -= 1
        await answering(scope["raw_path"])(scope, receive, send)

    requests = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" % number for number in range(999)
    )
    async with served(app) as connect:
        answers = await whole(await connect(), requests + LAST)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [*(b"/%d" % number for number in range(999)), b"/"]


async def test_what_follows_the_last_request_is_ignored() -> None:
    """Who has said that there will be no other gets the answer to this one, whatever else is on the wire."""
    async with served(answering(b"hello")) as connect:
        for rest in (b"\r\n", b"\0", GET, bytes(1 << 20)):
            assert heads(await whole(await connect(), LAST + rest)) == [
                [b"200 OK", b"content-length: 5", b"connection: close"]
            ]


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "bare": b"Upgrade: h2c, x/1\r\n",
}


def asking_for(upgrade: bytes, *, method: bytes = b"GET", rest: bytes = b"") -> bytes:
    """A request that asks to change to another protocol."""
    return method + b" /upgrade HTTP/1.1\r\nHost: a\r\n" + upgrade + rest + b"\r\n"


async def naming(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it was asked, once it has read all of it."""
    body = b""
    while (piece := await receive()).get("more_body"):
        body += piece["body"]
    await answering(b"%b %b %b" % (scope["method"].encode(), scope["raw_path"], body), reads=False)(
        scope, receive, send
    )


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_who_asks_for_another_protocol_keeps_the_connection(upgrade: bytes, size: int) -> None:
    """With a body or without, alone or with the next request behind it: what follows is a request, judged as ever."""
    post = asking_for(upgrade, method=b"POST", rest=b"Content-Length: 4\r\n") + b"GET "
    chunks = asking_for(upgrade, method=b"POST", rest=b"Transfer-Encoding: chunked\r\n") + b"2\r\nab\r\n0\r\n\r\n"
    sent = asking_for(upgrade) + post + GET + chunks + asking_for(upgrade) + LAST
    async with served(naming) as connect:
        reader, writer = await connect()
        for at in range(0, len(sent), size):
            writer.write(sent[at : at + size])
            await asyncio.sleep(0)
        answers = await whole((reader, writer), b"")
        refused = await whole(await connect(), asking_for(upgrade) + b"GET / HTTP/1.1\r\nHost: a\r\nA:\0\r\n\r\n" + GET)
    *goes_on, last = heads(answers)
    assert len(goes_on) == 5
    assert all(head[0] == b"200 OK" and b"connection: close" not in head for head in goes_on)
    assert b"connection: close" in last
    asked = [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert asked == [
        b"GET /upgrade ",
        b"POST /upgrade GET ",
        b"GET / ",
        b"POST /upgrade ab",
        b"GET /upgrade ",
        b"GET / ",
    ]
    assert [head[0] for head in heads(refused)] == [b"200 OK", b"400 Bad Request"]


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=["tunnel", "tunnel and more", "last", "HTTP/1.0"],
)
async def test_what_was_to_be_the_last_is_so_whatever_it_asks_for(request_: bytes) -> None:
    """What is sent into a tunnel that there is not may be a third's, and is nobody's request here."""
    async with served(naming) as connect:
        (head,) = heads(await whole(await connect(), request_ + GET))
    assert b"connection: close" in head


async def test_who_asks_for_another_protocol_gets_leave_to_send_a_body() -> None:
    """Told early that nothing changes, h11 would think that nobody waits for it any more."""
    rest = b"Content-Length: 2\r\nExpect: 100-continue\r\n"
    async with served(naming) as connect:
        reader, writer = await connect()
        writer.write(asking_for(UPGRADES["h2c"], method=b"POST", rest=rest))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT) == b"HTTP/1.1 100 \r\n\r\n"
        assert (await whole((reader, writer), b"ab" + LAST)).count(b"HTTP/1.1 200") == 2


async def test_who_is_answered_before_the_end_of_the_request_is_told_that_nothing_more_is_read() -> None:
    """Where the body ends is not known yet, so what follows could be anybody's request."""
    async with served(answering(b"no", reads=False)) as connect:
        answer = await whole(await connect(), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n" + GET)
    assert heads(answer) == [[b"200 OK", b"content-length: 2", b"connection: close"]]


async def test_a_body_that_nobody_reads_does_not_fill_memory_and_holds_nobody_up() -> None:
    """The client is read no further until the application reads, and not at all once it has answered."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go_on.wait()
        await answering(b"done", reads=False)(scope, receive, send)

    async with served(app) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await begun.wait()
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        sent = 0
        with suppress(TimeoutError):
            while sent < 1000:
                writer.write(chunk)
                await asyncio.wait_for(writer.drain(), 1)
                sent += 1
        go_on.set()
        assert (await asyncio.wait_for(reader.readuntil(b"done"), LIMIT)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
    assert sent < 500


async def test_a_client_that_hangs_up_is_told_to_the_application_and_to_nobody_else() -> None:
    """``http.disconnect``, as often as it is asked for; what is sent then goes nowhere, without an error."""
    begun, told = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        assert (await receive())["type"] == "http.disconnect"
        await answering(b"to nobody", reads=False)(scope, receive, send)
        told.set()

    async with served(app) as connect:
        _, writer = await connect()
        writer.write(GET)
        await begun.wait()
        writer.close()
        await asyncio.wait_for(told.wait(), LIMIT)


@pytest.mark.parametrize("rest", [b"\r\n", b"G", GET * 99], ids=["line end", "half a request", "requests"])
async def test_a_client_that_hangs_up_is_missed_although_it_has_said_more(rest: bytes) -> None:
    """What waits behind a request does not hide that nobody waits for its answer, and is nobody's request then."""
    begun, told = asyncio.Event(), asyncio.Event()
    requests = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal requests
        requests += 1
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    async with served(app) as connect:
        _, writer = await connect()
        writer.write(GET + rest)
        await begun.wait()
        writer.close()
        await asyncio.wait_for(told.wait(), LIMIT)
    assert requests == 1


@pytest.mark.parametrize("at_once", [1000, 40], ids=["much", "little"])
async def test_of_what_follows_a_request_not_all_is_taken(at_once: int) -> None:
    """A client that sends and sends while its first request is answered is read no further until that is over, also
    where each piece is so small that h11 has all of it at once.
    """
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go_on.wait()
        await answering(b"")(scope, receive, send)

    async with served(app) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await begun.wait()
        sent = 1
        with suppress(TimeoutError):
            while sent < 1_000_000:
                writer.write(GET * at_once)
                sent += at_once
                await asyncio.wait_for(writer.drain(), 1)
                await asyncio.sleep(0)
        assert sent < 1_000_000
        writer.write_eof()
        go_on.set()
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
        writer.close()


async def test_an_application_that_has_answered_waits_no_longer() -> None:
    """``receive`` says that it is over, also to who has waited since before the answer."""
    told = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            told.set()

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await answering(b"done", reads=False)(scope, receive, send)
        await watching

    async with served(app) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"done"), LIMIT)
        await asyncio.wait_for(told.wait(), LIMIT)
        writer.close()


async def test_who_waits_for_leave_to_send_a_body_gets_it() -> None:
    """``Expect: 100-continue`` (RFC 9110 §10.1.1)."""
    async with served(answering(b"done")) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT) == b"HTTP/1.1 100 \r\n\r\n"
        writer.write(b"ab")
        assert (await asyncio.wait_for(reader.readuntil(b"done"), LIMIT)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


@pytest.mark.parametrize(
    "headers",
    [((b"x", b"a\r\nset-cookie: b"),), ((b"x", b"a\nb"),), ((b"x", b"a\rb"),), ((b"x\r\ny", b"a"),)],
    ids=["both", "line feed", "carriage return", "name"],
)
async def test_no_header_forges_another(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """An answer with the end of a line in a header is not sent; the client gets a 500 of ours."""
    async with served(answering(b"hello", headers=headers)) as connect:
        answer = await whole(await connect(), GET)
    ((status, *lines),) = heads(answer)
    assert status.startswith(b"500 ")
    assert b"connection: close" in lines
    assert b"set-cookie" not in answer


@pytest.mark.parametrize("pieces", [(b"hell",), (b"hello!",)], ids=["shorter", "longer"])
async def test_an_answer_that_is_not_as_long_as_it_says_is_not_sent(pieces: tuple[bytes, ...]) -> None:
    """The next answer would be read from elsewhere than its beginning; the client gets a 500 of ours."""
    async with served(answering(*pieces, headers=((b"content-length", b"5"),))) as connect:
        answer = await whole(await connect(), GET + LAST)
    ((status, *lines),) = heads(answer)
    assert status.startswith(b"500 ")
    assert b"connection: close" in lines


@pytest.mark.parametrize("pieces", [(b"he", b"ll"), (b"he", b"ll", b"o!")], ids=["shorter", "longer"])
async def test_an_answer_that_turns_out_otherwise_than_it_says_is_the_last(pieces: tuple[bytes, ...]) -> None:
    """Once it has begun there is nothing to do but to end the connection, and nothing too much is sent."""
    async with served(answering(*pieces, headers=((b"content-length", b"5"),))) as connect:
        answer = await whole(await connect(), GET + LAST)
    assert len(heads(answer)) == 1
    assert answer.partition(b"\r\n\r\n")[2] in {b"he", b"hell"}


async def test_chunks_are_the_servers_to_make() -> None:
    """An application that asks for them by name is not taken to have written them."""
    async with served(answering(b"he", b"llo", headers=((b"transfer-encoding", b"chunked"),))) as connect:
        answer = await whole(await connect(), LAST)
    assert heads(answer) == [[b"200 OK", b"transfer-encoding: chunked", b"connection: close"]]
    assert answer.endswith(b"\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")


async def test_an_application_that_fails_is_answered_for() -> None:
    """Before its answer has begun by a 500, after that by the end of the connection; the server serves on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async with served(app) as connect:
        early = await whole(await connect(), GET)
        late = await whole(await connect(), GET.replace(b"/", b"/late", 1))
    ((status, *_),) = heads(early)
    assert status.startswith(b"500 ")
    assert heads(late) == [[b"200 OK", b"content-length: 9"]]
    assert late.endswith(b"half")


def with_fields(count: int) -> bytes:
    """The last request, with so many fields in all."""
    return LAST[:-2] + b"a:\r\n" * (count - 2) + b"\r\n"


@pytest.mark.parametrize("before", [b"", GET], ids=["the first", "behind another"])
@pytest.mark.parametrize(
    "head",
    [
        with_fields(101),
        with_fields(15_000),
        with_fields(102)[:-2],
        LAST[:-2] + b"a: b\r\n" + b" c\r\n" * 98 + b"\r\n",
        LAST[:-2].replace(b"\r\n", b"\n") + b"a:\n" * 99 + b"\n",
        LAST[:-2] + b"a: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"b" * 20_000 + LAST[5:],
    ],
    ids=["fields", "many fields", "no end", "folded", "line feeds alone", "a long field", "a long target"],
)
async def test_a_head_of_too_much_is_refused_also_if_it_comes_whole(before: bytes, head: bytes) -> None:
    """Row 28: h11 would take 50 ms for 15,000 fields that come at once, and nobody else be answered meanwhile."""
    async with served(answering(b"x")) as connect:
        answers = heads(await whole(await connect(), before + head))
    assert len(answers) == (2 if before else 1)
    status, *lines = answers[-1]
    assert status.startswith(b"431 ")
    assert b"connection: close" in lines


@pytest.mark.parametrize("piece", [1_000, 1 << 16], ids=["in pieces", "whole"])
async def test_the_bound_of_a_head_is_exact_however_it_comes(piece: int) -> None:
    """16 KiB, and not as much more as was read with its end."""
    async with served(answering(b"x")) as connect:
        for size, expected in ((1 << 14, b"200 "), ((1 << 14) + 1, b"431 "), ((1 << 14) + 1_600, b"431 ")):
            head = LAST[:-2] + b"a: " + b"b" * (size - len(LAST) - 5) + b"\r\n\r\n"
            assert len(head) == size
            reader, writer = await connect()
            try:
                for at in range(0, size, piece):
                    writer.write(head[at : at + piece])
                    await asyncio.sleep(0.001)
                assert (await reader.readline()).startswith(b"HTTP/1.1 " + expected)
            finally:
                writer.close()


async def test_a_head_of_no_more_than_may_be_is_read() -> None:
    """A hundred fields, whatever number of lines the body behind them has; 15 KiB."""
    body = b"[\n" + b"1,\n" * 5000 + b"1]"
    hundred = with_fields(99)[:-2] + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with served(answering(b"x")) as connect:
        for request in (with_fields(100), hundred, LAST[:-2] + b"a: " + b"b" * 15_000 + b"\r\n\r\n"):
            ((status, *_),) = heads(await whole(await connect(), request))
            assert status == b"200 OK"


@pytest.mark.parametrize("before", [b"", GET], ids=["the first", "behind another"])
@pytest.mark.parametrize("odd", [b"\0", b"\v", b"\f", b"\rb"], ids=["NUL", "VT", "FF", "CR"])
async def test_what_no_field_may_hold_is_refused_before_it_is_parsed(before: bytes, odd: bytes) -> None:
    """Row 28: behind 15,000 blanks h11 would look for it for a second, and nobody else be answered meanwhile.

    So the head has no end here: h11 would wait for that.
    """
    async with served(answering(b"x")) as connect:
        answers = heads(await whole(await connect(), before + LAST[:-2] + b"a:" + b" " * 15_000 + odd))
    assert len(answers) == (2 if before else 1)
    status, *lines = answers[-1]
    assert status.startswith(b"400 ")
    assert b"connection: close" in lines


def test_what_no_field_may_hold_is_never_overlooked_at_a_glance() -> None:
    """All of up to five of the bytes that matter: the glance says no just where the expression finds nothing."""
    for length in range(6):
        for each in itertools.product(b"\r\n\0\fa", repeat=length):
            head = bytes(each)
            assert reading._may_be_odd(head) == (reading._NO_TEXT.search(head) is not None), head


async def test_a_path_of_thousands_of_escapes_is_not_read() -> None:
    """Row 28: nobody else would be answered for the ten milliseconds that it takes."""
    async with served(answering(b"x")) as connect:
        for count, expected in ((1024, b"200 "), (1025, b"400 ")):
            ((status, *_),) = heads(await whole(await connect(), LAST.replace(b" /", b" /" + b"%" * count, 1)))
            assert status.startswith(expected)
        query = LAST.replace(b" /", b" /?q=" + b"%E6%BC%A2" * 500, 1)
        ((status, *_),) = heads(await whole(await connect(), query))
        assert status == b"200 OK", "a query is not taken apart before somebody asks for it"


async def test_a_body_may_hold_what_no_field_may() -> None:
    """It is looked for in the head alone, whether or not the body comes with it."""
    odd = b"\0\v\f\rb" * 9
    async with served(answering(b"x")) as connect:
        request = LAST[:-2] + b"Content-Length: %d\r\n\r\n" % len(odd) + odd
        ((status, *_),) = heads(await whole(await connect(), request))
    assert status == b"200 OK"


@pytest.mark.parametrize("status", [299, 420, 499, 520])
async def test_a_status_may_have_no_name(status: int) -> None:
    """RFC 9110 §15: any three digits; the words behind them are nobody's business."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async with served(app) as connect:
        ((line, *_),) = heads(await whole(await connect(), LAST))
    assert line == b"%d " % status


@pytest.mark.parametrize("sent", ["whole", "in two parts"])
@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\n" + b"a:\r\n" * 15_000 + b"\r\n",
        b"0\r\n" + b"a:\r\n" * 15_000,
        b"1;" + b"a" * 20_000 + b"\r\nb\r\n",
        b"0\r\na:" + b" " * 600 + b"\0\r\n\r\n",
        b"1;" + b" " * 600 + b"\nb\r\n",
    ],
    ids=["fields behind it", "no end", "an extension", "blanks", "blanks in an extension"],
)
async def test_what_is_said_beside_a_body_is_little(rest: bytes, sent: str) -> None:
    """Fields behind a body in chunks are read as those of a head are, and take as long, whatever they come with."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: " + b"x" * 1900 + b"\r\n"
    async with served(answering(b"x")) as connect:
        reader, writer = await connect()
        if sent == "in two parts":  # between the two ends of a line that end the head
            writer.write(head)
            await asyncio.sleep(0.1)
            head = b""
        ((status, *lines),) = heads(await whole((reader, writer), head + b"\r\n" + rest))
    assert status.startswith(b"431 ")
    assert b"connection: close" in lines


async def test_fields_behind_a_body_are_passed_over() -> None:
    """RFC 9110 §6.5.1: who knows none of them may."""
    chunked = LAST[:-2] + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n"
    async with served(answering(b"x")) as connect:
        ((status, *_),) = heads(await whole(await connect(), chunked))
    assert status == b"200 OK"


async def test_only_so_many_requests_come_on_one_connection() -> None:
    """The last one is told."""
    async with served(answering(b"x"), keep_alive_max_requests=3) as connect:
        answers = await whole(await connect(), GET * 9)
    assert [b"connection: close" in lines for lines in heads(answers)] == [False, False, True]


async def test_a_server_with_names_answers_to_no_other() -> None:
    """Hypercorn's ``server_names``."""
    async with served(answering(b"x"), server_names=["a"]) as connect:
        assert heads(await whole(await connect(), LAST))[0][0] == b"200 OK"
        assert heads(await whole(await connect(), LAST.replace(b"Host: a", b"Host: b")))[0][0] == b"404 Not Found"
