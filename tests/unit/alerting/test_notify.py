"""From ALERTS to the POST: nothing lost, nothing twice, in order, with reasons."""

import json
from datetime import UTC, datetime
from random import Random

import pytest

from services.alerting import records
from services.alerting.answers import Outcome, backoff_s, judge_answer, retry_after_s
from services.alerting.deliver import IDEMPOTENCY_HEADER, Deliverer
from services.alerting.errors import MalformedRecord
from services.alerting.memory import MemoryCatalog, MemoryPoster, MemoryRecorder
from services.alerting.model import Transition
from services.alerting.notify import Notifier, decode
from services.alerting.ports import HttpAnswer, Receiver
from services.common.clock import ManualClock
from services.common.errors import Aborted
from services.common.log_memory import MemoryEngine
from services.common.work_queue_memory import MemoryWorkQueue
from tests.unit.alerting.transitions_text import outage_story

STORY = outage_story()
HOOK = Receiver("hook", "hook", "http://127.0.0.1:1/hook", headers={"X-Key": "k"})
NOW_NS = STORY[-1].at_ns + 1_000_000_000


class Place:
    """ALERTS with a story in it, a notifier, a queue and a worker."""

    def __init__(self, *answers: HttpAnswer | None, receivers: tuple[Receiver, ...] = (HOOK,)) -> None:
        self.clock = ManualClock(now_ns=NOW_NS)
        self.engine = MemoryEngine(self.clock)
        self.poster = MemoryPoster(answers)
        self.recorder = MemoryRecorder()
        self.catalog = MemoryCatalog(receivers=receivers)
        self.queue = MemoryWorkQueue(self.clock, ack_wait_s=15)

    async def append(self, *story: Transition) -> None:
        for change in story:
            await self.engine.log.append("ALERTS", "alerts.0", records.encode(change), msg_id=change.id)

    async def notify(self) -> Notifier:
        notifier = Notifier(
            log=self.engine.log,
            kv=self.engine.kv,
            queue=self.queue,
            receivers=self.catalog,
            recorder=self.recorder,
            clock=self.clock,
        )
        await notifier.take_over()
        while await notifier.step(wait_s=0):
            pass
        return notifier

    async def deliver(self, *, rounds: int = 1, pause_s: float = 0.0) -> None:
        worker = Deliverer(
            kv=self.engine.kv,
            receivers=self.catalog,
            poster=self.poster,
            recorder=self.recorder,
            clock=self.clock,
            rng=Random(7),
        )
        for _ in range(rounds):
            for job in await self.queue.fetch(10, wait_s=0):
                await worker.handle(job)
            self.clock.advance(pause_s)

    def statuses(self) -> list[str]:
        return [json.loads(body)["status"] for _, body, _ in self.poster.sent]

    def reasons(self) -> list[tuple[int, str, str]]:
        return [(row.attempt, row.outcome, row.reason) for row in self.recorder.rows]


async def test_one_message_for_the_beginning_and_one_for_the_end() -> None:
    place = Place()
    await place.append(*STORY)
    await place.notify()
    await place.deliver(rounds=3, pause_s=1)

    assert place.statuses() == ["firing", "resolved"]
    keys = [headers[IDEMPOTENCY_HEADER] for _, _, headers in place.poster.sent]
    assert len(set(keys)) == 2
    assert all(headers["X-Key"] == "k" for _, _, headers in place.poster.sent)
    assert place.reasons() == [
        (0, "queued", "NEW_ALERT"),
        (0, "held", "STILL_ACTIVE"),
        (0, "queued", "RESOLVED"),
        (1, "accepted", "ACCEPTED"),
        (1, "accepted", "ACCEPTED"),
    ]


async def test_every_receiver_gets_its_own() -> None:
    other = Receiver("platform/hook", "hook", "http://127.0.0.1:2/hook")
    place = Place(receivers=(HOOK, other))
    await place.append(*STORY)
    await place.notify()
    await place.deliver(rounds=3, pause_s=1)

    assert sorted(url for url, _, _ in place.poster.sent) == [HOOK.url] * 2 + [other.url] * 2
    assert len({headers[IDEMPOTENCY_HEADER] for _, _, headers in place.poster.sent}) == 4


async def test_a_notifier_that_lost_its_position_tells_nobody_twice() -> None:
    """Even after the queue forgot the ids: the memory and the settled keys remain."""
    place = Place()
    await place.append(*STORY)
    await place.notify()
    await place.deliver(rounds=3, pause_s=1)
    await place.engine.kv.delete("alert_state", "notifier.0.position")
    place.clock.advance(3600)
    await place.notify()
    await place.deliver(rounds=3, pause_s=1)

    assert place.statuses() == ["firing", "resolved"]


