"""Every story in this directory, told to the real evaluator."""

from pathlib import Path

import pytest

from services.alerting import records
from services.alerting.evaluate import Evaluator
from services.alerting.memory import MemoryCatalog
from services.alerting.model import Instance, Transition
from services.alerting.slices import STREAM
from services.common.clock import ManualClock
from services.common.lease import FencedWriter
from services.common.log_memory import MemoryEngine
from tests.scenario.scenario_language import START_MS, Scenario, parse

STORIES = {path.stem: path.read_text() for path in sorted(Path(__file__).parent.glob("*.scenario"))}


async def transitions_of(scenario: Scenario) -> list[Transition]:
    """Publish the whole story, evaluate it, and read what came out of it."""
    engine, clock = MemoryEngine(ManualClock()), ManualClock()
    for number, (_, data) in enumerate(scenario.records):
        await engine.log.append(STREAM, "slices.0", data, msg_id=str(number))
    catalog = MemoryCatalog(scenario.rules)
    evaluator = Evaluator(log=engine.log, kv=engine.kv, catalog=catalog, clock=clock)
    writer = FencedWriter(engine.log, records.STREAM, records.SUBJECT)
    await evaluator.take_over(writer, epoch_seq=await writer.open(b'{"version":1,"type":"epoch"}'))
    while await evaluator.step(wait_s=0):
        pass
    entries = await engine.log.read(records.STREAM, 1, max_messages=100_000)
    found = [records.decode(entry.data) for entry in entries]
    return [record for record in found if isinstance(record, Transition)]


@pytest.mark.parametrize("story", STORIES)
async def test_goes_as_the_story_says(story: str) -> None:
    scenario = parse(STORIES[story])
    transitions = await transitions_of(scenario)

    assert scenario.expectations
    for expected in scenario.expectations:
        now_ns = (START_MS + expected.at_ms) * 1_000_000
        past = [each for each in transitions if each.rule == expected.rule and each.at_ns <= now_ns]
        instance = past[-1].new if past else Instance()
        assert instance.state is expected.state, (expected.line, [(t.at_ns, t.new.state) for t in past])
        if expected.since_ms is not None:
            since_ms = instance.since_ns // 1_000_000 - START_MS
            assert since_ms == expected.since_ms, expected.line
    for told in scenario.told:
        ours = [each for each in transitions if each.rule == told.rule]
        counts = (sum(each.fires for each in ours), sum(each.resolves for each in ours))
        assert counts == (told.firing, told.resolved), told.line


@pytest.mark.parametrize(
    "line",
    [
        "at soon expect outage firing",
        "rule nothing-like-that",
        "objective gold/availability colour red",
        "load gold/availability good 1x2 bad 0x2",
        "expect outage shouts 1 firing 1 resolved",
        "sing",
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse(line)
