"""A restart at any point gives the transitions of an uninterrupted run, each once."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerting import records
from services.alerting.evaluate import Evaluator
from services.alerting.memory import MemoryCatalog
from services.alerting.model import Rule, Transition
from services.alerting.slices import STREAM
from services.common.clock import ManualClock
from services.common.errors import Aborted, FailedPrecondition, Unavailable
from services.common.lease import FencedWriter
from services.common.log_memory import MemoryEngine
from services.common.log_port import Ack
from tests.unit.alerting.rules_text import burn, outage
from tests.unit.alerting.slices_text import START_MS, feed, message, piece

RULES = (outage(for_s=15, keep_s=20), burn(long_s=60, short_s=20, keep_s=10))


class Crash(Exception):
    """The process died here."""


class CrashingWriter:
    """Dies before or after the append that is due."""

    def __init__(self, writer: FencedWriter, *, after: int | None, stored: bool) -> None:
        self._writer = writer
        self._left = after
        self._stored = stored

    async def append(self, data: bytes, *, msg_id: str) -> Ack:
        if self._left == 0 and not self._stored:
            raise Crash
        ack = await self._writer.append(data, msg_id=msg_id)
        if self._left == 0:
            raise Crash
        if self._left is not None:
            self._left -= 1
        return ack


class Place:
    """A log with slices and whoever evaluates them."""

    def __init__(self, rules: tuple[Rule, ...] = RULES, *, checkpoint_messages: int = 7) -> None:
        self.clock = ManualClock()
        self.engine = MemoryEngine(self.clock)
        self.catalog = MemoryCatalog(rules)
        self._checkpoint_messages = checkpoint_messages
        self._sent = 0

    async def publish(self, data: bytes) -> None:
        self._sent += 1
        await self.engine.log.append(STREAM, "slices.0", data, msg_id=f"slices-{self._sent}")

    async def evaluator(self, *, crash_after: int | None = None, stored: bool = False) -> Evaluator:
        evaluator = Evaluator(
            log=self.engine.log,
            kv=self.engine.kv,
            catalog=self.catalog,
            clock=self.clock,
            checkpoint_messages=self._checkpoint_messages,
        )
        writer = FencedWriter(self.engine.log, records.STREAM, records.SUBJECT)
        epoch_seq = await writer.open(b'{"version":1,"type":"epoch"}')
        crashing = CrashingWriter(writer, after=crash_after, stored=stored)
        await evaluator.take_over(crashing, epoch_seq=epoch_seq)
        return evaluator

    async def drain(self, evaluator: Evaluator) -> None:
        while await evaluator.step(wait_s=0):
            pass

    async def transitions(self) -> list[Transition]:
        found = []
        entries = await self.engine.log.read(records.STREAM, 1, max_messages=100_000)
        for entry in entries:
            record = records.decode(entry.data)
            if isinstance(record, Transition):
                found.append(record)
        return found


async def uninterrupted(messages: list[bytes]) -> list[Transition]:
    place = Place()
    evaluator = await place.evaluator()
    for data in messages:
        await place.publish(data)
    await place.drain(evaluator)
    return await place.transitions()


RUNS = st.tuples(st.tuples(st.sampled_from([0, 10]), st.sampled_from([0, 10])) | st.none(), st.integers(1, 9))
SLICES = st.lists(RUNS, min_size=2, max_size=9).map(
    lambda runs: [outcome for outcome, length in runs for _ in range(length)]
)
"""Stretches of good, bad, idle and missing slices, up to longer than every window."""


def story(outcomes: list[tuple[int, int] | None]) -> list[bytes]:
    """Slices with gaps, late revisions and watermarks between."""
    messages = []
    for index, outcome in enumerate(outcomes):
        start_ms = START_MS + index * 10_000
        if outcome is not None:
            good, bad = outcome
            messages.append(
                message(piece(start_ms=start_ms, good=good, bad=bad), watermark_ms=start_ms + 10_000)
            )
            if index % 3 == 2:
                late = piece(start_ms=start_ms - 10_000, good=good + 1, bad=bad, revision=2)
                messages.append(message(late, watermark_ms=start_ms + 11_000))
        messages.append(message(watermark_ms=start_ms + 15_000))
    return messages


@settings(max_examples=60, deadline=None)
@given(outcomes=SLICES, seed=st.integers(0, 2**32))
async def test_restarts_change_no_transition(outcomes: list[tuple[int, int] | None], seed: int) -> None:
    """Restarts at random messages; breaks longer than the stream's duplicate window."""
    messages = story(outcomes)
    rng = random.Random(seed)
    place = Place(checkpoint_messages=rng.randint(1, 9))
    evaluator = await place.evaluator()
    for data in messages:
        await place.publish(data)
        if rng.random() < 0.3:
            await place.drain(evaluator)
        if rng.random() < 0.3:
            place.clock.advance(300)
            evaluator = await place.evaluator()
    await place.drain(evaluator)

    assert await place.transitions() == await uninterrupted(messages)