async def test_of_two_notifiers_one_gives_up() -> None:
    place = Place()
    slow = await place.notify()
    await place.append(*STORY)
    await place.notify()
    with pytest.raises(Aborted):
        await slow.step(wait_s=0)
    await place.deliver(rounds=3, pause_s=1)

    assert place.statuses() == ["firing", "resolved"]


@pytest.mark.parametrize("stored", [False, True])
async def test_an_unknown_outcome_at_the_worker_repeats_with_the_same_key(stored: bool) -> None:
    """The worker died after the POST: the job comes again, and so does the key."""
    place = Place()
    await place.append(STORY[0])
    await place.notify()
    (job,) = await place.queue.fetch(1, wait_s=0)
    sent = decode(job.data)
    if stored:
        settled = {"started_ns": sent.change.started_ns, "alerts_seq": sent.alerts_seq}
        key = f"worker.0.settled.acme.hook.{sent.change.fingerprint}"
        await place.engine.kv.put("alert_state", key, json.dumps(settled).encode())
    place.clock.advance(16)
    await place.deliver()

    assert [headers[IDEMPOTENCY_HEADER] for _, _, headers in place.poster.sent] == [sent.id] * (not stored)
    assert await place.queue.fetch(1, wait_s=0) == []


async def test_the_end_waits_for_the_beginning() -> None:
    place = Place(None, HttpAnswer(500, None))
    await place.append(*STORY)
    await place.notify()
    await place.deliver(rounds=12, pause_s=1)

    assert place.statuses() == ["firing", "firing", "firing", "resolved"]


async def test_a_dead_beginning_lets_the_end_go() -> None:
    place = Place(HttpAnswer(400, None))
    await place.append(*STORY)
    await place.notify()
    await place.deliver(rounds=3, pause_s=1)

    assert place.statuses() == ["firing", "resolved"]
    assert (1, "dead", "NOT_RETRYABLE_400") in place.reasons()


async def test_retry_after_is_obeyed() -> None:
    place = Place(HttpAnswer(429, "7"))
    await place.append(STORY[0])
    await place.notify()
    await place.deliver()
    place.clock.advance(6.9)
    await place.deliver()
    assert len(place.poster.sent) == 1
    place.clock.advance(0.2)
    await place.deliver()
    assert len(place.poster.sent) == 2
    assert (1, "retry", "RETRY_AFTER") in place.reasons()


async def test_what_is_a_day_old_is_given_up() -> None:
    place = Place(*[None] * 3)
    await place.append(STORY[0])
    await place.notify()
    place.clock.advance(86_401)
    await place.deliver()

    assert place.reasons()[-1] == (1, "dead", "RETRIES_EXHAUSTED")
    assert await place.queue.fetch(1, wait_s=0) == []


async def test_a_receiver_that_is_gone_is_dead_and_said_so() -> None:
    place = Place()
    await place.append(STORY[0])
    await place.notify()
    place.catalog.replace((), ())
    await place.deliver()

    assert place.reasons()[-1] == (1, "dead", "RECEIVER_GONE")


async def test_what_cannot_be_read_is_dropped() -> None:
    place = Place()
    await place.queue.publish("notify.acme", b"{}", msg_id="x")
    await place.deliver()

    assert await place.queue.fetch(1, wait_s=0) == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *[(status, Outcome.ACCEPTED) for status in (200, 201, 202, 204)],
        *[(status, Outcome.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 599)],
        *[(status, Outcome.DEAD) for status in (301, 302, 400, 401, 403, 404, 405, 409, 410, 413, 422)],
    ],
)
def test_the_table_of_answers(answer: int, outcome: Outcome) -> None:
    judged = judge_answer(HttpAnswer(answer, None), attempt=1, now_ns=0, rng=Random(1))

    assert judged.outcome is outcome
    assert (judged.delay_s > 0) is (outcome is Outcome.RETRY)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999", 86_400.0),
        ("Thu, 09 Oct 2025 09:00:30 GMT", 30.0),
        ("Thu, 09 Oct 2025 08:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_in_both_forms(text: str | None, seconds: float | None) -> None:
    now_ns = int(datetime(2025, 10, 9, 9, 0, tzinfo=UTC).timestamp()) * 1_000_000_000

    assert retry_after_s(text, now_ns=now_ns) == seconds


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    rng = Random(3)
    pauses = [backoff_s(attempt, rng) for attempt in range(1, 400)]

    assert 0.5 <= pauses[0] <= 1
    assert max(pauses) <= 60
    assert min(pauses[10:]) >= 30


def test_records_come_back_as_they_went() -> None:
    for change in STORY:
        assert records.decode(records.encode(change)) == change
    rules = records.RulesRecord("acme", 7, ())
    assert records.decode(records.encode(rules)) == rules


@pytest.mark.parametrize("data", [b"", b"{}", b'{"version":1,"type":"transition"}', b"[]"])
def test_a_record_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        records.decode(data)
