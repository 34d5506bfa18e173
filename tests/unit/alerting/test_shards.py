"""Slices of several shards: each tenant is judged by the log time of its own shard."""

import json

import pytest

from services.alerting.fold import Fold
from services.alerting.log_times import LogTimes
from services.alerting.model import State
from services.alerting.slices import decode_slices
from services.common.shards import shard_of
from tests.unit.alerting.rules_text import outage
from tests.unit.alerting.slices_text import START_MS, message, piece

FAST, SLOW = "acme", "zenith"


def of_shard(data, tenant):
    record = json.loads(data)
    return json.dumps({**record, "shard": shard_of(tenant, 2), "shards": 2}).encode()


class Folded:
    def __init__(self):
        self.fold, self.seq, self.changes = Fold(), 0, []
        for tenant in (FAST, SLOW):
            self.fold.adopt(tenant, [outage(tenant=tenant)])

    def take(self, data):
        self.seq += 1
        self.changes += self.fold.apply(self.seq, decode_slices(data))

    def slice(self, tenant, k, *, bad=0):
        one = piece(start_ms=START_MS + 10_000 * k, good=100 - bad, bad=bad)
        data = message(one, watermark_ms=START_MS + 10_000 * (k + 1), tenant=tenant)
        self.take(of_shard(data, tenant))


def test_the_two_tenants_are_of_two_shards():
    assert shard_of(FAST, 2) != shard_of(SLOW, 2)


def test_a_shard_that_lags_is_not_taken_for_silence():
    folded = Folded()
    folded.slice(SLOW, 0)
    for k in range(60):
        folded.slice(FAST, k)

    states = {key[0]: one.state for key, one in folded.fold.instances.items()}
    assert states == {FAST: State.NORMAL, SLOW: State.NORMAL}


def test_an_outage_in_a_shard_that_lags_fires_at_its_own_log_time():
    folded = Folded()
    for k in range(60):
        folded.slice(FAST, k)
    for k in range(3):
        folded.slice(SLOW, k, bad=100 if k == 2 else 0)

    (fired,) = folded.changes
    assert (fired.tenant, fired.at_ns // 10**6 - START_MS) == (SLOW, 30_000)


def test_log_time_never_goes_back_when_the_number_of_shards_changes():
    folded = Folded()
    for k in range(6):
        folded.take(
            message(piece(start_ms=START_MS + 10_000 * k, good=1), watermark_ms=START_MS + 10_000 * k)
        )
    before = folded.fold.watermark_ns

    folded.slice(SLOW, 0)

    assert folded.fold.times.of(SLOW) == folded.fold.times.of(FAST) == before


@pytest.mark.parametrize("shards", [1, 2])
def test_log_times_come_back_from_a_snapshot(shards):
    folded = Folded()
    for k in range(3):
        if shards == 2:
            folded.slice(FAST, 4 * k)
            folded.slice(SLOW, k)
        else:
            folded.take(message(watermark_ms=START_MS + k))
    times = folded.fold.times

    again = LogTimes.from_list(times.as_list(), latest_ns=times.latest_ns)

    assert [again.of(tenant) for tenant in (FAST, SLOW)] == [times.of(tenant) for tenant in (FAST, SLOW)]
    assert again.latest_ns == times.latest_ns


def test_a_snapshot_from_before_there_were_shards_is_understood():
    assert LogTimes.from_list([], latest_ns=7).of(FAST) == 7
