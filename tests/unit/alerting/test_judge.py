"""Verdicts over windows: exact, and never from missing data."""

import json
from dataclasses import replace

import pytest

from services.alerting.judge import judge
from services.alerting.model import Rule, Verdict
from services.alerting.slices import decode_slices
from services.alerting.window import Window
from tests.unit.alerting.rules_text import SECOND_NS, burn, outage
from tests.unit.alerting.slices_text import START_MS, message, piece

SLICE_MS = 10_000


def window(outcomes: list[tuple[int, int] | None], *, no_data_ms: int = 0) -> tuple[Window, int]:
    """A window of (good, bad) slices, None where nothing was published; its end in ns."""
    made = Window()
    for index, outcome in enumerate(outcomes):
        if outcome is not None:
            start_ms = START_MS + index * SLICE_MS
            data = piece(start_ms=start_ms, good=outcome[0], bad=outcome[1], no_data_ms=no_data_ms)
            decoded = decode_slices(message(data, watermark_ms=start_ms))
            assert decoded is not None
            made.add(decoded.slices[0])
    return made, (START_MS + len(outcomes) * SLICE_MS) * 1_000_000


def verdict(rule: Rule, outcomes: list[tuple[int, int] | None], *, later_s: int = 0) -> tuple[Verdict, str]:
    made, end_ns = window(outcomes)
    finding = judge(rule, made, now_ns=end_ns + later_s * SECOND_NS)
    return finding.verdict, finding.reason


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([(5, 5)], (Verdict.CLEAR, "SLICE_NOT_DOWN")),
        ([(5, 6)], (Verdict.BREACH, "SLICE_DOWN")),
        ([(0, 1)], (Verdict.BREACH, "SLICE_DOWN")),
        ([(0, 9), (9, 0)], (Verdict.CLEAR, "SLICE_NOT_DOWN")),
        ([(9, 0), (0, 9)], (Verdict.BREACH, "SLICE_DOWN")),
        ([(0, 9), (0, 0)], (Verdict.BREACH, "SLICE_DOWN")),
        ([(0, 9), *[(0, 0)] * 6], (Verdict.CLEAR, "NO_TRAFFIC")),
        ([(0, 0)], (Verdict.CLEAR, "NO_TRAFFIC")),
    ],
)
def test_the_newest_slice_with_traffic_speaks(
    outcomes: list[tuple[int, int] | None], expected: tuple[Verdict, str]
) -> None:
    assert verdict(outage(), outcomes) == expected


def test_a_slice_with_too_few_requests_says_nothing() -> None:
    assert verdict(outage(min_requests=5), [(9, 0), (0, 4)])[0] is Verdict.CLEAR
    assert verdict(outage(min_requests=5), [(9, 0), (0, 5)])[0] is Verdict.BREACH


def test_an_outage_that_went_silent_is_no_data_and_not_recovered() -> None:
    assert verdict(outage(), [(0, 9)], later_s=60)[0] is Verdict.BREACH
    assert verdict(outage(), [(0, 9)], later_s=61)[0] is Verdict.NO_DATA


def test_an_excluded_slice_does_not_page() -> None:
    made, end_ns = window([(0, 9)])
    (only,) = made.newest_first()
    made.add(replace(only, revision=2, excluded_ns=only.length_ns))

    assert judge(outage(), made, now_ns=end_ns).verdict is not Verdict.BREACH


def test_impossible_counts_are_an_error_and_no_verdict() -> None:
    made, end_ns = window([(9, -1)])

    assert judge(outage(), made, now_ns=end_ns).verdict is Verdict.ERROR


