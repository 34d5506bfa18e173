"""What every way to ask another process must do; the same tests run in memory and on NATS."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.errors import Unavailable
from services.common.request_reply import RequestReply
from services.common.request_reply_memory import MemoryRequestReply
from tests.engines_nats import nats_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")
_names = itertools.count()


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["memory", pytest.param("nats", marks=pytest.mark.engines)]
)
async def questions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RequestReply]:
    """The adapter under test."""
    if request.param == "memory":
        yield MemoryRequestReply()
        return
    async with nats_engine(tmp_path_factory.mktemp("nats")) as engine:
        yield engine.questions


@pytest.fixture
def subject() -> str:
    """One that nobody used."""
    return f"test.subject.{next(_names)}"


async def test_the_answer_is_that_of_the_handler(questions: RequestReply, subject: str) -> None:
    async def double(data: bytes) -> bytes:
        return data * 2

    await questions.answer(subject, double)

    assert await questions.ask(subject, b"ab", timeout_s=5) == b"abab"
    assert await questions.ask(subject, b"", timeout_s=5) == b""
    large = bytes(range(256)) * 2048
    assert await questions.ask(subject, large, timeout_s=5) == large * 2


async def test_without_anybody_there_is_no_answer_and_no_waiting(
    questions: RequestReply, subject: str
) -> None:
    with pytest.raises(Unavailable, match=subject):
        await asyncio.wait_for(questions.ask(subject, b"", timeout_s=60), 5)


async def test_one_that_takes_too_long_did_not_answer(questions: RequestReply, subject: str) -> None:
    async def never(_data: bytes) -> bytes:
        await asyncio.sleep(0.5)
        return b""

    await questions.answer(subject, never)

    with pytest.raises(Unavailable):
        await questions.ask(subject, b"", timeout_s=0.1)


async def test_a_handler_that_fails_answers_the_next_question(questions: RequestReply, subject: str) -> None:
    async def fragile(data: bytes) -> bytes:
        if data == b"bad":
            raise ValueError("bad")
        return data

    await questions.answer(subject, fragile)

    with pytest.raises(Unavailable):
        await questions.ask(subject, b"bad", timeout_s=0.2)
    assert await questions.ask(subject, b"good", timeout_s=5) == b"good"