@settings(max_examples=60, deadline=None)
@given(outcomes=SLICES, crash_after=st.integers(0, 6), stored=st.booleans())
async def test_a_crash_around_any_append_changes_no_transition(
    outcomes: list[tuple[int, int] | None], crash_after: int, stored: bool
) -> None:
    messages = story(outcomes)
    place = Place()
    for data in messages:
        await place.publish(data)
    try:
        await place.drain(await place.evaluator(crash_after=crash_after, stored=stored))
    except Crash:
        place.clock.advance(300)
        await place.drain(await place.evaluator())

    assert await place.transitions() == await uninterrupted(messages)


@settings(max_examples=100, deadline=None)
@given(outcomes=SLICES, change_at=st.integers(0, 60), crash_after=st.integers(0, 12), stored=st.booleans())
async def test_a_change_of_rules_is_replayed_where_it_happened(
    outcomes: list[tuple[int, int] | None], change_at: int, crash_after: int, stored: bool
) -> None:
    """A restarted evaluator sees the newest configuration at once, and must not apply it to the past."""
    messages = story(outcomes)
    changed = (RULES[0],)
    results = []
    for interrupted in (False, True):
        place = Place()
        evaluator = await place.evaluator(crash_after=crash_after if interrupted else None, stored=stored)
        for index, data in enumerate(messages):
            if index == change_at:
                place.catalog.replace(changed)
            await place.publish(data)
            try:
                await place.drain(evaluator)
            except Crash:
                place.clock.advance(300)
                evaluator = await place.evaluator()
                await place.drain(evaluator)
        results.append(await place.transitions())

    assert results[0] == results[1]


async def test_fires_once_and_resolves_once() -> None:
    place = Place((outage(),))
    evaluator = await place.evaluator()
    for data in feed([(10, 0)] * 3 + [(0, 10)] * 3 + [(10, 0)] * 6):
        await place.publish(data)
    await place.drain(evaluator)
    told = [(each.fires, each.resolves) for each in await place.transitions()]

    assert told == [(True, False), (False, False), (False, True)]


async def test_an_alert_whose_rule_is_removed_ends() -> None:
    place = Place((outage(),))
    evaluator = await place.evaluator()
    for data in feed([(0, 10)] * 2):
        await place.publish(data)
    await place.drain(evaluator)
    place.catalog.replace(())
    await place.drain(evaluator)
    last = (await place.transitions())[-1]

    assert last.resolves
    assert last.cause.value == "RULE_REMOVED"


async def test_a_holder_that_lost_the_fence_can_neither_append_nor_overwrite() -> None:
    place = Place((outage(),))
    old = await place.evaluator()
    await place.drain(old)
    new = await place.evaluator()
    for data in feed([(0, 10)] * 2):
        await place.publish(data)
    with pytest.raises(Aborted):
        await place.drain(old)
    await place.drain(new)

    assert [each.fires for each in await place.transitions()] == [True]


async def test_a_malformed_record_is_passed_over() -> None:
    place = Place((outage(),))
    evaluator = await place.evaluator()
    await place.publish(b"{")
    for data in feed([(0, 10)] * 2):
        await place.publish(data)
    await place.drain(evaluator)

    assert len(await place.transitions()) == 1


@pytest.mark.parametrize("stored", [False, True])
async def test_an_append_of_unknown_outcome_is_neither_lost_nor_doubled(stored: bool) -> None:
    place = Place((outage(),))
    evaluator = await place.evaluator()
    await place.drain(evaluator)
    for data in feed([(0, 10)] * 2):
        await place.publish(data)
    place.engine.log.fail_next_appends(1, stored=stored)
    with pytest.raises(Unavailable):
        await place.drain(evaluator)
    await place.drain(await place.evaluator())

    assert [each.fires for each in await place.transitions()] == [True]


async def test_a_new_configuration_is_not_applied_to_what_was_evaluated_before() -> None:
    """Killed with the snapshot far behind, and the rule is gone from the configuration meanwhile."""
    place = Place((outage(),), checkpoint_messages=1000)
    evaluator = await place.evaluator()
    for data in feed([(10, 0)] * 2 + [(0, 10)] * 2):
        await place.publish(data)
    await place.drain(evaluator)
    place.catalog.replace(())
    await place.drain(await place.evaluator())

    assert [(each.fires, each.cause.value) for each in await place.transitions()] == [
        (True, "BREACHED"),
        (False, "RULE_REMOVED"),
    ]


async def test_a_stream_that_is_not_the_one_it_knows_stops_it_loudly() -> None:
    place = Place((outage(),))
    await place.publish(message(watermark_ms=START_MS))
    evaluator = await place.evaluator()
    await place.drain(evaluator)
    place.clock.advance(10)
    await evaluator.step(wait_s=0)
    place.engine.log = MemoryEngine(place.clock).log
    with pytest.raises(FailedPrecondition):
        await place.evaluator()
