"""The log away under load: every request is asked to come back, nothing is lost, steady by itself again.

THREENINES_OUTAGE_S is the length of an outage of the store (18); the log is away for a sixth of it.
"""

import asyncio
import gc
import random
import time
from pathlib import Path

import pytest

from tests.scenario.kill_stack import OUTAGE_S, kill_stack
from tests.scenario.ledger import Export, Load, LoadLedger, seeded

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300 + OUTAGE_S)]

_AWAY_S = OUTAGE_S / 6
_STEADY_S = 3.0
_STEADY_AGAIN_S = 60.0
"""The rate before is that of a calm moment; beside busy neighbours it takes some windows to see it again."""
_FIRST = 16
_CONFIRM_S = 5.0
"""What the log has to confirm; a shorter freeze is waited out."""
_ANSWER_S = 8.0
"""Nobody waits much longer to hear that it did not."""


class _TimedLoad(Load):
    """Load that also notes of each acknowledged Export when it began and when its answer was there. A request
    that is sent again is a new Export: what counts is whether it left while the log was away."""

    def __init__(self, address: str, rng: random.Random) -> None:
        super().__init__(address, rng, clients=8, gives_up=0.0, patient=True)
        self.spans: list[tuple[float, float]] = []

    async def _until_acknowledged(self, export: Export, raw: bytes, rng: random.Random) -> bool:
        async def timed(request: bytes, *, timeout: float) -> bytes:
            began = time.monotonic()
            answer: bytes = await export(request, timeout=timeout)
            self.spans.append((began, time.monotonic()))
            return answer

        return await super()._until_acknowledged(timed, raw, rng)  # type: ignore[arg-type]


# nats-py forgets the connection of an attempt to reconnect that timed out (2.16); the collection finds it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_without_the_log_everyone_is_asked_to_come_back_and_nothing_is_lost(
    tmp_path: Path, frozen: bool
) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with _TimedLoad(stack.collector.otlp_address, rng) as load:
                await load.more(50)
                before = await _acknowledged_in(load, _STEADY_S)
                away_at = time.monotonic()
                if frozen:
                    stack.nats.pause()
                else:
                    await stack.nats.kill9()
                await asyncio.sleep(_AWAY_S)
                back_at = time.monotonic()
                if frozen:
                    stack.nats.resume()
                else:
                    await stack.nats.start()
                await load.more(_FIRST)
                resumed_s = time.monotonic() - back_at
                await stack.caught_up()
                after = await _steady_again(load, before)
            await stack.caught_up()
            reckoning = await load.ledger.check(stack.database)
    gc.collect()

    _say(load.ledger, away_at, before, after, resumed_s)
    reckoning.tell(f"the log away for {_AWAY_S:g} s, {'frozen' if frozen else 'killed'}")
    _check_refusals(load, away_at, back_at)
    assert not load.ledger.uncertain
    assert after > before / 2, "steady again by itself"


def _check_refusals(load: _TimedLoad, away_at: float, back_at: float) -> None:
    ledger = load.ledger
    assert ledger.failures or back_at - away_at < _CONFIRM_S, "the outage was felt"
    assert {one.code for one in ledger.failures} <= {"UNAVAILABLE"}
    assert all(one.delay_s > 0 for one in ledger.failures)
    assert all(one.took_s < _ANSWER_S for one in ledger.failures)
    # One that began before may have been stored before, and be answered late.
    assert len(load.spans) == len(ledger.acknowledged)
    promised = [(began, ended) for began, ended in load.spans if away_at < began and ended < back_at]
    assert not promised, "nothing can be durable meanwhile"


async def _steady_again(load: Load, before: int) -> int:
    """Acknowledgements in the first window in which there are enough of them; else in the last."""
    after = 0
    try:
        async with asyncio.timeout(_STEADY_AGAIN_S):
            while after <= before / 2:
                await load.more(1)  # and a client that failed says why
                after = await _acknowledged_in(load, _STEADY_S)
    except TimeoutError:
        pass  # the caller's assertion has the numbers
    return after


async def _acknowledged_in(load: Load, seconds: float) -> int:
    before = len(load.ledger.acknowledged)
    await asyncio.sleep(seconds)
    return len(load.ledger.acknowledged) - before


def _say(ledger: LoadLedger, away_at: float, before: int, after: int, resumed_s: float) -> None:
    failures = ledger.failures
    took, delays = [0.0, *(one.took_s for one in failures)], [one.delay_s for one in failures] or [0.0]
    last_s = max([away_at, *ledger.failed_at]) - away_at
    print(
        f"\n{len(failures)} refused, within {max(took):.2f} s, with delays of {min(delays):.2f} to"
        f" {max(delays):.2f} s, the last {last_s:.2f} s after the log went;"
        f" {_FIRST} acknowledged {resumed_s:.2f} s after its return;"
        f" in {_STEADY_S:g} s {before} acknowledged before and {after} after"
    )
