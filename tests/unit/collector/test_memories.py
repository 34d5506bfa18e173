"""What a collector remembers can be forgotten at any moment, and is found out again."""

import gc
import threading

import numpy as np

from services.collector.decode import Decoder, fresh_secrets
from services.collector.kept_records import KeptRecords
from services.collector.memories import Memories
from services.collector.quota import Quota
from services.collector.series_census import LocalSeriesCensus
from services.collector.series_gate import SeriesGate
from services.collector.series_ids import SeriesIds
from services.collector.validate import Verdict
from services.common.clock import ManualClock
from services.common.telemetry import Counters
from tests.unit.collector.test_fat_series import fat

RAW = fat(50, 100).SerializeToString()


def test_series_are_read_again_and_are_the_same() -> None:
    decoder, memories = Decoder(fresh_secrets()), Memories()
    memories.add(decoder.directory)
    before = decoder.decode(RAW)
    assert decoder.decode(RAW).series.identity is before.series.identity

    memories.forget()

    after = decoder.decode(RAW)
    assert after.series.identity is not before.series.identity
    assert after.series.identity == before.series.identity
    assert np.array_equal(after.series_index, before.series_index)
    assert decoder.directory.read == 100


def test_forgetting_while_others_decode_changes_no_answer() -> None:
    decoder, memories = Decoder(fresh_secrets()), Memories()
    memories.add(decoder.directory)
    wanted, wrong = decoder.decode(RAW).series.identity, []
    ended = threading.Event()

    def decode() -> None:
        while not ended.is_set():
            if decoder.decode(RAW).series.identity != wanted:
                wrong.append(1)

    threads = [threading.Thread(target=decode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        memories.forget()
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_ids_are_asked_for_again() -> None:
    ids, memories = SeriesIds(), Memories()
    memories.add(ids)
    identity = Decoder(fresh_secrets()).decode(RAW).series.identity
    keys, new = ids.find("acme", identity)
    ids.remember([("acme", identity[place], keys[place]) for place in new])
    assert ids.find("acme", identity)[1] == []

    memories.forget()

    assert ids.find("acme", identity) == (keys, new)


async def test_a_gate_counts_no_series_twice_for_having_forgotten_it() -> None:
    clock, memories = ManualClock(), Memories()
    census = LocalSeriesCensus(clock)
    census.load({})
    gate = SeriesGate(census, lambda _tenant: Quota(active_series=50), clock, Counters())
    memories.add(gate)
    decoder = Decoder(fresh_secrets())
    verdict = Verdict(np.zeros(50, np.bool_), {})
    assert (await gate.judge("acme", decoder.decode(RAW), verdict)).rejected_count == 0

    memories.forget()

    assert (await gate.judge("acme", decoder.decode(RAW), verdict)).rejected_count == 0
    others = decoder.decode(fat(50, 100, "another").SerializeToString())
    assert (await gate.judge("acme", others, verdict)).rejected_count == 50, "the limit is reached"


def test_a_record_that_was_forgotten_is_decoded_again() -> None:
    kept, memories = KeptRecords(ManualClock()), Memories()
    memories.add(kept)
    kept.want()
    kept.keep(b"record", [Decoder(fresh_secrets()).decode(RAW)])
    assert kept.held_bytes > 0

    memories.forget()

    assert (kept.held_bytes, kept.take(b"record")) == (0, None)


def test_nothing_is_kept_alive_to_be_forgotten() -> None:
    memories = Memories()
    memories.add(SeriesIds())
    gc.collect()

    memories.forget()

    assert len(memories._all) == 0