def test_burns_only_above_the_threshold_in_both_windows() -> None:
    """14.4 * 0.001 = 18/1250: 18 of 1250 is exactly the threshold and does not fire."""
    rule = burn(long_s=20, short_s=10)

    assert verdict(rule, [(1232, 18), (1232, 18)])[0] is Verdict.CLEAR
    assert verdict(rule, [(1232, 18), (1231, 19)])[0] is Verdict.BREACH
    assert verdict(rule, [(0, 1250), (1232, 18)])[0] is Verdict.CLEAR
    assert verdict(rule, [(12320, 0), (1231, 19)])[0] is Verdict.CLEAR


def test_any_failure_burns_a_target_of_all() -> None:
    rule = burn(target="1", long_s=20, short_s=10)

    assert verdict(rule, [(10**9, 0), (10**9 - 1, 1)])[0] is Verdict.BREACH
    assert verdict(rule, [(10**9, 0), (10**9, 0)])[0] is Verdict.CLEAR


def test_too_few_failures_do_not_fire() -> None:
    rule = burn(long_s=20, short_s=10, min_bad=4)

    assert verdict(rule, [(0, 0), (0, 3)]) == (Verdict.CLEAR, "TOO_FEW_BAD")
    assert verdict(rule, [(0, 0), (0, 4)])[0] is Verdict.BREACH


def test_holds_below_the_coverage_floor() -> None:
    rule = burn(long_s=100, short_s=10)
    gap: list[tuple[int, int] | None] = [None, None]

    assert verdict(rule, [(0, 9)] * 9 + [None, (0, 9)])[0] is Verdict.BREACH
    assert verdict(rule, [(0, 9)] * 8 + gap + [(0, 9)]) == (Verdict.HOLD, "BELOW_COVERAGE_FLOOR")
    assert verdict(rule, [(9, 0)] * 8 + gap + [(9, 0)])[0] is Verdict.HOLD


def test_time_before_the_first_data_is_not_owed() -> None:
    """A service that is two slices old is judged on two slices, not on an hour of nothing."""
    assert verdict(burn(), [(0, 9), (0, 9)])[0] is Verdict.BREACH


def test_silence_is_no_data_for_a_burn_rate_too() -> None:
    rule = burn(long_s=20, short_s=10)

    assert verdict(rule, [(9, 0), (0, 9)], later_s=60)[0] is Verdict.BREACH
    assert verdict(rule, [(9, 0), (0, 9)], later_s=80)[0] is Verdict.NO_DATA


def test_a_five_minute_spike_that_ended_does_not_page() -> None:
    """Both windows: the long one still burns, the short one no longer does."""
    spike = [(100, 0)] * 300 + [(50, 50)] * 30 + [(100, 0)] * 31

    assert verdict(burn(), spike) == (Verdict.CLEAR, "NOT_BOTH_WINDOWS_BURN")
    assert verdict(burn(), spike[:-1]) == (Verdict.CLEAR, "NOT_BOTH_WINDOWS_BURN")
    assert verdict(burn(), spike[:330])[0] is Verdict.BREACH


def test_a_total_outage_at_three_nines_pages_within_a_minute_of_requests() -> None:
    """Detection time L * B * (1 - T) = 51.8 s: the sixth slice of ten seconds crosses it."""
    healthy: list[tuple[int, int] | None] = [(100, 0)] * 360

    for bad in range(1, 6):
        assert verdict(burn(), healthy[bad:] + [(0, 100)] * bad)[0] is Verdict.CLEAR
    assert verdict(burn(), healthy[6:] + [(0, 100)] * 6)[0] is Verdict.BREACH


def test_a_record_of_another_shape_is_refused() -> None:
    from services.alerting.errors import MalformedRecord, NewerRecord

    good = json.loads(message(piece(), watermark_ms=1))
    for broken in ({}, {**good, "slices": [{}]}, {**good, "watermark_ns": "x"}, [], 7):
        with pytest.raises(MalformedRecord):
            decode_slices(json.dumps(broken).encode())
    with pytest.raises(NewerRecord):
        decode_slices(json.dumps({**good, "version": 2}).encode())
    assert decode_slices(json.dumps({**good, "type": "epoch"}).encode()) is None
