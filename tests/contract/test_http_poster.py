"""`HttpPoster`: the memory adapter and HTTP keep the same promises, and HTTP keeps its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.alerting.memory import MemoryPoster
from services.alerting.ports import HttpAnswer, HttpPoster
from services.alerting.poster import HttpxPoster
from services.common.clock import SystemClock
from services.common.errors import Unavailable
from tests.engines_nats import free_port

IMPATIENT_S = 0.3
"""Only for receivers that never answer: an answer may take longer on a busy machine."""
PATIENT_S = 10.0


@asynccontextmanager
async def receiver(answer: bytes, *, then: str = "close") -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every request with these bytes; then closes, hangs, or drips."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            seen.append(head + await reader.readexactly(length))
            writer.write(answer)
            await writer.drain()
            while then == "drip":
                writer.write(b"x")
                await writer.drain()
                await SystemClock().sleep(0.02)
            if then == "hang":
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/hook", seen
    server.close()


@pytest.fixture
async def http() -> AsyncIterator[HttpxPoster]:
    poster = HttpxPoster(timeout_s=PATIENT_S)
    yield poster
    await poster.close()


@pytest.fixture
async def impatient() -> AsyncIterator[HttpxPoster]:
    poster = HttpxPoster(timeout_s=IMPATIENT_S)
    yield poster
    await poster.close()


ANSWERS = {
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n": HttpAnswer(200, None),
    b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok": HttpAnswer(202, None),
    b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\ncontent-length: 0\r\n\r\n": HttpAnswer(429, "17"),
    b"HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n": HttpAnswer(
        302, None
    ),
    b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n": HttpAnswer(503, None),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_answers_are_answers_whatever_their_status(http: HttpxPoster, answer: bytes) -> None:
    async with receiver(answer) as (url, seen):
        for poster in (http, MemoryPoster([ANSWERS[answer]])):
            assert await _post(poster, url) == ANSWERS[answer]
    (request,) = seen

    assert request.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"idempotency-key: k\r\n" in request.lower()
    assert request.endswith(b"\r\n\r\n{}")


async def test_nobody_there_is_unavailable(http: HttpxPoster) -> None:
    for poster in (http, MemoryPoster([None])):
        with pytest.raises(Unavailable):
            await _post(poster, f"http://127.0.0.1:{free_port()}/hook")


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (b"", "close"),
        (b"", "hang"),
        (b"HTTP/1.1 200 OK\r\nx-slow: ", "drip"),
        (b"not http at all\r\n\r\n", "close"),
    ],
)
async def test_an_answer_that_never_comes_ends_in_time(
    impatient: HttpxPoster, answer: bytes, then: str
) -> None:
    clock = SystemClock()
    async with receiver(answer, then=then) as (url, _):
        before_ns = clock.monotonic_ns()
        with pytest.raises(Unavailable):
            await _post(impatient, url)

    assert clock.monotonic_ns() - before_ns < 8e9  # far from 0.3 s, but its own time and not the default


async def test_a_body_without_end_does_not_matter(http: HttpxPoster) -> None:
    async with receiver(b"HTTP/1.1 200 OK\r\n\r\n", then="drip") as (url, _):
        assert await _post(http, url) == HttpAnswer(200, None)


@pytest.mark.parametrize("url", ["http://[broken/", "nonsense"])
async def test_an_address_that_cannot_be_is_unavailable(http: HttpxPoster, url: str) -> None:
    with pytest.raises(Unavailable):
        await _post(http, url)


async def _post(poster: HttpPoster, url: str) -> HttpAnswer:
    return await poster.post(url, b"{}", {"Idempotency-Key": "k"})
