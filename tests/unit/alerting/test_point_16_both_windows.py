"""Point 16: a burn-rate page needs both windows, comes as early as its arithmetic allows, and ends soon.

Slices of ten seconds go through the real fold with the shipped rule; log time is all the time there is.
"""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerting.fold import Fold
from services.alerting.model import BurnRate, Rule
from services.alerting.policy import BURN_RATE_1H_5M, DAY_NS, SECOND_NS, Objective, bind
from services.alerting.slices import decode_slices
from tests.unit.alerting.slices_text import START_MS, message, piece

SLICE_MS = 10_000
SLOT_MS = 1_000
HOUR = 360
RATE = 40
"""Requests a second."""

OBJECTIVE = Objective(
    tenant="acme",
    name="gold/availability",
    target=Fraction(999, 1000),
    period_ns=30 * DAY_NS,
    slice_ns=10 * SECOND_NS,
    down_above=Fraction(1, 2),
    coverage_floor=Fraction(9, 10),
)
RULE = bind(BURN_RATE_1H_5M, OBJECTIVE)
TO_PAGE_MS = 51_840
"""2 % of 30 days' budget of 99.9 % is 14.4 times too fast: 1.44 % of an hour, all requests failing."""


def arithmetic_ms(rule: Rule) -> Fraction:
    assert isinstance(rule.condition, BurnRate)
    return rule.condition.threshold * rule.condition.long_ns / 1_000_000


def outage(
    first_ms: int, last_ms: int, *, slices: int, share: Fraction = Fraction(1)
) -> list[tuple[int, int]]:
    """(good, bad) of each slice: that share of the requests of [first, last) fails."""
    counts = []
    for k in range(slices):
        overlap = max(0, min(last_ms, (k + 1) * SLICE_MS) - max(first_ms, k * SLICE_MS))
        bad = int(overlap * RATE * share / 1000)
        counts.append((SLICE_MS // 1000 * RATE - bad, bad))
    return counts


class Told:
    """What people were told, each with the log time since the beginning, in ms."""

    def __init__(self, rule: Rule = RULE, *, delay_ms: int = 0) -> None:
        self.fold, self.delay_ms = Fold(), delay_ms
        self.fold.adopt("acme", [rule])
        self.pages: list[int] = []
        self.ends: list[int] = []
        self._seq = 0

    def take(self, data: bytes) -> None:
        self._seq += 1
        decoded = decode_slices(data)
        assert decoded is not None
        for change in self.fold.apply(self._seq, decoded):
            at_ms = change.at_ns // 1_000_000 - START_MS
            self.pages += [at_ms] if change.fires else []
            self.ends += [at_ms] if change.resolves else []

    def slices(self, counts: list[tuple[int, int]], *, first: int = 0, revision: int = 1) -> None:
        """Each is published `delay_ms` behind its end, and log time moves every second."""
        for k, (good, bad) in enumerate(counts, start=first):
            one = piece(start_ms=START_MS + k * SLICE_MS, good=good, bad=bad, revision=revision)
            known_ms = START_MS + (k + 1) * SLICE_MS + self.delay_ms
            self.take(message(one, watermark_ms=known_ms))
            for second in range(1, SLICE_MS // SLOT_MS):
                self.take(message(watermark_ms=known_ms + second * SLOT_MS))


def test_the_shipped_rule_has_the_arithmetic_of_the_workbook():
    assert arithmetic_ms(RULE) == TO_PAGE_MS


@settings(max_examples=10, deadline=None)
@given(offset_ms=st.integers(0, SLICE_MS - 1), delay_ms=st.integers(0, 5_000), lasts_s=st.integers(75, 400))
def test_a_total_outage_pages_within_its_arithmetic_a_slice_the_delay_and_one_evaluation(
    offset_ms, delay_ms, lasts_s
):
    begins_ms = HOUR * SLICE_MS + offset_ms
    ends_ms = begins_ms + lasts_s * 1000
    told = Told(delay_ms=delay_ms)

    told.slices(outage(begins_ms, ends_ms, slices=HOUR + 90))

    (page,) = told.pages
    assert TO_PAGE_MS < page - begins_ms <= TO_PAGE_MS + SLICE_MS + delay_ms + SLOT_MS
    (end,) = told.ends
    assert page < end
    assert end - ends_ms <= 300_000 + SLICE_MS + delay_ms + SLOT_MS, "within one short window of the recovery"


def test_a_five_minute_spike_that_used_up_less_than_its_share_does_not_page():
    begins_ms = HOUR * SLICE_MS
    told = Told()

    told.slices(outage(begins_ms, begins_ms + 300_000, slices=HOUR + 120, share=Fraction(17, 100)))

    # 17 % of five minutes are 51 s of an hour: the short window burns twelve times too fast, the long not.
    assert told.pages == []


def test_a_spike_over_its_share_that_ended_before_it_was_known_does_not_page():
    begins_ms = HOUR * SLICE_MS
    spike = outage(begins_ms, begins_ms + 300_000, slices=HOUR + 30)[HOUR:]
    told = Told()
    told.slices([(400, 0)] * (HOUR + 75))

    for k, (good, bad) in enumerate(spike, start=HOUR):
        one = piece(start_ms=START_MS + k * SLICE_MS, good=good, bad=bad, revision=2)
        told.take(message(one, watermark_ms=START_MS + (HOUR + 75) * SLICE_MS + 9_000))
    told.slices([(400, 0)] * 60, first=HOUR + 75)

    # The hour has 8 % of failures now, and the last five minutes have none.
    assert told.pages == []


def test_the_page_of_a_five_minute_outage_ends_although_the_long_window_still_burns():
    begins_ms = HOUR * SLICE_MS
    told = Told()

    told.slices(outage(begins_ms, begins_ms + 300_000, slices=HOUR + 180))

    assert len(told.pages) == 1
    (end,) = told.ends
    assert end <= begins_ms + 2 * 300_000 + SLICE_MS
    assert end < begins_ms + HOUR * SLICE_MS, "the hour holds the whole outage then"


@pytest.mark.parametrize(("bad", "pages"), [(4, 0), (5, 1)])
def test_fewer_bad_requests_than_the_rules_least_do_not_page(bad, pages):
    """Three requests an hour: a single failure is a third of them, and nobody should get up for it."""
    assert isinstance(RULE.condition, BurnRate)
    guarded = replace(RULE, condition=replace(RULE.condition, min_bad=5))
    told = Told(guarded)
    idle, failed = (0, 0), (0, 1)

    told.slices([(1, 0), *[idle] * (HOUR - 1)])
    told.slices([failed] * bad + [idle] * 10, first=HOUR)

    assert len(told.pages) == pages


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=30, max_size=60))
def test_it_pages_exactly_when_both_windows_are_above_the_threshold(outcomes):
    """Against the definition, with short windows: 2 min and 20 s."""
    assert isinstance(RULE.condition, BurnRate)
    short = replace(RULE.condition, long_ns=120 * SECOND_NS, short_ns=20 * SECOND_NS, factor=Fraction(200))
    told = Told(replace(RULE, condition=short))
    firing, expected = False, []
    for k in range(len(outcomes)):
        long, near = outcomes[max(0, k - 11) : k + 1], outcomes[max(0, k - 1) : k + 1]
        burns = [
            5 * sum(bad for _, bad in part) > sum(good + bad for good, bad in part) for part in (long, near)
        ]
        breach = all(burns) and sum(bad for _, bad in long) >= 1
        if breach != firing:
            expected.append((k + 1) * SLICE_MS)
            firing = breach

    told.slices(outcomes)

    assert sorted(told.pages + told.ends) == expected
